// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/plan"
)

var someList = []plan.Item{{Kind: plan.Image, Path: "a\xff.sif", Size: 7}, {Kind: plan.Image, Path: "b.sif"}}

func TestAListComesBackFrozenAsTheReporterStoredIt(t *testing.T) {
	s, r, _, _ := pod(t)
	if _, ok, err := s.Plan(); ok || err != nil {
		t.Fatalf("before anybody made one: %v, %v", ok, err)
	}
	frozen := make(chan error, 1)
	var got []plan.Item
	go func() {
		var err error
		got, err = s.Freeze(within(t, 10*time.Second), someList)
		frozen <- err
	}()
	err := poll(within(t, 10*time.Second), func() (asked bool, err error) {
		return asked, errors.Join(err, r.Next(func(e Event) error { asked = e.Type == EventPlanned; return nil }))
	})
	if err != nil {
		t.Fatal(err)
	}
	offered, err := r.PlanOffered()
	if err != nil {
		t.Fatal(err)
	}
	defer offered.Close()
	// Another pod was faster, with a list without the second image.
	if err := r.TellPlan(func(w io.Writer) error { return plan.Write(w, someList[0]) }); err != nil {
		t.Fatal(err)
	}
	if err := <-frozen; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(someList[:1], got); diff != "" {
		t.Error(diff)
	}
	var seen []plan.Item
	if err := plan.Read(offered, func(i plan.Item) error { seen = append(seen, i); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(someList, seen); diff != "" {
		t.Error(diff)
	}
}

func TestAListThatCannotBeStoredEndsTheWait(t *testing.T) {
	s, r, _, _ := pod(t)
	if err := r.RefusePlan("it takes too much of etcd"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Freeze(within(t, 10*time.Second), someList)
	if !errors.Is(err, ErrPlanRefused) || !strings.Contains(err.Error(), "too much of etcd") {
		t.Errorf("got %v", err)
	}
}

func TestAListThatNobodyAnswersEndsWithTheWait(t *testing.T) {
	s, _, _, _ := pod(t)
	if _, err := s.Freeze(within(t, 50*time.Millisecond), someList); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestAListThatIsNoRegularFileOrTooLargeIsRefused(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"FIFO":      func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"symlink":   func(p string) error { return os.Symlink("/etc/passwd", p) },
		"too large": func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o644), os.Truncate(p, maxPlan+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			_, r, results, _ := pod(t)
			if err := make(filepath.Join(results, planFile)); err != nil {
				t.Fatal(err)
			}
			if f, err := r.PlanOffered(); err == nil {
				f.Close()
				t.Error("it was opened")
			}
		})
	}
}

func TestAFrozenListThatOutgrowsItsVolumeIsAnError(t *testing.T) {
	_, r, _, state := pod(t)
	err := r.TellPlan(func(w io.Writer) error {
		chunk := make([]byte, 1<<20)
		for {
			if _, err := w.Write(chunk); err != nil {
				return err
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(state); len(left) > 1 { // the acks
		t.Errorf("%d files are left", len(left))
	}
}
