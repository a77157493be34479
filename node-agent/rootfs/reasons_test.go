package rootfs_test

import (
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// The package does not depend on the API, but its reasons end in conditions.
func TestReasonsAreThoseOfTheAPI(t *testing.T) {
	for got, want := range map[string]string{
		rootfs.ReasonCorruptImage:     v1alpha1.ReasonCorruptImage,
		rootfs.ReasonUnsupported:      v1alpha1.ReasonUnsupported,
		rootfs.ReasonIncomplete:       v1alpha1.ReasonIncomplete,
		rootfs.ReasonChanging:         v1alpha1.ReasonChanging,
		rootfs.ReasonPermissionDenied: v1alpha1.ReasonPermissionDenied,
		rootfs.ReasonTmpTooSmall:      v1alpha1.ReasonTmpTooSmall,
		rootfs.ReasonTmpExhausted:     v1alpha1.ReasonTmpExhausted,
		rootfs.ReasonVanished:         v1alpha1.ReasonNoTargets,
	} {
		if got != want {
			t.Errorf("%q, the API says %q", got, want)
		}
	}
}
