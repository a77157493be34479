// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// crowded is a run on one node, of which ScanInventories name so many images.
func crowded(t *testing.T, images int) (*Reconciler, *pass, *survey) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	p := &pass{scan: scan, run: RunID(scan), now: epoch}
	p.begin()
	labels := JobInputs{Scan: scan, Run: p.run}.labels()
	node := aNode().Node
	objects := []client.Object{
		&node,
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: nodeConfig().NodeScans.Namespace, Name: "at-work", Labels: nodeLabelsOf(scan, p.run)}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: nodeConfig().NodeScans.Namespace, Name: nodeAccount(scan.UID, p.run)}},
	}
	for chunk := 0; images > 0; chunk++ {
		inventory := &v1alpha1.ScanInventory{ObjectMeta: metav1.ObjectMeta{
			Namespace: scan.Namespace, Name: inventoryName(JobName(scan.Name, p.run), 0, int32(chunk)), Labels: labels,
		}}
		for range min(images, 2000) {
			inventory.Containers = append(inventory.Containers, v1alpha1.InventoryContainer{Key: fmt.Sprintf("v1-%064x", images), Ranks: 1})
			images--
		}
		objects = append(objects, inventory)
	}
	server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
	for _, of := range []client.Object{&batchv1.Job{}, &corev1.Pod{}, &v1alpha1.ScanInventory{}} {
		server.WithIndex(of, indexUID, byScanUID)
	}
	api := server.Build()
	r := &Reconciler{Client: cacheOf(api), Live: api, Config: nodeConfig()}
	r.prepare()
	return r, p, &survey{nodes: []*nodeState{listed("n1", 0)}}
}

func TestARunThatNamesMoreImagesThanItsNodesCanRunIsGivenUp(t *testing.T) {
	r, p, s := crowded(t, nodeContainers+1)
	if _, err := r.advance(t.Context(), p, s); err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(p.scan.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil || c.Reason != v1alpha1.ReasonReportUnavailable || !strings.Contains(c.Message, "more than 10000 images, the most that is read of 1 node") {
		t.Errorf("stalled: %+v", c)
	}
	if p.scan.Status.CompletionTime == nil {
		t.Error("the run goes on, and reads all of it at each look")
	}
	accounts := func() int {
		left := &corev1.ServiceAccountList{}
		if err := r.Client.List(t.Context(), left); err != nil {
			t.Fatal(err)
		}
		return len(left.Items)
	}
	if accounts() != 1 {
		t.Error("the list of the nodes is gone before it is stored that the run is over: should that fail, it never ends")
	}
	if _, err := r.live(t.Context(), p); err != nil || accounts() != 0 {
		t.Errorf("%d accounts are left of a run that is over, %v", accounts(), err)
	}
	if jobs, err := r.nodeJobs(t.Context(), p.scan.UID); err != nil || len(jobs) != 0 {
		t.Errorf("Jobs left: %v, %v", jobs, err)
	}
}

func TestARunReadsAsManyImagesAsItsNodesCanRun(t *testing.T) {
	r, p, s := crowded(t, nodeContainers)
	images, work, err := r.nextWork(t.Context(), &outlook{p: p, nodes: map[string]*corev1.Node{"n1": &aNode().Node}}, s)
	if err != nil || len(images.byKey) != nodeContainers || len(work) != 1 || len(work[0].keys) != maxKeys {
		t.Errorf("%d images, %d Jobs, %v", len(images.byKey), len(work), err)
	}
	for nodes, want := range map[int]int{1: 10_000, 9: 90_000, 5_000: 100_000} {
		if got := mostImages(nodes); got != want {
			t.Errorf("of %d nodes %d images, want %d", nodes, got, want)
		}
	}
}

func TestInventoriesOfNodesThatARunHasNotAreNotRead(t *testing.T) {
	r, p, s := crowded(t, 3)
	forged := &v1alpha1.ScanInventory{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.scan.Namespace, Name: inventoryName(JobName(p.scan.Name, p.run), 1, 0), Labels: JobInputs{Scan: p.scan, Run: p.run}.labels(),
	}, Containers: []v1alpha1.InventoryContainer{{Key: key("f"), Ranks: 1}}}
	if err := r.Client.Create(t.Context(), forged); err != nil {
		t.Fatal(err)
	}
	images, _, err := r.nextWork(t.Context(), &outlook{p: p, nodes: map[string]*corev1.Node{"n1": &aNode().Node}}, s)
	if err != nil || len(images.byKey) != 3 || images.found != 3 {
		t.Errorf("%+v, %v", images, err)
	}
}

func TestARunWhoseNodesAreForgottenIsOver(t *testing.T) {
	r, p, _ := crowded(t, 1)
	p.scan.Status.StartTime = &metav1.Time{Time: p.now}
	if err := r.revoke(t.Context(), p.scan.Namespace, nodeAccount(p.scan.UID, p.run)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.live(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(p.scan.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil || c.Reason != v1alpha1.ReasonReportUnavailable || p.scan.Status.CompletionTime == nil {
		t.Errorf("completed %v, stalled: %+v", p.scan.Status.CompletionTime, c)
	}
	if jobs, err := r.nodeJobs(t.Context(), p.scan.UID); err != nil || len(jobs) != 0 {
		t.Errorf("Jobs left: %v, %v", jobs, err)
	}
}
