// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const (
	reportFile = "report.json"
	limit      = 1 << 20
)

var place = PlaceOf("shared", "projects/chem/a.sif", "sr-1")

// needRoot skips what takes mounts, devices and other users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// volume is a directory that stands for a volume.
type volume struct {
	*testing.T
	dir string
}

func newVolume(t *testing.T) volume {
	t.Helper()
	v := volume{t, t.TempDir()}
	for _, dir := range []string{v.dir, filepath.Dir(v.dir)} { // testing makes them for one user
		v.must(os.Chmod(dir, 0o755))
	}
	return v
}

func (v volume) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

func (v volume) path(names ...string) string {
	return filepath.Join(append([]string{v.dir}, names...)...)
}

func (v volume) tree() *Tree { return New(v.dir, "sifscan", "job-w0") }

// files are the regular files of the volume and their contents; directories of the staging area too.
func (v volume) files() map[string]string {
	v.Helper()
	all := map[string]string{}
	v.must(filepath.WalkDir(v.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(v.dir, path)
		switch {
		case e.Type().IsRegular():
			text, err := os.ReadFile(path)
			all[name] = string(text)
			return err
		case e.IsDir() && strings.Contains(name, incoming+"/job-w0/"):
			all[name] = "left over"
		}
		return nil
	}))
	return all
}

// files to put into a folder, by name.
type content map[string]string

func put(t *Tree, p Place, c content) error {
	return t.Put(p, func(f *Folder) error {
		for name, text := range c {
			if err := f.File(name, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
				return err
			}
		}
		return nil
	})
}

func read(t *Tree, p Place, name string) (text string, err error) {
	err = t.Visit(p, func(k *Kept) error {
		f, err := k.Open(name, limit)
		if err != nil {
			return err
		}
		defer f.Close()
		all, err := io.ReadAll(f)
		text = string(all)
		return err
	})
	return text, err
}

func TestAFolderIsWhereItsImageIs(t *testing.T) {
	for name, tc := range map[string]struct{ claim, path, want string }{
		"in the directories of its path":  {"shared", "projects/chem/a.sif", "shared/projects/chem/a.sif@sr-1"},
		"on the top of its claim":         {"shared", "a.sif", "shared/a.sif@sr-1"},
		"a registry image":                {"", "docker.io/library/nginx:1.27", "registry/docker.io/library/nginx_1.27@sr-1"},
		"a volume that is an image":       {"shared", ".", "shared/_@sr-1"},
		"a path that would lead out":      {"shared", "../../etc/passwd", "shared/etc/passwd@sr-1"},
		"a directory named like a folder": {"shared", "a.sif@sr-1/report.json", "shared/a.sif_sr-1/report.json@sr-1"},
		"hidden and unprintable names":    {"shared", `.incoming/\x1b[2J/.a.sif`, "shared/incoming/_x1b_2J/a.sif@sr-1"},
		"directories a thousand deep":     {"shared", strings.Repeat("d/", 1000) + "a.sif", "shared/" + strings.Repeat("d/", maxLevels) + "a.sif@sr-1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := PlaceOf(tc.claim, tc.path, "sr-1").String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestAFolderAppearsWholeAndTakesTheOldOnesPlace(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{reportFile: "1", "sbom.spdx.json": "s", "old.json": "o"}))
	v.must(tree.Put(place, func(f *Folder) error {
		if got, err := read(tree, place, reportFile); got != "1" || err != nil {
			t.Errorf("a reader sees %q (%v) while the new folder is written", got, err)
		}
		return f.File(reportFile, func(w io.Writer) error { _, err := io.WriteString(w, "2"); return err })
	}))
	want := map[string]string{"sifscan/shared/projects/chem/a.sif@sr-1/report.json": "2"}
	if diff := cmp.Diff(want, v.files()); diff != "" {
		t.Errorf("on the volume (-want +got):\n%s", diff)
	}
	if got := tree.VolumePath(place, reportFile); got != "sifscan/shared/projects/chem/a.sif@sr-1/report.json" {
		t.Errorf("VolumePath = %s", got)
	}
}

func TestAFolderIsReplacedWhereTheFileSystemCannotExchange(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{reportFile: "1"}))
	top, err := tree.top()
	v.must(err)
	defer top.close()
	staging, err := top.descend(incoming, tree.writer)
	v.must(err)
	defer staging.close()
	home, err := top.descend(place.directories()...)
	v.must(err)
	defer home.close()
	v.must(os.Mkdir(v.path("sifscan", incoming, "job-w0", place.folder()), 0o750))
	v.must(os.WriteFile(v.path("sifscan", incoming, "job-w0", place.folder(), reportFile), []byte("2"), 0o640))
	v.must(staging.replaceInTwo(place.folder(), home))
	if diff := cmp.Diff(map[string]string{"sifscan/" + place.String() + "/report.json": "2"}, v.files()); diff != "" {
		t.Errorf("on the volume (-want +got):\n%s", diff)
	}
}

