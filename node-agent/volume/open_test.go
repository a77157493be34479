package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bothWays runs test with openat2 and as where the kernel or a seccomp profile refuses it.
func bothWays(t *testing.T, d *disk, mountPath string, test func(t *testing.T, r *Root)) {
	t.Helper()
	t.Run("with openat2", func(t *testing.T) {
		r := d.root(mountPath)
		if !r.openat2 {
			t.Skip("this kernel has no openat2")
		}
		test(t, r)
	})
	t.Run("without openat2", func(t *testing.T) {
		r := d.root(mountPath)
		r.openat2 = false
		test(t, r)
	})
}

func TestOpenFollowsWhatStaysOnTheVolume(t *testing.T) {
	d := newDisk(t).files("images/v2/a.sif", "caf\xe9.sif").
		link("images/current", "v2").
		link("latest.sif", "images/current/a.sif").
		link("deep/er/up.sif", "../../images/./v2//a.sif").
		link("users.sif", "/shared/containers/images/current/a.sif").
		link("chain.sif", "users.sif").
		link("top", "/shared/containers").
		sandbox("box").link("box.sif", "box")
	longest := "images/v2/a.sif"
	for i := range maxLinks {
		name := fmt.Sprintf("chain/%02d", i)
		d.link(name, "/shared/containers/"+longest)
		longest = name
	}
	bothWays(t, d, "/shared/containers/", func(t *testing.T, r *Root) {
		for _, tc := range []struct{ name, path, real string }{
			{"a file", "images/v2/a.sif", "images/v2/a.sif"},
			{"a path written carelessly", "./images//v2/./a.sif", "images/v2/a.sif"},
			{"a name that is not UTF-8", "caf\xe9.sif", "caf\xe9.sif"},
			{"a link to a directory on the way", "images/current/a.sif", "images/v2/a.sif"},
			{"a link through a link", "latest.sif", "images/v2/a.sif"},
			{"a link upwards that stays inside", "deep/er/up.sif", "images/v2/a.sif"},
			{"an absolute link as users see the volume", "users.sif", "images/v2/a.sif"},
			{"a relative link to an absolute one", "chain.sif", "images/v2/a.sif"},
			{"an absolute link to the volume itself", "top/images/v2/a.sif", "images/v2/a.sif"},
			{"as many links as the kernel allows", longest, "images/v2/a.sif"},
			{"a sandbox directory", "box", "box"},
			{"a link to a sandbox directory", "box.sif", "box"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				f, err := r.Open(tc.path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if f.Path() != tc.real {
					t.Errorf("Path() = %q, want %q", f.Path(), tc.real)
				}
				if f.Info().Kind == Sandbox {
					if _, err := f.Descriptor().Readdirnames(1); err != nil {
						t.Errorf("the sandbox cannot be listed: %v", err)
					}
					return
				}
				content := make([]byte, f.Size())
				if _, err := f.ReadAt(content, 0); err != nil || string(content) != tc.real {
					t.Errorf("read %q, %v", content, err)
				}
				flags, err := unix.FcntlInt(f.Descriptor().Fd(), unix.F_GETFL, 0)
				if err != nil || flags&(unix.O_NONBLOCK|unix.O_ACCMODE|unix.O_PATH) != unix.O_RDONLY {
					t.Errorf("open flags %#x, %v", flags, err)
				}
			})
		}
	})
}

