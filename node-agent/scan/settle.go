// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// looksCut reports whether a reason may be that of an image of which a part is not written yet.
func looksCut(reason string) bool {
	return reason == v1alpha1.ReasonCorruptImage || reason == v1alpha1.ReasonUnsupported
}

// again reports whether a target has another turn once the others had theirs.
func (r *run) again(result *Result) bool {
	if result.Outcome == v1alpha1.EntryChanging {
		return true
	}
	modified := result.Report.Target.ModTime
	if modified == nil || !looksCut(result.Report.Outcome.Reason) {
		return false
	}
	// A copy that waits for its line, or for its NFS client, leaves a file that does not change while it is read. The file
	// server's clock may be ahead of the node's.
	age := r.Now().Sub(modified.Time)
	if age <= -r.Settle || age >= r.Settle {
		return false
	}
	if at := modified.Add(r.Settle); at.After(r.settled) {
		r.settled = at
	}
	return true
}

// settle waits until everything that has another turn is old enough to be believed, should nobody write it any more.
func (r *run) settle(ctx context.Context) error {
	wait := time.NewTimer(min(r.settled.Sub(r.Now()), r.Settle))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lastTurn is a target at its second turn.
type lastTurn struct {
	target
	// modified is when it had been written last at its first.
	modified *metav1.Time
}

func (t lastTurn) scan(ctx context.Context, s *Scanner, r *Result) error {
	err := t.target.scan(ctx, s, r)
	if err == nil || s.Settle == 0 || r.Report.Target.ModTime.Equal(t.modified) {
		return err
	}
	if reason, message := explain(err); looksCut(reason) {
		return &rootfs.Error{Reason: rootfs.ReasonChanging, Message: "the image is being written: " + message}
	}
	return err
}
