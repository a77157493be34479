// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/opener"
)

// hoard lists one container with the longest names there are, and hands out a file.
type hoard struct {
	file  string
	lists atomic.Int32
}

func (h *hoard) List(context.Context) (*opener.Listing, error) {
	h.lists.Add(1)
	c := opener.Container{Image: opener.Image{Path: strings.Repeat(`\xff`, 4096), Within: strings.Repeat(`\xff`, 4096)}}
	c.ID, c.Claimed, c.Processes = "1", strings.Repeat("\xff", 4096), make([]int, 1024)
	for i := range c.Processes {
		c.Processes[i] = 4_194_303
	}
	return &opener.Listing{Containers: []opener.Container{c}, Processes: 7, Left: 1}, nil
}
func (h *hoard) Take(context.Context, string, opener.What) (*os.File, error) { return os.Open(h.file) }
func (h *hoard) Close() error                                                { return nil }

func TestTheLongestNamesFitIntoAPacket(t *testing.T) {
	client := served(t, &hoard{})
	l, err := client.List(t.Context())
	if err != nil || len(l.Containers) != 1 || l.Processes != 7 || l.Left != 1 || len(l.Containers[0].Image.Path) != 4*4096 {
		t.Errorf("%+v, %v", l, err)
	}
}

// several lists containers.
type several struct {
	hoard
	containers []opener.Container
}

func (s *several) List(context.Context) (*opener.Listing, error) {
	return &opener.Listing{Containers: s.containers}, nil
}

func TestAContainerWithNamesBeyondAllBoundsCostsNobodyElseTheListing(t *testing.T) {
	var boundless, plain opener.Container
	boundless.ID, plain.ID = "1", "2"
	boundless.Image = opener.Image{Path: "/a.sif", Device: "0:7", Known: true, Source: strings.Repeat("\xff", 64<<10)}
	boundless.Processes = []int{7}
	plain.Image.Path = "/b.sif"
	l, err := served(t, &several{containers: []opener.Container{boundless, plain}}).List(t.Context())
	if err != nil || len(l.Containers) != 2 || l.Containers[1].Image.Path != "/b.sif" {
		t.Fatalf("%+v, %v", l, err)
	}
	if c := l.Containers[0]; c.ID != "1" || !c.Has(7) || c.Problem == nil || c.Image.Key("n1") != "" {
		t.Errorf("it is told as %+v", c)
	}
}

// raw connects to a socket as a user, sends a packet and returns the answer; nothing where the connection is closed.
func raw(t *testing.T, path string, user int, packet []byte, rights []byte) string {
	t.Helper()
	answer := make(chan string)
	go func() {
		runtime.LockOSThread() // and never unlocked: a thread that changed its user is not used again
		defer close(answer)
		// The system call itself: the library's would change all threads.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(user), uintptr(user), uintptr(user)); errno != 0 {
			t.Error(errno)
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Error(err)
			return
		}
		_ = unix.Sendmsg(fd, packet, rights, nil, unix.MSG_NOSIGNAL) // refused: closed by now
		buf := make([]byte, 128<<10)
		n, _ := unix.Read(fd, buf)
		answer <- string(buf[:max(n, 0)])
	}()
	return <-answer
}

func TestStrangersAndNonsenseAreNotAnswered(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root becomes somebody else")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	h := &hoard{file: "/dev/null"}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- opener.Serve(ctx, socket, 65532, h, logr.Discard()) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	client, err := opener.Dial(t.Context(), socket) // it is there
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	list, _ := json.Marshal(map[string]any{"list": true})
	for name, c := range map[string]struct {
		user    int
		packet  string
		rights  []byte
		answers bool
	}{
		"the scanner":                            {65532, string(list), nil, true},
		"root":                                   {0, string(list), nil, true},
		"somebody else":                          {4242, string(list), nil, false},
		"no JSON":                                {65532, "list", nil, false},
		"a request beyond all bounds":            {65532, `{"take":"` + strings.Repeat("x", 8<<10) + `"}`, nil, false},
		"a descriptor with a request is dropped": {65532, string(list), unix.UnixRights(0, 0, 0), true},
	} {
		if got := raw(t, socket, c.user, []byte(c.packet), c.rights); (got != "") != c.answers {
			t.Errorf("%s: answered with %.100q", name, got)
		}
	}
	if h.lists.Load() != 3 {
		t.Errorf("listed %d times", h.lists.Load())
	}
}