func TestWhatFailsLeavesTheOldFolderAndNoLitter(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{reportFile: "1"}))
	failure := errors.New("the document ended early")
	err := tree.Put(place, func(f *Folder) error {
		return f.File("sbom.spdx.json", func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return failure })
	})
	if !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(map[string]string{"sifscan/" + place.String() + "/report.json": "1"}, v.files()); diff != "" {
		t.Errorf("on the volume (-want +got):\n%s", diff)
	}
}

func TestWhatAWriterThatDiedLeftIsRemoved(t *testing.T) {
	v := newVolume(t)
	for _, dir := range []string{"job-w0/a.sif@sr-1", "job-w1/b.sif@sr-2", "gone-w0/c.sif@sr-3"} {
		v.must(os.MkdirAll(v.path("sifscan", incoming, dir), 0o750))
		v.must(os.WriteFile(v.path("sifscan", incoming, dir, reportFile), []byte("half"), 0o640))
	}
	v.must(os.Symlink("/etc", v.path("sifscan", incoming, "link")))
	old := time.Now().Add(-abandoned - time.Hour)
	v.must(os.Chtimes(v.path("sifscan", incoming, "gone-w0"), old, old))
	v.must(unix.Lutimes(v.path("sifscan", incoming, "link"), []unix.Timeval{unix.NsecToTimeval(old.UnixNano()), unix.NsecToTimeval(old.UnixNano())}))
	v.must(v.tree().Tidy())
	names, err := os.ReadDir(v.path("sifscan", incoming))
	v.must(err)
	if len(names) != 2 || names[0].Name() != "job-w0" || names[1].Name() != "job-w1" {
		t.Errorf("left: %v", names)
	}
	if diff := cmp.Diff(map[string]string{"sifscan/.incoming/job-w1/b.sif@sr-2/report.json": "half"}, v.files()); diff != "" {
		t.Errorf("on the volume (-want +got):\n%s", diff)
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	v.must(v.tree().Leave())
	if _, err := os.Lstat(v.path("sifscan", incoming, "job-w0")); !os.IsNotExist(err) {
		t.Errorf("the writer's directory is still there: %v", err)
	}
}

// Directories on the way, from the volume's root: the folder asked for, the claim's, the image's.
var ways = []string{"sifscan", "sifscan/shared", "sifscan/shared/projects/chem", "sifscan/.incoming", "sifscan/.incoming/job-w0"}

func TestNoLinkOrFileOnTheWayIsFollowed(t *testing.T) {
	for what, plant := range map[string]func(outside, path string) error{
		"link out":    os.Symlink,
		"link inside": func(_, path string) error { return os.Symlink(".", path) },
		"broken link": func(_, path string) error { return os.Symlink("nowhere", path) },
		"pipe":        func(_, path string) error { return unix.Mkfifo(path, 0o666) },
		"file":        func(_, path string) error { return os.WriteFile(path, []byte("x"), 0o666) },
	} {
		for _, way := range ways {
			t.Run(what+" at "+way, func(t *testing.T) {
				v, outside := newVolume(t), t.TempDir()
				v.must(os.MkdirAll(filepath.Dir(v.path(way)), 0o755))
				v.must(plant(outside, v.path(way)))
				err := put(v.tree(), place, content{reportFile: "1"})
				var e *Error
				if !errors.As(err, &e) || e.Path != way || !errors.Is(err, errInTheWay) {
					t.Errorf("error %v", err)
				}
				if left, _ := os.ReadDir(outside); len(left) > 0 {
					t.Errorf("written outside of the volume: %v", left)
				}
				if _, err := read(v.tree(), place, reportFile); err == nil {
					t.Error("something was read")
				}
			})
		}
	}
}

func TestWhateverIsInTheFoldersPlaceMakesRoomForIt(t *testing.T) {
	for what, plant := range map[string]func(path string) error{
		"a link to a directory": func(path string) error { return os.Symlink("/etc", path) },
		"a link to a file":      func(path string) error { return os.Symlink("/etc/passwd", path) },
		"a pipe":                func(path string) error { return unix.Mkfifo(path, 0o666) },
		"a file":                func(path string) error { return os.WriteFile(path, []byte("x"), 0o666) },
		"a deep directory": func(path string) error {
			return os.MkdirAll(filepath.Join(path, strings.Repeat("d/", 200)), 0o777)
		},
		"a folder with directories and pipes for files": func(path string) error {
			return errors.Join(os.MkdirAll(filepath.Join(path, reportFile, "x"), 0o777), unix.Mkfifo(filepath.Join(path, "sbom.spdx.json"), 0o666))
		},
	} {
		t.Run(what, func(t *testing.T) {
			v := newVolume(t)
			v.must(os.MkdirAll(v.path("sifscan/shared/projects/chem"), 0o755))
			v.must(plant(v.path("sifscan", place.String())))
			v.must(put(v.tree(), place, content{reportFile: "1", "sbom.spdx.json": "s"}))
			want := map[string]string{"sifscan/" + place.String() + "/report.json": "1", "sifscan/" + place.String() + "/sbom.spdx.json": "s"}
			if diff := cmp.Diff(want, v.files()); diff != "" {
				t.Errorf("on the volume (-want +got):\n%s", diff)
			}
			if text, err := os.ReadFile("/etc/passwd"); err != nil || len(text) < 2 {
				t.Errorf("a link was followed: %v", err)
			}
		})
	}
}

func TestNothingButAFileOfOursIsRead(t *testing.T) {
	needRoot(t)
	for what, plant := range map[string]func(path string) error{
		"a link":           func(path string) error { return os.Symlink("/etc/passwd", path) },
		"a pipe":           func(path string) error { return unix.Mkfifo(path, 0o666) },
		"a device":         func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"a directory":      func(path string) error { return os.Mkdir(path, 0o777) },
		"a file too large": func(path string) error { return os.WriteFile(path, make([]byte, limit+1), 0o666) },
		"a file of somebody else": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o666), os.Chown(path, 4242, 4242))
		},
	} {
		t.Run(what, func(t *testing.T) {
			v := newVolume(t)
			v.must(os.MkdirAll(v.path("sifscan", place.String()), 0o755))
			v.must(plant(v.path("sifscan", place.String(), reportFile)))
			var e *Error
			if text, err := read(v.tree(), place, reportFile); !errors.As(err, &e) || errors.Is(err, os.ErrNotExist) {
				t.Errorf("%.20q was read, error %v", text, err)
			}
		})
	}
	v := newVolume(t)
	if _, err := read(v.tree(), place, reportFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("where there is no folder: %v", err)
	}
}

