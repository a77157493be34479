// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// sleeper starts a process that lives until the test ends it.
func sleeper(t testing.TB) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "infinity")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c
}

func identityOf(t *testing.T, pid int) Identity {
	t.Helper()
	text, err := os.ReadFile((&Held{Identity: Identity{PID: pid}}).path("stat"))
	p, ok := parseStat(text)
	if err != nil || !ok {
		t.Fatal(err)
	}
	return p.Identity
}

func TestAProcessThatEndedIsNeverTakenForTheNextOneWithItsNumber(t *testing.T) {
	c := sleeper(t)
	id := identityOf(t, c.Process.Pid)
	if _, err := Hold(Identity{id.PID, id.Start + 1}); !errors.Is(err, ErrVanished) {
		t.Errorf("another start: %v", err)
	}
	h, err := Hold(id)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Check(); err != nil {
		t.Errorf("alive: %v", err)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if err := h.Check(); !errors.Is(err, ErrVanished) {
		t.Errorf("ended: %v", err)
	}
	if _, err := h.Mounts(); !errors.Is(err, ErrVanished) {
		t.Errorf("mounts of one that ended: %v", err)
	}
	if _, err := Hold(id); !errors.Is(err, ErrVanished) {
		t.Errorf("hold one that ended: %v", err)
	}
}

func TestOpenFilesOfAProcessAreListedAndTaken(t *testing.T) {
	name := filepath.Join(t.TempDir(), "held")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	h, err := Hold(identityOf(t, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	files, err := h.OpenFiles()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(files, func(o OpenFile) bool { return o.Shown == name+" (deleted)" })
	if i < 0 {
		t.Fatalf("%+v", files)
	}
	taken, err := h.File(files[i])
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if path, deleted := h.Name(files[i], taken); path != name || !deleted {
		t.Errorf("%q, deleted %v", path, deleted)
	}
	got := make([]byte, 7)
	if _, err := taken.ReadAt(got, 0); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	st, _ := taken.Stat()
	if InodeOf(taken) != st.Sys().(*syscall.Stat_t).Ino {
		t.Errorf("inode %d", InodeOf(taken))
	}
}

func TestARootThatIsNotTheContainersIsNotOpened(t *testing.T) {
	h, err := Hold(identityOf(t, sleeper(t).Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	mounts, err := h.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	root := mounts[slices.IndexFunc(mounts, func(m Mount) bool { return m.Point == "/" })]
	f, err := h.Root(root)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	root.ID++
	if f, err := h.Root(root); err == nil {
		f.Close()
		t.Error("a root on another mount is opened")
	}
}

// spent is the CPU time of this process.
func spent(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestDiscoveryAmong2000ProcessesTakesLessThanASecondOfCPU(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts 2,000 processes")
	}
	for range 2000 {
		sleeper(t)
	}
	before := spent(t)
	found, err := Discover(t.Context(), Node())
	took := spent(t) - before
	if err != nil || found.Processes < 2000 {
		t.Fatalf("%d processes, %v", found.Processes, err)
	}
	t.Logf("%d processes in %s of CPU", found.Processes, took)
	if took > time.Second {
		t.Errorf("%s", took)
	}
}
