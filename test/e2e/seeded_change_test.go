// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/faults"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// change changes the images as a planned scan asks for, and returns what that scan must count, and do.
func (f *field) change(planned faults.Scan) (*v1alpha1.TargetCounts, faults.Expected, error) {
	g := f.grounds[planned.Site]
	if planned.Doomed {
		return nil, faults.Expected{}, nil
	}
	if planned.Live {
		for _, i := range planned.Touched {
			if err := touch(filepath.Join(f.slurmd.dir, liveImage(i))); err != nil {
				return nil, faults.Expected{}, err
			}
		}
		return nil, faults.Expected{}, nil
	}
	expected := g.volume.Next(planned)
	for _, i := range planned.Replaced {
		if err := g.replace(pathOf(i), contents[g.volume.Content(i)]); err != nil {
			return nil, expected, err
		}
	}
	for _, i := range planned.Touched {
		if err := touch(g.path(pathOf(i))); err != nil {
			return nil, expected, err
		}
	}
	g.opened() // until now
	return &v1alpha1.TargetCounts{
		Discovered: faults.Images,
		Scanned:    int32(len(expected.Opened) + len(expected.Again)),
		Unchanged:  int32(len(expected.Unchanged)),
	}, expected, nil
}

// replace puts another image in the place of one, as who installs a new version does.
func (s *site) replace(path string, with image) error {
	content, err := os.ReadFile(filepath.Join(imageDir, string(with)))
	if err != nil {
		return err
	}
	const incoming = "incoming" // which no scan takes for an image
	if err := os.WriteFile(s.path(incoming), content, 0o644); err != nil {
		return err
	}
	if err := touch(s.path(incoming)); err != nil {
		return err
	}
	return os.Rename(s.path(incoming), s.path(path))
}

// touch sets the time of a file to what it is: nothing but its change time tells that somebody did so.
func touch(path string) error { return os.Chtimes(path, fixtures.Epoch, fixtures.Epoch) }

// closed complains of images that a scan opened and need not have.
func (f *field) closed(planned faults.Scan, name string, expected faults.Expected) {
	g := f.grounds[planned.Site]
	if g.opened == nil {
		return
	}
	opened := g.opened()
	for _, i := range expected.Unchanged {
		if opened[pathOf(i)] {
			f.complain("%s: %s was opened, and had not changed", name, pathOf(i))
		}
	}
	for _, i := range expected.Opened {
		if !opened[pathOf(i)] {
			f.complain("%s: %s was not opened, and had changed", name, pathOf(i))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range expected.Again {
		f.again++
		if opened[pathOf(i)] {
			f.opened++
		}
	}
}

// watchNames returns a function that names the files of a directory that were opened since it was called last.
// Opening a name without access to its content (O_PATH) does not count (inotify(7)).
func watchNames(dir string) func() map[string]bool {
	GinkgoHelper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(unix.Close, fd)
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_OPEN|unix.IN_ONLYDIR)
	Expect(err).NotTo(HaveOccurred())
	buf := make([]byte, 64<<10)
	return func() map[string]bool {
		opened := map[string]bool{}
		for {
			n, err := unix.Read(fd, buf) // EAGAIN where there is no further event
			if err != nil {
				return opened
			}
			for at := 0; at+unix.SizeofInotifyEvent <= n; {
				event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
				from := at + unix.SizeofInotifyEvent
				at = from + int(event.Len)
				opened[strings.TrimRight(string(buf[from:at]), "\x00")] = true
			}
		}
	}
}
