// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
)

var key = "v1-" + strings.Repeat("0a", 32)

func alive(job string) *v1alpha1.InventoryContainer {
	return &v1alpha1.InventoryContainer{
		Key: key, Image: "/shared/a.sif", User: 4242, PIDs: []int32{7}, Ranks: 1, Since: metav1.Unix(1e9, 0), Mode: v1alpha1.ContainerExec,
		Slurm: &v1alpha1.InventorySlurm{Job: job, Step: "0", Source: v1alpha1.SlurmFromCgroup},
		Pod:   &v1alpha1.InventoryPod{UID: "8d1c0f5e-0000-4000-8000-000000000001"},
	}
}

func TestAContainerThatWasScannedTakesThePlaceOfTheOneThatWasListed(t *testing.T) {
	in := newInventory(options())
	in.container(alive("1"))
	in.container(alive("2"))
	in.entry("/shared/a.sif", v1alpha1.EntryScanned, "sr-a")
	scanned := alive("1")
	scanned.Report, scanned.Coverage = "sr-abcdefghijkl", v1alpha1.CoverageComplete
	in.container(scanned)

	obj := in.object(0)
	want := []v1alpha1.InventoryContainer{*scanned, *alive("2")}
	if diff := cmp.Diff(want, obj.Containers); diff != "" {
		t.Error(diff)
	}
	if len(obj.Entries) != 1 || obj.Worker.Done != 1 {
		t.Errorf("entries %v, done %d: containers are no entries", obj.Entries, obj.Worker.Done)
	}
	next := newInventory(options())
	next.resume(obj)
	next.container(alive("2"))
	if diff := cmp.Diff(want, next.object(0).Containers); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
}

func TestAPodThatTheControllerNamedKeepsItsName(t *testing.T) {
	in := newInventory(options())
	in.container(alive("1"))
	stored := in.object(0)
	stored.Containers[0].Pod.Name, stored.Containers[0].Pod.Namespace = "slurmd-0", "slurm"
	next := newInventory(options())
	next.resume(stored)
	next.container(alive("1"))
	if got := next.object(0).Containers; len(got) != 1 || got[0].Pod.Name != "slurmd-0" || got[0].Pod.Namespace != "slurm" {
		t.Errorf("%+v", got)
	}
}

func TestWhatAScannerSaysOfAContainerIsCutToWhatTheAPITakes(t *testing.T) {
	said := alive("\x1b[31m" + strings.Repeat("9", 1000))
	said.Key, said.Report, said.Mode, said.Coverage = "v1-../x", "other", "daemon", "clean"
	said.Image = strings.Repeat("/\n", 9000)
	said.PIDs, said.Since = make([]int32, 100), metav1.Time{}
	said.Slurm.Source = "root"
	said.Pod = &v1alpha1.InventoryPod{UID: "x y", Namespace: "kube-system"}
	in := newInventory(options())
	in.container(said)
	in.container(nil)
	got := in.object(0).Containers[0]
	if text, err := json.Marshal(got.Since); err != nil || string(text) == "null" {
		t.Errorf("since %s, %v", text, err)
	}
	if got.Key != "" || got.Report != "" || got.Pod != nil || len(got.PIDs) != v1alpha1.MaxInventoryPIDs {
		t.Errorf("%+v", got)
	}
	if got.Mode != v1alpha1.ContainerExec || got.Coverage != v1alpha1.CoveragePartial || got.Slurm.Source != v1alpha1.SlurmFromEnvironment {
		t.Errorf("mode %s, coverage %s, source %s", got.Mode, got.Coverage, got.Slurm.Source)
	}
	if len(got.Image) > maxEntryPath || len(got.Slurm.Job) > maxSlurmWord || strings.Contains(got.Slurm.Job, "\x1b") {
		t.Errorf("an image of %d bytes, job %q", len(got.Image), got.Slurm.Job)
	}
}

func TestContainersAreCutIntoChunksThatEtcdTakes(t *testing.T) {
	in := newInventory(options())
	const n = 3000
	for i := range n {
		c := alive(fmt.Sprint(i))
		c.PIDs = make([]int32, v1alpha1.MaxInventoryPIDs)
		in.container(c)
	}
	seen := 0
	for i := range in.chunks {
		body, err := json.Marshal(in.object(i))
		if err != nil || len(body) > 1<<20 {
			t.Errorf("chunk %d takes %d bytes, %v", i, len(body), err)
		}
		seen += len(in.object(i).Containers)
	}
	if seen != n {
		t.Errorf("%d of %d containers are in the chunks", seen, n)
	}
}

func TestTheNodeOfALiveImageIsThatOfTheReportersPod(t *testing.T) {
	r := &Reporter{opts: options()}
	r.opts.Node = "n1"
	said := func() *v1alpha1.Report {
		return &v1alpha1.Report{Target: v1alpha1.ReportTarget{Node: "elsewhere"}, RunningExamples: []v1alpha1.RunningExample{{Node: "elsewhere"}}}
	}
	live := said()
	r.place(handover.Event{Live: "x"}, live)
	if live.Target.Node != "n1" || live.RunningExamples[0].Node != "n1" {
		t.Errorf("%+v", live)
	}
	file := said()
	r.place(handover.Event{}, file)
	if file.Target.Node != "" || file.RunningExamples != nil {
		t.Errorf("a file on a volume runs on no node: %+v", file)
	}
}
