// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// fleet is an operator with slots for four nodes, on an API server that knows Jobs.
type fleet struct {
	*testing.T
	*Reconciler
	now   time.Time
	woken []string
}

func newFleet(t *testing.T) *fleet {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	config := nodeConfig()
	config.NodeScans.Slots = 4
	server := fake.NewClientBuilder().WithScheme(scheme).Build()
	f := &fleet{T: t, Reconciler: &Reconciler{Client: cacheOf(server), Live: server, Config: config}, now: epoch}
	f.prepare()
	f.slots.wakeWith(func(scan types.NamespacedName) { f.woken = append(f.woken, scan.Name) })
	return f
}

func scanNamed(name string) *v1alpha1.SIFScan {
	scan := makeLive(v1alpha1.RunningTarget{NodeSelector: map[string]string{}}).obj()
	scan.Name, scan.UID = name, types.UID("uid-"+name)
	return scan
}

// look is one look at a scan that could use so many Jobs. It returns how many it has at work afterwards.
func (f *fleet) look(scan *v1alpha1.SIFScan, uses int) int {
	f.Helper()
	nodes := make([]string, uses)
	for i := range nodes {
		nodes[i] = fmt.Sprintf("n%d-%d", i, f.now.Unix())
	}
	f.lookAt(scan, nodes...)
	return len(f.jobs(scan))
}

// lookAt is one look at a scan that has work for some nodes. It returns the words for what it waits for.
func (f *fleet) lookAt(scan *v1alpha1.SIFScan, nodes ...string) (queued string) {
	f.Helper()
	work := make([]nodeWork, len(nodes))
	for i, node := range nodes {
		work[i] = nodeWork{name: nodeJobName(scan.Name, scan.UID, "v1-1", "n", node), node: node}
	}
	clear(f.ledger.created) // the cache shows what was made
	queued, err := f.giveOut(f.Context(), &pass{scan: scan, run: "v1-1", now: f.now}, work)
	if err != nil {
		f.Fatal(err)
	}
	f.now = f.now.Add(time.Second)
	return queued
}

// nodes are where a scan is at work.
func (f *fleet) nodes(scan *v1alpha1.SIFScan) (nodes []string) {
	for _, job := range f.jobs(scan) {
		nodes = append(nodes, job.Annotations[v1alpha1.AnnotationNode])
	}
	slices.Sort(nodes)
	return nodes
}

// jobs are those of a scan that are at work.
func (f *fleet) jobs(scan *v1alpha1.SIFScan) []batchv1.Job {
	list := &batchv1.JobList{}
	if err := f.Client.List(f.Context(), list, client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)}); err != nil {
		f.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(j batchv1.Job) bool { _, over := endOf(&j); return over })
}

// finish ends one Job of a scan.
func (f *fleet) finish(scan *v1alpha1.SIFScan) {
	f.Helper()
	job := f.jobs(scan)[0]
	job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(f.now)}}
	if err := f.Client.Status().Update(f.Context(), &job); err != nil {
		f.Fatal(err)
	}
}

func TestAScanThatWaitsForASlotGetsItsShareOfThoseThatBecomeFree(t *testing.T) {
	f, first, second := newFleet(t), scanNamed("first"), scanNamed("second")
	if n := f.look(first, 9); n != 4 {
		t.Fatalf("alone, the first has %d of 4", n)
	}
	if n := f.look(second, 9); n != 0 {
		t.Fatalf("the second has %d while all slots are taken", n)
	}
	f.finish(first)
	if n := f.look(first, 9); n != 3 || !slices.Equal(f.woken, []string{"second"}) {
		t.Fatalf("the first has %d again, and woke %v", n, f.woken)
	}
	if n := f.look(second, 9); n != 1 {
		t.Fatalf("the second has %d of the one that is free", n)
	}
	f.finish(first)
	if n := f.look(first, 9); n != 2 {
		t.Fatalf("the first has %d, more than its half", n)
	}
	if n := f.look(second, 9); n != 2 {
		t.Fatalf("the second has %d, want its half", n)
	}
	f.woken = nil
	f.finish(first)
	if n := f.look(first, 9); n != 2 || len(f.woken) != 0 {
		t.Errorf("with two each, the first has %d and woke %v", n, f.woken)
	}
}

