package rootfs_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

func openLive(t *testing.T, dir string, pace func()) (*rootfs.Image, error) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	root := os.NewFile(uintptr(fd), dir)
	t.Cleanup(func() { root.Close() })
	img, err := rootfs.OpenLive(root, pace)
	if err == nil {
		t.Cleanup(func() { img.Close() })
	}
	return img, err
}

func TestWhatWasMountedIntoALiveContainerIsNotThere(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root mounts")
	}
	tree := fixtures.NewTree(filepath.Join(t.TempDir(), "root")).File("etc/os-release", "ID=x\n").Dir("home/u").Dir("usr/lib")
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(tree.Root, "home/u")
	if err := unix.Mount("home", home, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(home, unix.MNT_DETACH)
	if err := os.WriteFile(filepath.Join(home, "private"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// A bind of the same file system, which st_dev does not tell from the image.
	if err := unix.Mount(filepath.Join(tree.Root, "etc"), filepath.Join(tree.Root, "usr/lib"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(filepath.Join(tree.Root, "usr/lib"), unix.MNT_DETACH)

	accesses := 0
	img, err := openLive(t, tree.Root, func() { accesses++ })
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := img.FS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"etc/os-release": true, "home/u/private": false, "home/u": false, "usr/lib/os-release": false} {
		if _, err := fs.ReadFile(fsys, name); there != (err == nil) || !there && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fsys.Err(); err != nil || img.Denied() != 0 {
		t.Errorf("a mount is no defect: %v, %d denied", err, img.Denied())
	}
	if accesses < 4 {
		t.Errorf("paced %d times", accesses)
	}
}

// A FUSE root is served by a process of the container: it is gone when the container is.
func TestAContainerThatEndsWhileItIsReadHasVanishedAndIsNotBroken(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root mounts")
	}
	dir := t.TempDir()
	tree, image, at := filepath.Join(dir, "tree"), filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	err := errors.Join(fixtures.NewTree(tree).With(fixtures.Debian).Done(), fixtures.Squashfs{}.Make(tree, image), os.Mkdir(at, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	// It returns when the file system is there.
	if out, err := exec.Command("squashfuse_ll", image, at).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	img, err := openLive(t, at, func() {})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := img.FS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Unmount(at, unix.MNT_FORCE); err != nil && err != unix.EBUSY { // it ends the connection, and stays while it is open
		t.Fatal(err)
	}
	_, err = fs.ReadFile(fsys, "var/lib/dpkg/status")
	var e *rootfs.Error
	if !errors.As(err, &e) || e.Reason != rootfs.ReasonVanished || !errors.Is(fsys.Err(), e) {
		t.Errorf("%v, kept %v", err, fsys.Err())
	}
	refused(t, at, rootfs.ReasonVanished)
}

// asNobody runs f without the right to read what others may not.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root becomes nobody")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(65532); err != nil {
		t.Fatal(err)
	}
	defer unix.Setfsuid(0)
	f()
}

func TestRefusedFilesOfALiveContainerAreCountedAndARefusedRootIsNeverClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	if err := fixtures.NewTree(dir).File("etc/shadow", "x").File("etc/os-release", "ID=x\n").Done(); err != nil {
		t.Fatal(err)
	}
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "etc/shadow"), 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		img, err := openLive(t, dir, func() {})
		if err != nil {
			t.Fatal(err)
		}
		fsys, _ := img.FS(t.Context())
		_, err = fs.ReadFile(fsys, "etc/shadow")
		if !errors.Is(err, fs.ErrPermission) || fsys.Err() != nil || img.Denied() != 1 {
			t.Errorf("%v, kept %v, %d denied", err, fsys.Err(), img.Denied())
		}
		if _, err := fs.ReadFile(fsys, "etc/os-release"); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() { refused(t, dir, rootfs.ReasonPermissionDenied) })
	refused(t, t.TempDir(), rootfs.ReasonPermissionDenied)
}

func refused(t *testing.T, dir, reason string) {
	t.Helper()
	_, err := openLive(t, dir, func() {})
	var e *rootfs.Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("%v, want the reason %s", err, reason)
	}
}
