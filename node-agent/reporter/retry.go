// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// backoff between two tries of an API call: from a quarter of a second to ten seconds.
func backoff() wait.Backoff {
	return wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 1 << 30, Cap: 10 * time.Second}
}

// retry calls fn until it succeeds, fails for good, or ctx ends: a scan that took hours must
// not be lost because the API server restarts while its results are written.
func retry(ctx context.Context, fn func(context.Context) error) error {
	var last error
	// Not wait.ExponentialBackoffWithContext: it gives up when the delay reaches Cap, whatever Steps
	// says, which is after 17 s.
	err := backoff().DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		last = fn(ctx)
		if last == nil {
			return true, nil
		}
		if final(last) {
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
	if errors.Is(err, errAgain) {
		return false
	}
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}
