// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/reporter/tree"
)

func TestAStorageErrorThatMayPassIsTriedAgainWithinBounds(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []error
		want    error
		calls   int
		after   time.Duration
	}{
		"a stale handle passes":      {[]error{unix.ESTALE, nil}, nil, 2, time.Second},
		"so does an interruption":    {[]error{unix.EINTR, nil}, nil, 2, time.Second},
		"a broken connection passes": {[]error{unix.EIO, unix.ETIMEDOUT, nil}, nil, 3, 5 * time.Second},
		"a broken disk does not":     {[]error{unix.EIO, unix.EIO, unix.EIO, nil}, unix.EIO, 3, 5 * time.Second},
		"nobody waits for room":      {[]error{unix.ENOSPC, nil}, unix.ENOSPC, 1, 0},
		"nor for a right":            {[]error{unix.EACCES, nil}, unix.EACCES, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(&Volume{}, "w")
				start, calls := time.Now(), 0
				out, err := within(context.Background(), s, func() (string, error) {
					calls++
					if err := tc.answers[calls-1]; err != nil {
						return "", &tree.Error{Doing: "write", Path: "a", Err: err}
					}
					return "kept", nil
				})
				if !errors.Is(err, tc.want) || (err == nil) != (out == "kept") {
					t.Errorf("answer %q, %v", out, err)
				}
				if calls != tc.calls || time.Since(start) != tc.after {
					t.Errorf("%d calls in %s", calls, time.Since(start))
				}
			})
		})
	}
}

func TestABrokenVolumeCostsItsPausesOnceAndNotOnceAnImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(&Volume{}, "w")
		broken := func() (int, error) { return 0, unix.EIO }
		_, _ = within(context.Background(), s, broken)
		start := time.Now()
		for range 100 {
			if _, err := within(context.Background(), s, broken); !errors.Is(err, unix.EIO) {
				t.Fatal(err)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("a hundred images waited %s", time.Since(start))
		}
		if _, err := within(context.Background(), s, func() (int, error) { return 0, nil }); err != nil || s.failing {
			t.Errorf("the volume is back: %v, failing: %v", err, s.failing)
		}
	})
}

func TestAVolumeThatHangsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(&Volume{}, "w")
		hang := make(chan struct{})
		defer close(hang)
		start := time.Now()
		_, err := within(context.Background(), s, func() (int, error) { <-hang; return 1, nil })
		if err == nil || !strings.Contains(err.Error(), "is its file server away?") || time.Since(start) != s.patience {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		called := false
		if _, err := within(context.Background(), s, func() (int, error) { called = true; return 1, nil }); err == nil || called {
			t.Errorf("it was called again: %v, error %v", called, err)
		}
	})
}

func TestNobodyWaitsForAVolumeLongerThanThePodLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(&Volume{}, "w")
		hang := make(chan struct{})
		defer close(hang)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := within(ctx, s, func() (int, error) { <-hang; return 1, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}
