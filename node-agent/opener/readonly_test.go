// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatIsOpenForWritingIsOpenedAnewOrRefused(t *testing.T) {
	for name, c := range map[string]struct {
		flags   int
		pipe    bool
		same    bool
		refused bool
	}{
		"open for reading":                    {os.O_RDONLY, false, true, false},
		"open for both, and deleted":          {os.O_RDWR, false, false, false},
		"open for writing alone, and deleted": {os.O_WRONLY, false, false, false},
		"a pipe that is open for both":        {os.O_RDWR, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			create := func() error { return os.WriteFile(path, []byte("content"), 0o600) }
			if c.pipe {
				create = func() error { return unix.Mkfifo(path, 0o600) }
			}
			if err := create(); err != nil {
				t.Fatal(err)
			}
			held, err := os.OpenFile(path, c.flags, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			f, err := readOnly(held)
			if (f == held) != c.same || (err != nil) != c.refused {
				t.Fatalf("the same: %v, %v", f == held, err)
			}
			if !c.same {
				if err := held.Close(); !errors.Is(err, os.ErrClosed) {
					t.Errorf("what may be written is left open: %v", err)
				}
			}
			if c.refused {
				var e *Error
				if !errors.As(err, &e) || e.Code != Denied {
					t.Errorf("%v", err)
				}
				return
			}
			defer f.Close()
			b := [7]byte{}
			if _, err := f.ReadAt(b[:], 0); err != nil || string(b[:]) != "content" {
				t.Errorf("read %q, %v", b, err)
			}
			if _, err := f.WriteAt(b[:], 0); !errors.Is(err, unix.EBADF) {
				t.Errorf("written: %v", err)
			}
		})
	}
}
