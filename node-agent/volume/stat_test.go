package volume

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// opensOf returns a function that says whether a file was opened for reading since it was called last. A descriptor
// that gives no access to content (O_PATH) does not count (inotify(7)).
func opensOf(t *testing.T, path string) func() bool {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		n, _ := unix.Read(fd, make([]byte, 4096)) // EAGAIN where there is no event
		return n > 0
	}
}

func TestStatTellsWhatOpenWouldOpenAndOpensNothing(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "a.sif")
	if err := os.WriteFile(image, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.sif", filepath.Join(dir, "link.sif")); err != nil {
		t.Fatal(err)
	}
	for _, openat2 := range []bool{true, false} {
		root, err := OpenRoot(dir, "/")
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		root.openat2 = root.openat2 && openat2
		opened := opensOf(t, image)
		for _, name := range []string{"a.sif", "link.sif"} {
			info, err := root.Stat(name)
			if err != nil || opened() {
				t.Fatalf("%s: %v, opened", name, err)
			}
			file, err := root.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			if file.Info() != info || !opened() {
				t.Errorf("%s: Stat says %+v, Open %+v", name, info, file.Info())
			}
			file.Close()
		}
		for _, name := range []string{".", "gone.sif", "../a.sif"} {
			if _, err := root.Stat(name); err == nil {
				t.Errorf("%s is told to be an image", name)
			}
		}
	}
}
