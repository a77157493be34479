package rootfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

// RefuseOpenat2 lets openat2 fail as under an old kernel, until the test ends.
func RefuseOpenat2(t *testing.T, refuse bool) {
	t.Cleanup(func() { openat2 = unix.Openat2 })
	openat2 = unix.Openat2
	if refuse {
		openat2 = func(int, string, *unix.OpenHow) (int, error) { return -1, unix.ENOSYS }
	}
}
