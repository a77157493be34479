// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// backoff between two tries of an API call: from a quarter of a second to ten seconds.
func backoff() wait.Backoff {
	return wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 1 << 30, Cap: 10 * time.Second}
}

// settling is how long an API server that has just started may refuse what it will allow, or not
// know a kind that it will know: it serves before it has read all roles and CRDs. Seen on a
// loaded machine: some seconds of "clusterrole not found" and "cannot create resource".
const settling = 30 * time.Second

// persistence tries API calls again. It remembers whether the last one was refused for good, so
// that an account without rights costs the settling time once, and not once an image.
type persistence struct{ refused bool }

// retry calls fn until it succeeds, fails for good, or ctx ends: a scan that took hours must
// not be lost because the API server restarts while its results are written.
func (p *persistence) retry(ctx context.Context, fn func(context.Context) error) error {
	var last error
	var refusedSince time.Time
	// Not wait.ExponentialBackoffWithContext: it gives up when the delay reaches Cap, whatever Steps
	// says, which is after 17 s.
	err := backoff().DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		last = fn(ctx)
		switch {
		case last == nil:
			p.refused = false
			return true, nil
		case final(last):
			return false, last
		case !settles(last):
			refusedSince = time.Time{}
		case refusedSince.IsZero() && !p.refused:
			refusedSince = time.Now()
		case p.refused || time.Since(refusedSince) >= settling:
			p.refused = true
			return false, last
		}
		return false, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// errAgain marks an error that the next try may overcome, whatever else it says.
var errAgain = errors.New("try again")

// refused is an error that no further try can overcome.
type refused struct{ message string }

func (e *refused) Error() string { return e.message }

// final says whether trying again cannot help. Everything the API server did not answer, or
// answered with a state that may pass, can.
func final(err error) bool {
	var no *refused
	if errors.As(err, &no) {
		return true
	}
	return !errors.Is(err, errAgain) && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsMethodNotSupported(err) || exceedsQuota(err))
}

// exceedsQuota knows the one Forbidden that no API server gives while it starts (kubernetes,
// resourcequota/controller.go has no other mark of it).
func exceedsQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: ")
}

// settles says whether the answer is one that an API server also gives while it starts.
func settles(err error) bool {
	return !errors.Is(err, errAgain) && (apierrors.IsForbidden(err) || apierrors.IsNotFound(err))
}