func TestOpenRefusesWithTheReasonAndTheCulprit(t *testing.T) {
	outside := newDisk(t).files("secret.sif")
	d := newDisk(t).files("a.sif", "sub/b.sif").folder("plain").
		fifo("fifo.sif").socket("socket.sif").
		link("environ.sif", "/proc/self/environ").
		link("fd.sif", "/proc/self/fd/0").
		link("passwd.sif", "/etc/passwd").
		link("sibling.sif", "/shared/containers-old/a.sif").
		link("up.sif", "sub/../../"+filepath.Base(outside.dir)+"/secret.sif").
		link("escape.sif", strings.Repeat("../", 30)+"etc/passwd").
		link("absolute-up.sif", "/shared/containers/../../etc/passwd").
		link("gone.sif", "sub/none.sif").
		link("gone-absolute.sif", "/shared/containers/none.sif").
		link("self.sif", "self.sif").
		link("ping.sif", "pong.sif").link("pong.sif", "/shared/containers/ping.sif").
		link("out", outside.dir)
	if os.Geteuid() == 0 {
		d.device("device.sif")
	}
	tooLong := "a.sif"
	for i := range maxLinks + 1 {
		name := fmt.Sprintf("chain/%02d", i)
		d.link(name, "/shared/containers/"+tooLong)
		tooLong = name
	}
	bothWays(t, d, "/shared/containers", func(t *testing.T, r *Root) {
		for _, tc := range []struct{ path, reason, says string }{
			{"fifo.sif", ReasonUnsupported, "a FIFO"},
			{"socket.sif", ReasonUnsupported, "a socket"},
			{"device.sif", ReasonUnsupported, "a character device"},
			{"plain", ReasonUnsupported, "no .singularity.d"},
			{".", ReasonUnsupported, "no .singularity.d"},
			{"environ.sif", ReasonUnsupported, "outside the volume, to /proc/self/environ (the volume is /shared/containers)"},
			{"fd.sif", ReasonUnsupported, "outside the volume, to /proc/self/fd/0"},
			{"passwd.sif", ReasonUnsupported, "outside the volume, to /etc/passwd"},
			{"sibling.sif", ReasonUnsupported, "outside the volume, to /shared/containers-old/a.sif"},
			{"up.sif", ReasonUnsupported, "outside the volume, to sub/../../"},
			{"escape.sif", ReasonUnsupported, "outside the volume, to ../../"},
			{"absolute-up.sif", ReasonUnsupported, "outside the volume, to /shared/containers/../../etc/passwd"},
			{"out/secret.sif", ReasonUnsupported, "outside the volume, to " + outside.dir},
			{"gone.sif", ReasonUnsupported, "a link to sub/none.sif, which does not exist"},
			{"gone-absolute.sif", ReasonUnsupported, "a link to /shared/containers/none.sif, which does not exist"},
			{tooLong, ReasonUnsupported, "more than 40 links"},
			{tooLong, ReasonUnsupported, "more than 40 links, the last to /shared/containers/a.sif"},
			{"self.sif", ReasonUnsupported, "more than 40 links"},
			{"ping.sif", ReasonUnsupported, "more than 40 links"},
			{"none.sif", ReasonNoTargets, "does not exist"},
			{"a.sif/b", ReasonNoTargets, "does not exist"},
			{"", ReasonUnsupported, ""},
			{"../a.sif", ReasonInvalidSpec, "not a path relative"},
			{"sub/../a.sif", ReasonInvalidSpec, "not a path relative"},
			{"/etc/passwd", ReasonInvalidSpec, "not a path relative"},
			{"a\x00.sif", ReasonInvalidSpec, "not a path relative"},
			{strings.Repeat("n", 300), ReasonUnsupported, "longer than the file system allows"},
		} {
			t.Run(tc.path, func(t *testing.T) {
				if tc.path == "device.sif" {
					needRoot(t)
				}
				f, err := r.Open(tc.path)
				if err == nil {
					f.Close()
				}
				e := wantError(t, err, tc.reason)
				if !strings.Contains(e.Message, tc.says) {
					t.Errorf("message %q does not say %q", e.Message, tc.says)
				}
			})
		}
	})
}

func TestOpenNamesTheUserThatIsRefused(t *testing.T) {
	d := newDisk(t).files("private.sif", "closed/a.sif", "open.sif").mode("private.sif", 0).mode("closed", 0)
	bothWays(t, d, "", func(t *testing.T, r *Root) {
		unprivileged(t, func() {
			for _, path := range []string{"private.sif", "closed/a.sif"} {
				if f, err := r.Open(path); err == nil {
					f.Close()
					t.Errorf("%s was opened", path)
				} else {
					var e *Error
					if !asError(err, &e) || e.Reason != ReasonPermissionDenied || e.Path != path {
						t.Errorf("%s: %v", path, err)
					}
				}
			}
			f, err := r.Open("open.sif")
			if err != nil {
				t.Errorf("a readable file next to them: %v", err)
				return
			}
			f.Close()
		})
	})
}

func TestOpenDoesNotWaitForALease(t *testing.T) {
	d := newDisk(t).files("leased.sif")
	holder, err := os.OpenFile(d.path("leased.sif"), os.O_RDWR, 0)
	d.must(err)
	defer holder.Close()
	if _, err := unix.FcntlInt(holder.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("this file system grants no lease: %v", err)
	}
	// The kernel tells the holder with SIGIO, which the Go runtime catches and drops.
	_, err = d.root("/").Open("leased.sif")
	wantError(t, err, ReasonChanging)
}

