// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import "time"

// hold is an error that explains itself to the user, in the conditions, instead of to the
// operator of the operator, in the log.
type hold struct {
	// stalled: nothing happens until somebody changes something. Otherwise what is missing is
	// expected to come by itself.
	stalled bool
	// ends the run: it is over, and stalled. Only another one can be asked for.
	ends    bool
	reason  string
	message string
	// retry looks again after this time where no watch tells when to; 0: a watch does.
	retry time.Duration
}

func (h *hold) Error() string { return h.reason + ": " + h.message }
