// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// without is set for a process in whose mount namespace zones can be hidden.
const without = "SIFSCAN_TEST_WITHOUT_ZONES"

// The operator's image has no files but its binary.
func TestZonesAreKnownWhereTheSystemHasNoDatabaseOfThem(t *testing.T) {
	if os.Getenv(without) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
		// Go's own installation, and where a variable points, are places it looks at, too.
		cmd.Env = []string{without + "=1", "ZONEINFO=/nowhere", "GOROOT=/nowhere"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, unix.EPERM) {
			t.Skip("needs root")
		}
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for _, dir := range []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"} { // of Go's package time
		if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Fatal(err)
		}
	}
	c, err := newCalendar(nightly(zone("Europe/Berlin")))
	if err != nil {
		t.Fatal(err)
	}
	if next := c.next(at("2026-07-01T12:00:00Z")); !next.Equal(at("2026-07-01T23:30:00Z")) {
		t.Errorf("01:30 in Berlin is %s", next)
	}
	const want = `spec.timeZone: "Europe/Berln" is no zone of the IANA database, use a name such as Europe/Berlin`
	if _, err := newCalendar(nightly(zone("Europe/Berln"))); err == nil || err.Error() != want {
		t.Errorf("an unknown zone is explained as %v", err)
	}
}
