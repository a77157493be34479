// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryOutlastsAnAPIServerThatIsAwayForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const away = 5 * time.Minute
		start, tries := time.Now(), 0
		err := retry(t.Context(), func(context.Context) error {
			tries++
			if time.Since(start) < away {
				return errors.New("connect: connection refused")
			}
			return nil
		})
		if err != nil {
			t.Fatalf("gave up after %s: %v", time.Since(start), err)
		}
		if late := time.Since(start) - away; late > 15*time.Second {
			t.Errorf("noticed only %s after the server was back", late)
		}
		if tries > 60 {
			t.Errorf("asked %d times in %s", tries, away)
		}
	})
}

func TestRetryEndsWithItsContextAndSaysWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		refusal := errors.New("connect: connection refused")
		start := time.Now()
		if err := retry(ctx, func(context.Context) error { return refusal }); !errors.Is(err, refusal) {
			t.Errorf("error = %v, want %v", err, refusal)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("tried for %s, want 1m0s", took)
		}
	})
}

func TestRetryGivesUpOnARefusalAtOnce(t *testing.T) {
	tries := 0
	err := retry(t.Context(), func(context.Context) error { tries++; return &refused{"no"} })
	if err == nil || tries != 1 {
		t.Errorf("error = %v after %d tries, want a refusal after 1", err, tries)
	}
}
