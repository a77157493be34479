// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/plan"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// list is a frozen list as it comes back from the API.
type list struct {
	text   *bytes.Buffer
	frozen int // how often one was offered
}

func (l *list) Plan() (items []plan.Item, ok bool, err error) {
	if l.text == nil {
		return nil, false, nil
	}
	err = plan.Read(bytes.NewReader(l.text.Bytes()), func(i plan.Item) error { items = append(items, i); return nil })
	return items, true, err
}

func (l *list) Freeze(_ context.Context, items []plan.Item) ([]plan.Item, error) {
	l.frozen++
	l.text = &bytes.Buffer{}
	for _, i := range items {
		if err := plan.Write(l.text, i); err != nil {
			return nil, err
		}
	}
	frozen, _, err := l.Plan()
	return frozen, err
}

// images is everything on the shelf.
func (s *shelf) images() scan.Wanted {
	v := s.on("/shared")
	v.Spec = &volume.Spec{}
	return scan.Wanted{Volumes: []scan.Volume{v}}
}

// worker runs one of several workers.
func worker(t *testing.T, wanted scan.Wanted, l *list, index, workers int, known *handover.Knowledge) (*sink, scan.Verdict) {
	t.Helper()
	to := newSink()
	verdict, err := newScanner(t).RunShare(context.Background(), wanted, known, to, scan.Share{Workers: workers, Index: index, List: l})
	if err != nil {
		t.Fatal(err)
	}
	return to, verdict
}

func TestWorkersTogetherGiveEachTargetTheOutcomeThatOneWorkerGivesIt(t *testing.T) {
	files := newShelf(t).image("a.sif").image("b\xff.sif").image("c.sif").truncated("cut.sif").image("sub/d.sif")
	if err := errors.Join(os.Link(files.path("a.sif"), files.path("z.sif")), os.Mkdir(files.path("tree"), 0o755)); err != nil {
		t.Fatal(err)
	}
	everything := files.images()
	everything.Volumes[0].Directories = []string{"tree"}
	everything.Misplaced = []scan.Misplaced{{Line: "/no\nwhere", Message: "line 3 is on none of the volumes"}}
	everything.Volumes = append(everything.Volumes, newShelf(t).image("e.sif").on("/second", "e.sif", "gone.sif"))

	alone := newSink()
	if _, err := newScanner(t).Run(context.Background(), everything, nil, alone); err != nil {
		t.Fatal(err)
	}
	want := map[string]scan.Place{}
	for name, r := range alone.results {
		want[name+" "+r.Report.Outcome.Reason+" "+r.Report.Target.Path+" "+r.Report.Target.Kind+r.Identity] = r.Place
	}
	for _, workers := range []int{2, 3, 16} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			l := &list{}
			got := map[string]scan.Place{}
			listed := 0
			for w := range workers {
				to, verdict := worker(t, everything, l, w, workers, nil)
				if verdict.Reason != "" || verdict.Total() != to.total || !to.finished {
					t.Errorf("worker %d: verdict %+v, listed %d, finished %v", w, verdict, to.total, to.finished)
				}
				listed += to.total
				for name, r := range to.results {
					got[name+" "+r.Report.Outcome.Reason+" "+r.Report.Target.Path+" "+r.Report.Target.Kind+r.Identity] = r.Place
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || listed != len(want) {
				t.Errorf("%d listed, want %d (-one worker +several):\n%s", listed, len(want), diff)
			}
			if l.frozen != 1 {
				t.Errorf("the volume was searched %d times", l.frozen)
			}
		})
	}
}

func TestAPodThatTakesOverGoesOnWithTheListAndDoesNotLookForImagesAgain(t *testing.T) {
	s := newShelf(t).image("a.sif").image("b.sif").image("c.sif").image("d.sif")
	l := &list{}
	first, _ := worker(t, s.images(), l, 0, 2, nil)
	other, _ := worker(t, s.images(), l, 1, 2, nil)

	// Meanwhile somebody adds an image that would be first and removes one of the other's.
	s.image("0.sif")
	gone := "b.sif"
	if err := os.Remove(s.path(gone)); err != nil {
		t.Fatal(err)
	}
	again, _ := worker(t, s.images(), l, 0, 2, nil)
	if diff := cmp.Diff(first.reasons(), again.reasons()); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	want := maps.Clone(other.reasons())
	want[gone] = v1alpha1.ReasonNoTargets
	next, _ := worker(t, s.images(), l, 1, 2, nil)
	if diff := cmp.Diff(want, next.reasons()); diff != "" || l.frozen != 1 {
		t.Errorf("searched %d times (-before +after)\n%s", l.frozen, diff)
	}
}

func TestUnchangedIsSaidOfTheFileAsItIsAndNotAsItWasListed(t *testing.T) {
	s := newShelf(t).image("a.sif").image("b.sif")
	l := &list{}
	before, _ := worker(t, s.images(), l, 0, 1, nil)
	known := &handover.Knowledge{Reports: map[string]string{}}
	for name, r := range before.results {
		known.Reports[report.Subject{Path: name, Engine: native.Name, ScanTypes: []string{"pkg"}}.Name()] = r.Identity
	}
	s.image("b.sif") // written anew after it was listed
	to, verdict := worker(t, s.images(), l, 0, 1, known)
	if diff := cmp.Diff([]string{"b.sif"}, to.begun); diff != "" || verdict.Counts[v1alpha1.EntryUnchanged] != 1 {
		t.Errorf("counts %v, opened (-want +got):\n%s", verdict.Counts, diff)
	}
}

func TestEveryWorkerOfARunWithoutTargetsSaysWhy(t *testing.T) {
	s, l := newShelf(t).file("readme.txt", []byte("x")), &list{}
	for w := range 3 {
		to, verdict := worker(t, s.images(), l, w, 3, nil)
		if verdict.Reason != v1alpha1.ReasonNoTargets || !strings.Contains(verdict.Message, "nothing to scan") || to.total != 0 || !to.finished {
			t.Errorf("worker %d: %+v, listed %d", w, verdict, to.total)
		}
	}
}

func TestAListThatCannotBeFollowedIsNoShorterList(t *testing.T) {
	for name, line := range map[string]string{
		"a volume that is not there": `{"kind":"image","volume":3,"path":"a.sif"}`,
		"an image on no volume":      `{"kind":"image","volume":-1,"path":"a.sif"}`,
		"a kind of another version":  `{"kind":"hologram","path":"a.sif"}`,
		"half a line":                `{"kind":"image","pa`,
	} {
		t.Run(name, func(t *testing.T) {
			l := &list{text: bytes.NewBufferString(`{"kind":"image","path":"a.sif"}` + "\n" + line + "\n")}
			to := newSink()
			_, err := newScanner(t).RunShare(context.Background(), newShelf(t).image("a.sif").images(), nil, to, scan.Share{Workers: 1, List: l})
			if err == nil || to.finished || len(to.results) > 0 {
				t.Errorf("got %v, results %v", err, to.reasons())
			}
		})
	}
}

func TestOnlyTheFirstWorkerMakesAList(t *testing.T) {
	l := &list{}
	_, err := newScanner(t).RunShare(context.Background(), newShelf(t).image("a.sif").images(), nil, newSink(), scan.Share{Workers: 2, Index: 1, List: l})
	if err == nil || l.frozen != 0 {
		t.Errorf("got %v, offered %d", err, l.frozen)
	}
}
