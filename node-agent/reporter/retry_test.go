// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRetryOutlastsAnAPIServerThatIsAwayForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const away = 5 * time.Minute
		start, tries := time.Now(), 0
		err := new(persistence).retry(t.Context(), func(context.Context) error {
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
		if err := new(persistence).retry(ctx, func(context.Context) error { return refusal }); !errors.Is(err, refusal) {
			t.Errorf("error = %v, want %v", err, refusal)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("tried for %s, want 1m0s", took)
		}
	})
}

func TestRetryGivesUpOnARefusalAtOnce(t *testing.T) {
	tries := 0
	err := new(persistence).retry(t.Context(), func(context.Context) error { tries++; return &refused{"no"} })
	if err == nil || tries != 1 {
		t.Errorf("error = %v after %d tries, want a refusal after 1", err, tries)
	}
}

// forbidden is what an API server answers whose RBAC is not read yet, or does not allow it.
func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "scanreports"}, "sr-a", errors.New("RBAC: clusterrole not found"))
}

func TestRetryOutlastsAnAPIServerThatHasNotReadItsRolesYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := new(persistence).retry(t.Context(), func(context.Context) error {
			switch since := time.Since(start); {
			case since < 60*time.Second:
				return errors.New("connect: connection refused")
			case since < 80*time.Second:
				return forbidden()
			}
			return nil
		})
		if err != nil {
			t.Errorf("gave up after %s: %v", time.Since(start), err)
		}
	})
}

func TestAnAccountWithoutRightsCostsTheSettlingTimeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, start := new(persistence), time.Now()
		for range 100 {
			if err := p.retry(t.Context(), func(context.Context) error { return forbidden() }); !apierrors.IsForbidden(err) {
				t.Fatalf("error = %v, want the refusal", err)
			}
		}
		if took := time.Since(start); took < settling || took > 2*settling {
			t.Errorf("100 refused calls took %s", took)
		}
		if err := p.retry(t.Context(), func(context.Context) error { return nil }); err != nil || p.refused {
			t.Errorf("a success must restore the patience: %v", err)
		}
	})
}

func TestNobodyWaitsForAQuotaToGrow(t *testing.T) {
	tries := 0
	err := new(persistence).retry(t.Context(), func(context.Context) error {
		tries++
		return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "sifscan-sr-a", errors.New("exceeded quota: objects, requested: count/configmaps=1"))
	})
	if !apierrors.IsForbidden(err) || tries != 1 {
		t.Errorf("error = %v after %d tries", err, tries)
	}
}
