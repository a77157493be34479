// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/plan"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// silentMount mounts a file system below dir whose server reads no request: whoever asks it waits until the test ends.
func silentMount(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("there is no /dev/fuse:", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("silent", dir, "fuse", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fd) // which ends every call that waits
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// impatient makes scans wait no longer for a volume than a test can.
func impatient(t *testing.T) {
	t.Helper()
	before := scan.WaitForVolumes(200 * time.Millisecond)
	t.Cleanup(func() { scan.WaitForVolumes(before) })
}

// share runs the only worker of a list.
func share(t *testing.T, s *shelf, paths ...string) (*sink, scan.Verdict, error) {
	t.Helper()
	l := &list{}
	var items []plan.Item
	for _, path := range paths {
		items = append(items, plan.Item{Kind: plan.Image, Path: path})
	}
	if _, err := l.Freeze(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	to := newSink()
	verdict, err := newScanner(t).RunShare(t.Context(), s.images(), nil, to, scan.Share{Workers: 1, List: l})
	return to, verdict, err
}

// unanswered reports whether an error tells of a volume that does not answer.
func unanswered(err error) bool {
	var e *volume.Error
	return errors.As(err, &e) && e.Reason == v1alpha1.ReasonBackendUnreachable && strings.Contains(e.Message, "file server")
}

func TestASearchDoesNotWaitForADirectoryThatNeverAnswers(t *testing.T) {
	impatient(t)
	s := newShelf(t).image("a.sif")
	silentMount(t, s.path("silent"))
	if _, err := newScanner(t).Run(t.Context(), s.images(), nil, newSink()); !unanswered(err) {
		t.Errorf("ended with %v", err)
	}
}

func TestAVolumeThatNeverAnswersIsNotOpenedForEver(t *testing.T) {
	impatient(t)
	dir := filepath.Join(t.TempDir(), "volume")
	silentMount(t, dir)
	if root, err := scan.OpenVolume(t.Context(), dir, "/shared"); !unanswered(err) {
		t.Errorf("opened %v, %v", root, err)
	}
}

func TestAnImageThatNeverAnswersFailsAlone(t *testing.T) {
	impatient(t)
	s := newShelf(t).image("a.sif").image("z.sif")
	silentMount(t, s.path("silent"))
	to, _, err := share(t, s, "a.sif", "silent/m.sif", "silent/n.sif", "z.sif", "silent/o.sif")
	if err != nil || !to.finished {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a.sif": "", "z.sif": "",
		"silent/m.sif": v1alpha1.ReasonBackendUnreachable, "silent/n.sif": v1alpha1.ReasonBackendUnreachable, "silent/o.sif": v1alpha1.ReasonBackendUnreachable,
	} {
		if r := to.results[path]; r == nil || r.Report.Outcome.Reason != want {
			t.Errorf("%s: %+v, want %q", path, r, want)
		}
	}
}

func TestAVolumeThatIsAwayEndsTheRunAndNotEachOfItsImagesInTurn(t *testing.T) {
	impatient(t)
	s := newShelf(t).image("a.sif")
	silentMount(t, s.path("silent"))
	to, _, err := share(t, s, "silent/1.sif", "silent/2.sif", "silent/3.sif", "silent/4.sif", "silent/5.sif")
	if !unanswered(err) || to.finished || len(to.results) != 3 {
		t.Errorf("ended with %v after %d images", err, len(to.results))
	}
}
