// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func options() Options {
	o := Options{ScanName: "s", ScanUID: "u", Run: "v1-1", Job: "s-1", Now: func() time.Time { return noon }}
	o.setDefaults()
	return o
}

func TestEntriesAreCutIntoChunksThatEtcdTakes(t *testing.T) {
	for name, path := range map[string]string{"short paths": "a.sif", "the longest paths": strings.Repeat(`\xff`, 4096)} {
		t.Run(name, func(t *testing.T) {
			const n = 4500
			in := newInventory(options())
			for i := range n {
				in.entry(fmt.Sprintf("%d/%s", i, path), v1alpha1.EntryScanned, "sr-abcdefghijkl")
			}
			seen := map[string]bool{}
			for i := range in.chunks {
				obj := in.object(i)
				if len(obj.Entries) == 0 || len(obj.Entries) > v1alpha1.MaxInventoryEntries {
					t.Errorf("chunk %d has %d entries", i, len(obj.Entries))
				}
				body, err := json.Marshal(obj)
				if err != nil {
					t.Fatal(err)
				}
				if const1MiB := 1 << 20; len(body) > const1MiB {
					t.Errorf("chunk %d takes %d bytes", i, len(body))
				}
				for _, e := range obj.Entries {
					seen[e.Path] = true
				}
			}
			if len(seen) != n || in.worker().Done != n {
				t.Errorf("%d entries are in the chunks, %d are said to be done, want %d", len(seen), in.worker().Done, n)
			}
		})
	}
}

func TestAnInventoryOfAnEarlierPodGoesOn(t *testing.T) {
	first := newInventory(options())
	first.listed(4)
	first.entry("a.sif", v1alpha1.EntryScanned, "sr-a")
	first.begun("poison.sif")
	first.ended()
	stored := first.object(0)
	stored.Annotations = withAll(stored.Annotations, map[string]string{v1alpha1.AnnotationLastDeath: "OOMKilled: more memory"})
	stored.ResourceVersion = "7"

	o := options()
	o.Now = func() time.Time { return noon.Add(time.Hour) }
	second := newInventory(o)
	second.resume(stored)
	if second.death != "OOMKilled: more memory" || second.chunks[0].version != "7" {
		t.Errorf("death %q, version %q", second.death, second.chunks[0].version)
	}
	if diff := cmp.Diff(map[string]int32{"poison.sif": 1}, second.attempts); diff != "" {
		t.Error(diff)
	}
	second.begun("poison.sif")
	w := second.worker()
	if diff := cmp.Diff([]v1alpha1.InFlight{{Path: "poison.sif", Attempts: 2}}, w.InFlight); diff != "" {
		t.Error(diff)
	}
	if w.Done != 1 || !w.StartedAt.Time.Equal(noon) {
		t.Errorf("done %d, started %v", w.Done, w.StartedAt)
	}
	if second.object(0).Annotations[v1alpha1.AnnotationLastDeath] == "" {
		t.Error("the controller's annotation would be removed")
	}
	second.entry("poison.sif", v1alpha1.EntryFailed, "sr-p")
	if left := second.worker().InFlight; len(left) != 0 {
		t.Errorf("still in flight: %v", left)
	}
}

func TestEachChunkSaysInShortWhatItsEntriesSay(t *testing.T) {
	in := newInventory(options())
	for i, outcome := range outcomes {
		for n := range i + 1 {
			in.entry(fmt.Sprintf("%s-%d.sif", outcome, n), outcome, "")
		}
	}
	for i := range v1alpha1.MaxInventoryEntries {
		in.entry(fmt.Sprintf("%d.sif", i), v1alpha1.EntryUnchanged, "")
	}
	if got := in.object(0).Annotations[v1alpha1.AnnotationProgress]; got != "1/1981/3/4/5/6" {
		t.Errorf("before they are listed: %s", got)
	}
	in.listed(2022)
	in.entry("changing-0.sif", v1alpha1.EntryScanned, "sr-c")
	for i, want := range []string{"2/1981/3/4/5/5/2022", "0/21/0/0/0/0/2022"} {
		got := in.object(i)
		if got.Annotations[v1alpha1.AnnotationProgress] != want {
			t.Errorf("chunk %d: %s, want %s", i, got.Annotations, want)
		}
		in.chunks[i].annotations = got.Annotations // as after a conflict
	}
	in.entry("the last.sif", v1alpha1.EntryScanned, "sr-l")
	if got, is := in.object(0).Annotations[v1alpha1.AnnotationProgress]; is {
		t.Errorf("after the last one: %s", got)
	}
	in.opts.Workers = 2
	if got := in.object(0).Annotations[v1alpha1.AnnotationProgress]; got != "2/1981/3/4/5/5/2022" {
		t.Errorf("after the last one of several workers: %s", got)
	}
}

func TestASecondOutcomeOfAPathTakesTheFirstOnesPlace(t *testing.T) {
	in := newInventory(options())
	in.entry("a.sif", v1alpha1.EntryChanging, "")
	in.chunks[0].dirty = false
	in.entry("a.sif", v1alpha1.EntryScanned, "sr-a")
	got := in.object(0).Entries
	if len(got) != 1 || got[0].Outcome != v1alpha1.EntryScanned || !in.chunks[0].dirty {
		t.Errorf("entries %v, dirty %v", got, in.chunks[0].dirty)
	}
}

func TestAnInventedOutcomeIsAFailure(t *testing.T) {
	in := newInventory(options())
	in.entry("a.sif", "clean", "")
	if got := in.items[0].entry.Outcome; got != v1alpha1.EntryFailed {
		t.Errorf("outcome %q", got)
	}
}

func TestAnInventoryIsWrittenAtMostEveryTenSeconds(t *testing.T) {
	in := newInventory(options())
	in.flushedAt = noon
	in.entry("a.sif", v1alpha1.EntryScanned, "")
	for after, want := range map[time.Duration]bool{0: false, 9 * time.Second: false, 10 * time.Second: true} {
		if got := in.due(noon.Add(after), 10*time.Second); got != want {
			t.Errorf("after %s: due %v, want %v", after, got, want)
		}
	}
	in.dirty = false
	if in.due(noon.Add(time.Hour), 10*time.Second) {
		t.Error("nothing changed and it would be written")
	}
}

func TestAnInventoryOfSeveralChunksIsWrittenNoMoreOftenThanOneOfOne(t *testing.T) {
	in := newInventory(options())
	in.flushedAt = noon
	for i := range v1alpha1.MaxInventoryEntries + 1 {
		in.entry(fmt.Sprintf("%d.sif", i), v1alpha1.EntryScanned, "")
	}
	in.chunks[0].dirty = false // it was full when it was written
	in.dirty = true            // and says how far the worker is
	for after, want := range map[time.Duration]bool{10 * time.Second: false, 19 * time.Second: false, 20 * time.Second: true} {
		if got := in.due(noon.Add(after), 10*time.Second); got != want {
			t.Errorf("after %s: due %v, want %v: two objects would be written", after, got, want)
		}
	}
}