func TestADirectoryOfSomebodyElseIsNotEntered(t *testing.T) {
	needRoot(t)
	for _, way := range ways[1:] {
		t.Run(way, func(t *testing.T) {
			v := newVolume(t)
			v.must(os.MkdirAll(v.path(way), 0o777))
			v.must(os.Chown(v.path(way), 4242, 4242))
			err := put(v.tree(), place, content{reportFile: "1"})
			if err == nil || !strings.Contains(err.Error(), way+": it belongs to uid 4242; remove it, or give it to uid 0") {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("but for who owns the top", func(t *testing.T) {
		v := newVolume(t)
		v.must(os.MkdirAll(v.path("sifscan/shared"), 0o777))
		v.must(os.Chown(v.path("sifscan"), 4242, 4242))
		v.must(os.Chown(v.path("sifscan/shared"), 4242, 4242))
		v.must(put(v.tree(), place, content{reportFile: "1"}))
	})
}

// asUser runs fn on a thread of its own with the rights of a user.
func asUser(t *testing.T, uid int, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- errno
			return
		}
		fn()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheScansUserAndGroupCanReadWhatIsKept(t *testing.T) {
	needRoot(t)
	v := newVolume(t)
	v.must(os.Chmod(v.dir, 0o1777))
	asUser(t, 65532, func() {
		if err := put(v.tree(), place, content{reportFile: "1"}); err != nil {
			t.Error(err)
		}
		if err := put(v.tree(), place, content{reportFile: "2"}); err != nil {
			t.Error(err)
		}
		if text, err := read(v.tree(), place, reportFile); text != "2" || err != nil {
			t.Errorf("%q was read, error %v", text, err)
		}
	})
	for name, mode := range map[string]fs.FileMode{"": fs.ModeDir | 0o750, reportFile: 0o640} {
		info, err := os.Stat(v.path("sifscan", place.String(), name))
		v.must(err)
		if uid := info.Sys().(*syscall.Stat_t).Uid; info.Mode() != mode || uid != 65532 {
			t.Errorf("%s has mode %s and belongs to %d", name, info.Mode(), uid)
		}
	}
}

func TestWhatThePersonMustChangeIsSaid(t *testing.T) {
	needRoot(t)
	mounted := func(v volume, flags uintptr, data string) {
		v.must(unix.Mount("tmpfs", v.dir, "tmpfs", flags, data))
		v.Cleanup(func() { v.must(unix.Unmount(v.dir, unix.MNT_DETACH)) })
	}
	big := content{reportFile: "2", "sbom.spdx.json": strings.Repeat("s", 1<<20)}

	t.Run("a volume that is full keeps the folder before", func(t *testing.T) {
		v := newVolume(t)
		mounted(v, 0, "size=256k")
		v.must(put(v.tree(), place, content{reportFile: "1"}))
		err := put(v.tree(), place, big)
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "the volume is full") {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(map[string]string{"sifscan/" + place.String() + "/report.json": "1"}, v.files()); diff != "" {
			t.Errorf("on the volume (-want +got):\n%s", diff)
		}
	})
	t.Run("a volume that can only be read", func(t *testing.T) {
		v := newVolume(t)
		mounted(v, unix.MS_RDONLY, "")
		if err := put(v.tree(), place, big); !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), "can only be read") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a volume that the user may not write to", func(t *testing.T) {
		v := newVolume(t)
		asUser(t, 65532, func() {
			want := fmt.Sprintf("create sifscan: permission denied; let uid 65532, gid %d write there", os.Getegid())
			if err := put(v.tree(), place, big); err == nil || err.Error() != want {
				t.Errorf("error %v", err)
			}
		})
	})
	t.Run("a quota that is used up", func(t *testing.T) {
		if text := (&Error{"write", "a", unix.EDQUOT}).Error(); text != "write a: disk quota exceeded; the quota of uid 0 is used up" {
			t.Error(text)
		}
	})
}
