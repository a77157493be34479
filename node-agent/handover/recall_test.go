// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// answering answers every question until the test ends.
func answering(t *testing.T, r *Reporter, answer func(Event) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Follow(ctx, answer, func() error { return nil }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsKeptOfAnEarlierScanIsGivenBack(t *testing.T) {
	s, r, _, state := pod(t)
	given := func(inventory string) Recalled {
		return Recalled{Kind: "sif", Architecture: "amd64", Image: &v1alpha1.ReportImage{Format: "sif"}, Inventory: []byte(inventory)}
	}
	answering(t, r, func(e Event) error {
		if e.Path == "gone.sif" {
			return r.Ack(Ack{Recall: e.Recall, Error: "nobody has it"})
		}
		return r.GiveBack(e.Recall, given("of "+e.Path+" as of "+e.Identity))
	})
	for _, path := range []string{"a.sif", "b.sif"} {
		got, err := s.Recall(within(t, time.Minute), Event{Path: path, Identity: "1:2:3"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(given("of "+path+" as of 1:2:3"), *got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := s.Recall(within(t, time.Minute), Event{Path: "gone.sif"}); !errors.Is(err, ErrNotKept) || !strings.Contains(err.Error(), "nobody has it") {
		t.Errorf("what is not there: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(state, inventoryPrefix+"*")); len(files) != 1 {
		t.Errorf("%v lie on a volume that has room for one", files)
	}
}

func TestWhatIsGivenBackTakesTheRoomOfWhatWas(t *testing.T) {
	_, r, results, state := pod(t)
	inode := func(question int, want string) uint64 {
		t.Helper()
		text, err := readInventory(inventoryPath(state, question))
		info, statErr := os.Stat(inventoryPath(state, question))
		if err := errors.Join(err, statErr); err != nil || string(text) != want {
			t.Fatalf("%s, %v", text, err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	give := func(question int, text string) {
		t.Helper()
		if err := r.GiveBack(question, Recalled{Inventory: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	give(1, "a long list of packages")
	first := inode(1, "a long list of packages")
	give(2, "a list")
	if inode(2, "a list") != first {
		t.Error("it is another file")
	}
	if err := os.Remove(inventoryPath(state, 2)); err != nil {
		t.Fatal(err)
	}
	give(3, "where somebody removed it")
	inode(3, "where somebody removed it")
	r = reopen(t, results, state)
	if err := os.WriteFile(inventoryPath(state, 7), []byte("of a process that died"), 0o644); err != nil {
		t.Fatal(err)
	}
	give(4, "after a restart")
	if files, _ := filepath.Glob(filepath.Join(state, inventoryPrefix+"*")); len(files) != 1 {
		t.Errorf("%v lie on a volume that has room for one", files)
	}
}

func TestAQuestionThatWasAnsweredBeforeARestartIsNotOpenAfterIt(t *testing.T) {
	_, r, results, state := pod(t)
	if err := r.GiveBack(1, Recalled{Inventory: []byte("kept")}); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, results, state)
	if !again.AnsweredRecall(1) || again.AnsweredRecall(2) {
		t.Errorf("answered: 1 %v, 2 %v", again.AnsweredRecall(1), again.AnsweredRecall(2))
	}
	if _, ok := again.Answered(""); ok {
		t.Error("the answer passes for one on a result without a folder")
	}
}

func TestNobodyWaitsForAnAnswerLongerThanItsTime(t *testing.T) {
	s, _, _, _ := pod(t)
	if _, err := s.Recall(within(t, 20*time.Millisecond), Event{Path: "a.sif"}); err == nil {
		t.Error("silence is an answer")
	}
}

func TestALateAnswerIsNoneToTheNextQuestion(t *testing.T) {
	s, r, _, _ := pod(t)
	if _, err := s.Recall(within(t, time.Millisecond), Event{Path: "a.sif"}); err == nil {
		t.Fatal("silence is an answer")
	}
	if err := r.GiveBack(1, Recalled{Inventory: []byte("of a.sif")}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Recall(within(t, 20*time.Millisecond), Event{Path: "b.sif"}); err == nil {
		t.Errorf("b.sif was given %s", got.Inventory)
	}
}

func TestAnInventoryThatNobodyReadsIsNotHandedOver(t *testing.T) {
	_, r, _, state := pod(t)
	if err := r.GiveBack(1, Recalled{Inventory: make([]byte, engine.MaxInventory+1)}); !errors.Is(err, ErrNotKept) {
		t.Errorf("one that is too large: %v", err)
	}
	path := inventoryPath(state, 1)
	for what, put := range map[string]func() error{
		"one that is too large": func() error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, engine.MaxInventory+1))
		},
		"a link": func() error { return os.Symlink("/etc/passwd", path) },
		"none":   func() error { return nil },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if _, err := readInventory(path); err == nil {
			t.Errorf("%s: it was read", what)
		}
		_ = os.Remove(path)
	}
}