func TestOpenOnAWholeRootFileSystemRefusesKernelFiles(t *testing.T) {
	r, err := OpenRoot("/", "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d := newDisk(t).link("environ.sif", "/proc/self/environ").files("a.sif")
	_, err = r.Open(strings.TrimPrefix(d.path("environ.sif"), "/"))
	if e := wantError(t, err, ReasonUnsupported); !strings.Contains(e.Message, "a file of the kernel") {
		t.Error(e)
	}
	f, err := r.Open(strings.TrimPrefix(d.path("a.sif"), "/"))
	d.must(err)
	f.Close()
}

func TestAPathLongerThanPathMaxIsOpened(t *testing.T) {
	d := newDisk(t)
	name := strings.Repeat("d", 250)
	fd, err := unix.Open(d.dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	d.must(err)
	var path string
	for range 20 {
		d.must(unix.Mkdirat(fd, name, 0o755))
		next, err := unix.Openat(fd, name, unix.O_PATH|unix.O_DIRECTORY, 0)
		d.must(err)
		unix.Close(fd)
		fd, path = next, path+name+"/"
	}
	file, err := unix.Openat(fd, "a.sif", unix.O_CREAT|unix.O_WRONLY, 0o644)
	d.must(err)
	unix.Close(file)
	unix.Close(fd)
	bothWays(t, d, "", func(t *testing.T, r *Root) {
		f, err := r.Open(path + "a.sif")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		found, err := Discover(t.Context(), r, Spec{})
		if err != nil || len(found.Targets) != 1 || found.Targets[0].Path != path+"a.sif" {
			t.Errorf("Discover found %d targets, %v", len(found.Targets), err)
		}
	})
}

func TestOpenat2RefusedBySeccompIsNoticedOnce(t *testing.T) {
	d := newDisk(t).files("a.sif").link("b.sif", "/vol/a.sif")
	for _, answer := range []unix.Errno{unix.EPERM, unix.ENOSYS} {
		onThread(func() { refuseOpenat2(t, answer) }, func() {
			r, err := OpenRoot(d.dir, "/vol")
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if r.openat2 {
				t.Error("openat2 is believed to work")
			}
			f, err := r.Open("b.sif")
			if err != nil {
				t.Error(err)
				return
			}
			f.Close()
		})
	}
}

// refuseOpenat2 installs a seccomp filter on this thread, as container runtimes older than the call do.
func refuseOpenat2(t *testing.T, answer unix.Errno) {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: unix.SYS_OPENAT2},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(answer)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Error(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		t.Error(err)
	}
}

// Somebody exchanges names, atomically and without pause, while they are being opened.
func TestOpenIsNotFooledByNamesThatChangeMeanwhile(t *testing.T) {
	outside := newDisk(t).files("dir/a.sif")
	outside.must(os.WriteFile(outside.path("dir/a.sif"), []byte("secret"), 0o644))
	d := newDisk(t).files("dir/a.sif").link("evil", outside.path("dir")).
		files("file").fifo("fifo").link("out", outside.path("dir/a.sif"))
	swap := func(stop <-chan struct{}, a, b string) {
		for {
			select {
			case <-stop:
				return
			default:
				if err := unix.Renameat2(unix.AT_FDCWD, d.path(a), unix.AT_FDCWD, d.path(b), unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}
	bothWays(t, d, "/shared", func(t *testing.T, r *Root) {
		stop := make(chan struct{})
		var swappers sync.WaitGroup
		for _, pair := range [][2]string{{"dir", "evil"}, {"file", "fifo"}, {"file", "out"}} {
			swappers.Go(func() { swap(stop, pair[0], pair[1]) })
		}
		opened := 0
		for range 3000 {
			for _, path := range []string{"dir/a.sif", "evil/a.sif", "file", "fifo", "out"} {
				f, err := r.Open(path)
				if err != nil {
					continue
				}
				opened++
				var st unix.Stat_t
				d.must(unix.Fstat(int(f.Descriptor().Fd()), &st))
				content := make([]byte, 16)
				n, _ := f.ReadAt(content, 0)
				if !isRegular(&st) || string(content[:n]) == "secret" {
					t.Errorf("%s opened %q, mode %o", path, content[:n], st.Mode)
				}
				f.Close()
			}
		}
		close(stop)
		swappers.Wait()
		if opened == 0 {
			t.Error("nothing was ever opened, so nothing was tested")
		}
	})
}

func TestUnchangedNoticesEveryWrite(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(path string) error
		want   bool
	}{
		{"nothing happened", func(string) error { return nil }, true},
		{"the file grew", func(p string) error { return os.Truncate(p, 1<<20) }, false},
		{"the same size was written and mtime set back", func(p string) error {
			st, err := os.Stat(p)
			if err != nil {
				return err
			}
			if err := os.WriteFile(p, []byte("X.sif"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(p, st.ModTime(), st.ModTime())
		}, false},
		{"another file took its name", func(p string) error {
			if err := os.WriteFile(p+"~", nil, 0o644); err != nil {
				return err
			}
			return os.Rename(p+"~", p)
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDisk(t).files("a.sif")
			past := unix.NsecToTimespec(1e18)
			d.must(unix.UtimesNanoAt(unix.AT_FDCWD, d.path("a.sif"), []unix.Timespec{past, past}, 0))
			f, err := d.root("").Open("a.sif")
			d.must(err)
			defer f.Close()
			d.must(tc.change(d.path("a.sif")))
			if got := f.Unchanged(); got != tc.want {
				t.Errorf("Unchanged() = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	info := Info{Dev: 9, Ino: 7, Size: 4096, ModTime: 1700000000000000001, ChangeTime: 1700000000000000002, UID: 1}
	if got := Identity(info); got != "7:4096:1700000000000000001:1700000000000000002" {
		t.Error(got)
	}
	info.Kind = Sandbox
	if got := Identity(info); got != "" {
		t.Errorf("a sandbox has the identity %q, although its files can change without it", got)
	}
}

func TestOpenRootChecksTheMountPath(t *testing.T) {
	for _, bad := range []string{"relative", "/a/../b", "/a\x00"} {
		_, err := OpenRoot(t.TempDir(), bad)
		wantError(t, err, ReasonInvalidSpec)
	}
	if _, err := OpenRoot("/nonexistent", "/"); err == nil {
		t.Error("a missing volume was opened")
	}
}
