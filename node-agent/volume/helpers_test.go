package volume

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a volume under construction.
type disk struct {
	t   *testing.T
	dir string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	// Not t.TempDir: users without privileges have to get in.
	dir, err := os.MkdirTemp("", "volume")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				_ = os.Chmod(p, 0o700)
			}
			return nil
		})
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	d := &disk{t, dir}
	return d.mode(".", 0o755)
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *disk) must(err error) *disk {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	return d
}

func (d *disk) files(names ...string) *disk {
	d.t.Helper()
	for _, name := range names {
		d.folder(filepath.Dir(name))
		d.must(os.WriteFile(d.path(name), []byte(name), 0o644))
	}
	return d
}

func (d *disk) folder(name string) *disk {
	d.t.Helper()
	return d.must(os.MkdirAll(d.path(name), 0o755))
}

func (d *disk) sandbox(name string) *disk {
	d.t.Helper()
	return d.folder(name + "/.singularity.d").files(name + "/etc/os-release")
}

func (d *disk) link(name, target string) *disk {
	d.t.Helper()
	return d.folder(filepath.Dir(name)).must(os.Symlink(target, d.path(name)))
}

func (d *disk) hardLink(name, existing string) *disk {
	d.t.Helper()
	return d.folder(filepath.Dir(name)).must(os.Link(d.path(existing), d.path(name)))
}

func (d *disk) fifo(name string) *disk {
	d.t.Helper()
	return d.must(unix.Mkfifo(d.path(name), 0o644))
}

func (d *disk) socket(name string) *disk {
	d.t.Helper()
	return d.must(unix.Mknod(d.path(name), unix.S_IFSOCK|0o644, 0))
}

// device makes a node of the kernel's "mem" driver: 3 is /dev/null.
func (d *disk) device(name string) *disk {
	d.t.Helper()
	needRoot(d.t)
	return d.must(unix.Mknod(d.path(name), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
}

func (d *disk) mode(name string, mode os.FileMode) *disk {
	d.t.Helper()
	return d.must(os.Chmod(d.path(name), mode))
}

// mount puts an empty file system on the folder name.
func (d *disk) mount(name, options string) *disk {
	d.t.Helper()
	needRoot(d.t)
	d.folder(name)
	point := d.path(name)
	if err := unix.Mount("tmpfs", point, "tmpfs", 0, options); errors.Is(err, unix.EPERM) {
		d.t.Skip("this container may not mount")
	} else {
		d.must(err)
	}
	d.t.Cleanup(func() {
		if err := unix.Unmount(point, 0); err != nil {
			d.t.Error(err)
		}
	})
	return d
}

func (d *disk) root(mountPath string) *Root {
	d.t.Helper()
	r, err := OpenRoot(d.dir, mountPath)
	d.must(err)
	d.t.Cleanup(func() { r.Close() })
	return r
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// onThread runs f on an operating system thread of its own, which prepare has changed for good and which ends with f.
func onThread(prepare, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the runtime then ends the thread with the goroutine
		prepare()
		f()
	}()
	<-done
}

// unprivileged runs f as a user that file modes apply to. Taking another file system uid makes the kernel drop the
// capabilities that let root pass (credentials(7)).
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	onThread(func() {
		for _, err := range []error{unix.Setfsgid(nobody), unix.Setfsuid(nobody)} {
			if err != nil {
				t.Error(err)
			}
		}
	}, f)
}

// wantError checks that err is an *Error with this reason and returns it.
func wantError(t *testing.T, err error, reason string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an Error with reason %s", err, reason)
	}
	if e.Reason != reason {
		t.Fatalf("got reason %s (%v), want %s", e.Reason, e, reason)
	}
	return e
}

func asError(err error, target **Error) bool { return errors.As(err, target) }
