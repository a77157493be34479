// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

func TestWhatGoesOnAfterItsTimeIsTheVolumesFaultOnlyWhereItWaitsForIt(t *testing.T) {
	defer func(d time.Duration) { grace = d }(grace)
	grace = time.Millisecond
	for name, waits := range map[string]bool{"it computes": false, "it waits for the volume": true} {
		t.Run(name, func(t *testing.T) {
			root, err := volume.OpenRoot(t.TempDir(), "/")
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			ctx, end := context.WithCancelCause(t.Context())
			letGo := make(chan struct{})
			defer close(letGo)
			_, err = answered(ctx, root, func(_ context.Context, root *volume.Root) (bool, error) {
				if waits {
					root.Watch().Ask()
				}
				end(errTimeout)
				<-letGo
				return true, nil
			})
			if silent := errors.As(err, new(*silentError)); silent != waits || silent == errors.Is(err, errTimeout) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
