// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/process"
)

func TestANodeThatRefusesNamesTheSettingThatAllowsIt(t *testing.T) {
	const profile = "cri-containerd.apparmor.d (enforce)"
	for name, c := range map[string]struct {
		sight, attach error
		by            confined
		want          []string // of the message; none: not refused
	}{
		"nothing is refused":                    {nil, nil, confined{label: profile, yama: "1"}, nil},
		"the process ended meanwhile":           {unix.ENOENT, nil, confined{label: profile}, nil},
		"AppArmor":                              {unix.EACCES, unix.EACCES, confined{label: profile, yama: "1"}, []string{"AppArmor", `"cri-containerd.apparmor.d"`, "appArmorProfile", "Unconfined"}},
		"AppArmor lets look but not take":       {nil, unix.EACCES, confined{label: profile}, []string{"AppArmor", "appArmorProfile"}},
		"a profile that only complains":         {unix.EACCES, nil, confined{label: "x (complain)"}, []string{"does not say which"}},
		"SELinux":                               {unix.EACCES, unix.EACCES, confined{label: "system_u:system_r:container_t:s0:c1,c2", selinux: true}, []string{"SELinux", "container_t", "seLinuxOptions", "spc_t"}},
		"Yama":                                  {nil, unix.EPERM, confined{yama: "3"}, []string{"Yama", "ptrace_scope"}},
		"Yama, on a node with AppArmor":         {nil, unix.EPERM, confined{label: profile, yama: "3"}, []string{"Yama"}},
		"a seccomp profile without pidfd_getfd": {nil, unix.EPERM, confined{yama: "1"}, []string{"seccomp", "pidfd_getfd"}},
		"nobody says who":                       {unix.EPERM, unix.EPERM, confined{}, []string{"does not say which"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := policy(c.sight, c.attach, c.by)
			if (err != nil) != (c.want != nil) {
				t.Fatalf("%v", err)
			}
			if err == nil {
				return
			}
			if e := explain(err); e.Code != Policy {
				t.Errorf("code %s", e.Code)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func TestOneContainerThatIsOpenedShowsThatTheNodeRefusesNothing(t *testing.T) {
	file := Container{Container: process.Container{Starter: process.Identity{PID: os.Getpid()}, Source: process.FromImage}}
	denied := file
	denied.Problem = &Error{Denied, ""}
	for name, list := range map[string][]Container{
		"no container": nil, "one is open": {denied, file}, "one ended": {denied, {Container: file.Container, Problem: &Error{Vanished, ""}}},
		"only of this very process, which nobody refuses": {denied},
	} {
		if err := preflight(list); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheCapabilityIsReadFromTheStatusFile(t *testing.T) {
	for text, want := range map[string]bool{
		"CapInh:\t0\nCapEff:\t0000000000080004\n": true, "CapEff:\t0000000000000004\n": false, "CapPrm:\t0000000000080000\n": false, "CapEff:\tx\n": false, "": false,
	} {
		if got := mayTrace([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAFileSystemThatNeverAnswersCostsItsUserAndNobodyElse(t *testing.T) {
	s := &stuck{calls: map[int64]int{}}
	forever := make(chan struct{})
	defer close(forever)
	for range maxStuck + 2 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, &Error{Silent, "given up"})
		_, err := within(ctx, s, 4242, func() (int, error) { <-forever; return 1, nil })
		cancel()
		if e := explain(err); e.Code != Silent {
			t.Errorf("%v", err)
		}
	}
	if !s.full(4242) || s.calls[4242] != maxStuck {
		t.Errorf("%d calls of the user wait, and another one would: %v", s.calls[4242], !s.full(4242))
	}
	for range 100 { // that are answered
		if _, err := within(t.Context(), s, 4444, func() (int, error) { return 1, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := within(t.Context(), s, 4343, func() (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Errorf("another user's: %d, %v", got, err)
	}
}

func TestANodeWhoseProcessesTakeTooLongIsNotListedInPart(t *testing.T) {
	defer func(d time.Duration) { discoverWithin = d }(discoverWithin)
	discoverWithin = time.Nanosecond
	l, err := NewNode(process.Node(), nil).List(t.Context())
	if e := explain(err); l != nil || e.Code != Failed || !strings.Contains(e.Message, "were not all looked at within 1ns") {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestNobodyIsAskedAnyMoreWhenTheTimeForAllIsUp(t *testing.T) {
	s := &stuck{calls: map[int64]int{}}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Error{Silent, "the time is up"})
	_, err := within(ctx, s, 4242, func() (int, error) { t.Error("asked"); return 1, nil })
	if e := explain(err); e.Code != Silent || s.calls[4242] != 0 {
		t.Errorf("%v, %d calls wait", err, s.calls[4242])
	}
}

func TestAFileOnAnotherMountIsNotTheImageWhateverNumberItHas(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.sif")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(name string) *os.File {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	file := open(name)
	i := describe(held{file: file, path: name}, nil)
	if !i.is(file) || !i.is(open(name)) {
		t.Errorf("the image is not %+v", i)
	}
	if another := open(t.TempDir()); i.is(another) {
		t.Error("another file of the same mount is the image")
	}
	other := open("/proc/self/status")
	i.Inode = process.InodeOf(other) // as a file system of a user's may say
	if i.is(other) {
		t.Error("a file of another file system is the image")
	}
}

func TestOfSeveralDescriptorsOnlyOneIsTakenAndNoneIsLeftOpen(t *testing.T) {
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: network})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sender, err := net.DialUnix(network, nil, listener.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	receiver, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	toNull := func() (n int) {
		links, _ := filepath.Glob("/proc/self/fd/*") // the pattern is well-formed
		for _, link := range links {
			if to, _ := os.Readlink(link); to == os.DevNull {
				n++
			}
		}
		return n
	}
	before := toNull()
	fd := int(null.Fd())
	if _, _, err := sender.WriteMsgUnix([]byte("{}"), unix.UnixRights(fd, fd), nil); err != nil {
		t.Fatal(err)
	}
	var r reply
	file, err := receive(receiver, &r, maxReply, true)
	if err == nil || file != nil {
		t.Errorf("%v, %v", file, err)
	}
	if after := toNull(); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

func TestErrorsHaveCodes(t *testing.T) {
	for code, err := range map[Code]error{Vanished: process.ErrVanished, Denied: unix.EPERM, Failed: errors.New("x"), Silent: &Error{Silent, ""}} {
		if got := explain(err); got.Code != code {
			t.Errorf("%v: %s", err, got.Code)
		}
	}
	if explain(&fs.PathError{Op: "open", Err: unix.EACCES}).Code != Denied {
		t.Error("EACCES is no denial")
	}
}

func TestTheKeyIsOfTheFileAndNotOfAnythingAUserSays(t *testing.T) {
	nfs := Image{Path: "/shared/a.sif", FileSystem: "nfs4", Source: "srv:/export", Device: "0:50", Within: "/a.sif", Known: true, Inode: 7, Size: 1, ModTime: 2, ChangeTime: 3}
	with := func(change func(i *Image)) Image { i := nfs; change(&i); return i }
	for name, c := range map[string]struct {
		other Image
		node  string
		key   bool // equal
		live  bool
	}{
		"another node":                {nfs, "n2", true, true},
		"mounted elsewhere":           {with(func(i *Image) { i.Path, i.Device = "/mnt/a.sif", "0:99" }), "n2", true, true},
		"another content":             {with(func(i *Image) { i.ChangeTime = 4 }), "n1", false, true},
		"another file":                {with(func(i *Image) { i.Inode, i.Within = 8, "/b.sif" }), "n1", false, false},
		"another export":              {with(func(i *Image) { i.Source = "other:/export" }), "n1", false, false},
		"a FUSE that calls itself so": {with(func(i *Image) { i.FileSystem = "fuse.sshfs" }), "n1", false, false},
	} {
		if got := nfs.Key("n1") == c.other.Key(c.node); got != c.key {
			t.Errorf("%s: key equal %v", name, got)
		}
		if got := nfs.Live("n1") == c.other.Live(c.node); got != c.live {
			t.Errorf("%s: name equal %v", name, got)
		}
	}
	local := with(func(i *Image) { i.FileSystem = "ext4" })
	if local.Key("n1") == local.Key("n2") || local.Live("n1") == local.Live("n2") {
		t.Error("a node's own file system is no other node's")
	}
	if (&Image{}).Key("n1") != "" {
		t.Error("a file nobody knows has a key")
	}
}