func TestASlotIsKeptForNobodyWhoHasNoUseForIt(t *testing.T) {
	f, first, second := newFleet(t), scanNamed("first"), scanNamed("second")
	f.look(first, 9)
	f.look(second, 9)
	f.look(second, 0)
	f.finish(first)
	if n := f.look(first, 9); n != 4 || len(f.woken) != 0 {
		t.Errorf("the second needs none any more: the first has %d and woke %v", n, f.woken)
	}
	f.look(second, 9)
	f.now = f.now.Add(askedFor + time.Second) // deleted, and never looked at again
	f.finish(first)
	if n := f.look(first, 9); n != 4 || len(f.woken) != 0 {
		t.Errorf("the second is gone: the first has %d and woke %v", n, f.woken)
	}
}

func TestASlotIsKeptForNobodyWhoIsDeletedOrSuspended(t *testing.T) {
	f, first, second := newFleet(t), scanNamed("first"), scanNamed("second")
	f.look(first, 9)
	f.look(second, 9)
	f.ledger.drop(client.ObjectKeyFromObject(second))
	f.finish(first)
	if n := f.look(first, 9); n != 4 {
		t.Errorf("the second is gone: the first has %d of 4", n)
	}
	if err := f.releaseDeleted(f.Context(), client.ObjectKeyFromObject(first)); err != nil || len(f.ledger.asked) != 0 {
		t.Errorf("the first is gone, too: %v, %v", f.ledger.asked, err)
	}
}

func TestWhoNeedsNoMoreSlotsCallsThoseWhoWait(t *testing.T) {
	f, first, second := newFleet(t), scanNamed("first"), scanNamed("second")
	f.look(first, 4)
	f.look(second, 1)
	f.finish(first)
	f.look(first, 0)
	if !slices.Equal(f.woken, []string{"second"}) {
		t.Errorf("woken: %v", f.woken)
	}
}

func TestANodeIsLookedAtByOneScanAtATime(t *testing.T) {
	f, first, second := newFleet(t), scanNamed("first"), scanNamed("second")
	f.lookAt(first, "n1")
	if queued := f.lookAt(second, "n1"); queued != "node n1 is looked at by another scan" || len(f.nodes(second)) > 0 {
		t.Fatalf("the second is at work on %v, and waits for %q", f.nodes(second), queued)
	}
	if queued := f.lookAt(second, "n1", "n2"); queued != "" || !slices.Equal(f.nodes(second), []string{"n2"}) {
		t.Fatalf("the second is at work on %v, and waits for %q", f.nodes(second), queued)
	}
	f.finish(first)
	f.woken = nil
	f.lookAt(first)
	if !slices.Equal(f.woken, []string{"second"}) {
		t.Errorf("n1 is free, and woken is %v", f.woken)
	}
	f.lookAt(second, "n1")
	if !slices.Equal(f.nodes(second), []string{"n1", "n2"}) {
		t.Errorf("the second is at work on %v", f.nodes(second))
	}
}

func TestANodeIsTakenByAJobThatTheCacheDoesNotShowYet(t *testing.T) {
	f, second := newFleet(t), scanNamed("second")
	job := (JobInputs{Scan: scanNamed("first"), Config: f.Config}).nodeJob(nodeWork{name: "x", node: "n1"})
	job.UID = "unseen"
	f.ledger.made(job, "uid-first", f.now)
	work := []nodeWork{{name: "a", node: "n1"}, {name: "b", node: "n2"}}
	if _, err := f.giveOut(f.Context(), &pass{scan: second, run: "v1-1", now: f.now}, work); err != nil {
		t.Fatal(err)
	}
	if got := f.nodes(second); !slices.Equal(got, []string{"n2"}) {
		t.Errorf("at work on %v", got)
	}
}

func TestTwoScansThatWaitForEachOthersNodesCallNobody(t *testing.T) {
	f, first, second := newFleet(t), scanNamed("first"), scanNamed("second")
	f.lookAt(first, "n1")
	f.lookAt(second, "n2")
	f.woken = nil
	f.lookAt(first, "n2")
	f.lookAt(second, "n1")
	f.lookAt(first, "n2")
	if len(f.woken) > 0 {
		t.Errorf("woken for nothing: %v", f.woken)
	}
}
