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

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// pod opens both ends over fresh directories.
func pod(t *testing.T) (s *Scanner, r *Reporter, results, state string) {
	t.Helper()
	results, state = t.TempDir(), t.TempDir()
	s, err := OpenScanner(results, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, reopen(t, results, state), results, state
}

func reopen(t *testing.T, results, state string) *Reporter {
	t.Helper()
	r, err := OpenReporter(results, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func events(t *testing.T, r *Reporter) (got []Event) {
	t.Helper()
	if err := r.Next(func(e Event) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTheReporterReadsEventsOnceAndInOrder(t *testing.T) {
	s, r, _, _ := pod(t)
	want := []Event{
		{Type: EventListed, Total: 2},
		{Type: EventBegun, Path: `a\x0a.sif`},
		{Type: EventEntry, Path: `a\x0a.sif`, Outcome: v1alpha1.EntryScanned, Folder: "a-1", Identity: "1:2"},
	}
	for _, e := range want[:2] {
		if err := s.Tell(e); err != nil {
			t.Fatal(err)
		}
	}
	got := events(t, r)
	if err := s.Tell(want[2]); err != nil {
		t.Fatal(err)
	}
	got = append(got, events(t, r)...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if more := events(t, r); more != nil {
		t.Errorf("events seen twice: %v", more)
	}
}

func TestAReporterThatRestartsReadsTheWholeStoryAndKnowsWhatItAcknowledged(t *testing.T) {
	s, r, results, state := pod(t)
	if err := errors.Join(s.Tell(Event{Type: EventEntry, Folder: "a"}), s.Tell(Event{Type: EventEntry, Folder: "b"})); err != nil {
		t.Fatal(err)
	}
	if err := r.Ack(Ack{Folder: "a", Error: "cannot be stored"}); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, results, state)
	if got := len(events(t, again)); got != 2 {
		t.Errorf("read %d events, want 2", got)
	}
	if answer, ok := again.Answered("a"); !ok || answer.Error != "cannot be stored" {
		t.Errorf("the answer to a is %+v, %v", answer, ok)
	}
	if _, ok := again.Answered("b"); ok {
		t.Error("b was answered")
	}
}

func TestAReporterKnowsWhatItToldBeforeItWasRestarted(t *testing.T) {
	_, r, results, state := pod(t)
	if _, ok, err := r.Told(); ok || err != nil {
		t.Errorf("it told something before it began: %v", err)
	}
	line := Known{InFlight: &v1alpha1.InFlight{Path: "poison.sif", Attempts: 1}}
	if err := r.TellKnown(func(yield func(Known) error) error { return yield(line) }); err != nil {
		t.Fatal(err)
	}
	told, ok, err := reopen(t, results, state).Told()
	if err != nil || !ok || told.Attempts["poison.sif"] != 1 {
		t.Errorf("told %+v, %v, %v", told, ok, err)
	}
}

func TestAHalfWrittenLineIsReadOnlyWhenItIsWhole(t *testing.T) {
	_, r, results, _ := pod(t)
	f, err := os.OpenFile(journalPath(results), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, _ = io.WriteString(f, `{"type":"listed",`)
	if got := events(t, r); got != nil {
		t.Fatalf("read %v of half a line", got)
	}
	_, _ = io.WriteString(f, "\"total\":7}\n")
	if diff := cmp.Diff([]Event{{Type: EventListed, Total: 7}}, events(t, r)); diff != "" {
		t.Error(diff)
	}
}

func TestALineThatItsWriterDiedInSpoilsNoOther(t *testing.T) {
	_, _, results, state := pod(t)
	if err := os.WriteFile(journalPath(results), []byte(`{"type":"lis`), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := OpenScanner(results, state)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Tell(Event{Type: EventFinished}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Event{{Type: EventFinished}}, events(t, reopen(t, results, state))); diff != "" {
		t.Error(diff)
	}
}

func TestAnEndlessLineIsAnErrorAndNotAnAllocation(t *testing.T) {
	_, r, results, _ := pod(t)
	if err := os.WriteFile(journalPath(results), make([]byte, 4*maxLine), 0o644); err != nil {
		t.Fatal(err)
	}
	err := r.Next(func(Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}

func TestAJournalThatIsNoRegularFileIsRefusedWithoutWaiting(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"FIFO":    func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"symlink": func(p string) error { return os.Symlink("/etc/passwd", p) },
		"folder":  func(p string) error { return os.Mkdir(p, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			results, state := t.TempDir(), t.TempDir()
			if err := make(journalPath(results)); err != nil {
				t.Fatal(err)
			}
			r := reopen(t, results, state)
			if err := r.Next(func(Event) error { return nil }); err == nil {
				t.Error("it was read")
			}
		})
	}
}

func TestTheScannerWaitsForWhatTheReporterKnows(t *testing.T) {
	s, r, _, _ := pod(t)
	if _, err := s.Known(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before it is there: got %v, want the deadline", err)
	}
	err := r.TellKnown(func(yield func(Known) error) error {
		return errors.Join(
			yield(Known{Volume: &KnownVolume{ClaimName: "c", ClaimUID: "u", SubPath: "s"}}),
			yield(Known{Report: &KnownReport{Name: "sr-1", Identity: "1:2:3"}}),
			yield(Known{Entry: &KnownEntry{Path: "done.sif", Outcome: v1alpha1.EntryFailed}}),
			yield(Known{InFlight: &v1alpha1.InFlight{Path: "poison.sif", Attempts: 2}}),
			yield(Known{Death: "OOMKilled: limit 64Mi"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Known(within(t, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := &Knowledge{
		Volumes:  []KnownVolume{{ClaimName: "c", ClaimUID: "u", SubPath: "s"}},
		Reports:  map[string]string{"sr-1": "1:2:3"},
		Entries:  map[string]KnownEntry{"done.sif": {Path: "done.sif", Outcome: v1alpha1.EntryFailed}},
		Attempts: map[string]int32{"poison.sif": 2},
		Death:    "OOMKilled: limit 64Mi",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStoredResultsAreRemovedAndRefusedOnesAreNamed(t *testing.T) {
	s, r, results, _ := pod(t)
	for _, name := range []string{"a", "b", "c"} {
		if err := WriteResult(results, name, map[string][]byte{ReportFile: nil}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Ack(Ack{Folder: "a"}), r.Ack(Ack{Folder: "b", Error: "too large"})); err != nil {
		t.Fatal(err)
	}
	left, err := s.WaitStored(within(t, time.Second), []string{"a", "b", "c"}, 1)
	if !errors.Is(err, ErrNotStored) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v, want the refusal of b", err)
	}
	if diff := cmp.Diff([]string{"c"}, left); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(results, "a")); !os.IsNotExist(err) {
		t.Error("a is stored and still there")
	}
	left, err = s.WaitStored(within(t, 50*time.Millisecond), left, 0)
	if !errors.Is(err, context.DeadlineExceeded) || len(left) != 1 {
		t.Errorf("got %v, %v; want the deadline with c left", left, err)
	}
}

func TestTheEndIsAnsweredOnlyByTheReporter(t *testing.T) {
	s, r, _, _ := pod(t)
	if err := s.WaitFinished(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if err := r.Ack(Ack{Finished: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitFinished(within(t, time.Second)); err != nil {
		t.Error(err)
	}
}
