// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// twoFaced is a FUSE with one file, image, that has one content for the program agent and another for all others.
type twoFaced struct {
	device       int
	shown, plain []byte // of one length
}

// mountTwoFaced mounts it as fusermount does for the user.
func mountTwoFaced(t *testing.T, dir string, shown, plain []byte) {
	t.Helper()
	size := max(len(shown), len(plain))
	pad := func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, size-len(b))...) }
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		err = unix.Mount("own", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%[2]d,allow_other", device, user))
	}
	if err != nil {
		t.Fatal(err)
	}
	f := twoFaced{device, pad(shown), pad(plain)}
	ended := make(chan error, 1)
	go func() { ended <- f.serve() }()
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		unix.Close(device)
	})
}

// The messages are those of linux/fuse.h.
type (
	fuseIn struct {
		Len, Opcode        uint32
		Unique, Node       uint64
		UID, GID, PID, Pad uint32
	}
	fuseOut struct {
		Len    uint32
		Error  int32
		Unique uint64
	}
	fuseInit struct {
		Major, Minor, Readahead, Flags uint32
		Background, Congestion         uint16
		MaxWrite, Granularity          uint32
		MaxPages, Alignment            uint16
		_                              [8]uint32
	}
	fuseAttr struct {
		Inode, Size, Blocks, Atime, Mtime, Ctime       uint64
		AtimeNS, MtimeNS, CtimeNS, Mode                uint32
		Links, UID, GID, Device, BlockSize, Attributes uint32
	}
	fuseAttrOut struct {
		Valid   uint64
		NS, Pad uint32
		fuseAttr
	}
	fuseEntry struct {
		Node, Generation, Valid, AttrValid uint64
		NS, AttrNS                         uint32
		fuseAttr
	}
	fuseOpen struct {
		Handle     uint64
		Flags, Pad uint32
	}
	fuseRead struct {
		Handle, Offset uint64
		Size           uint32
	}
)

const (
	opLookup, opForget, opGetattr, opOpen, opRead, opRelease, opFlush, opInit, opInterrupt, opForgetAll = 1, 2, 3, 14, 15, 18, 25, 26, 36, 42

	rootNode, imageNode = 1, 2
	directIO            = 1 // no page cache: each reader is asked for
)

// serve answers until the file system is unmounted.
func (f *twoFaced) serve() error {
	packet := make([]byte, 1<<20)
	for {
		n, err := unix.Read(f.device, packet)
		switch err {
		case nil:
		case unix.ENODEV:
			return nil
		case unix.EINTR, unix.ENOENT:
			continue
		default:
			return err
		}
		var in fuseIn
		size, err := binary.Decode(packet[:n], binary.NativeEndian, &in)
		if err != nil {
			return err
		}
		if in.Opcode == opForget || in.Opcode == opForgetAll || in.Opcode == opInterrupt {
			continue // they have no answer
		}
		var body bytes.Buffer
		answer, errno := f.answer(in, packet[size:n])
		if answer != nil {
			if err := binary.Write(&body, binary.NativeEndian, answer); err != nil {
				return err
			}
		}
		out := fuseOut{uint32(16 + body.Len()), -int32(errno), in.Unique}
		reply, err := binary.Append(nil, binary.NativeEndian, out)
		if err != nil {
			return err
		}
		if _, err := unix.Write(f.device, append(reply, body.Bytes()...)); err != nil && err != unix.ENOENT { // who asked was killed
			return err
		}
	}
}

func (f *twoFaced) answer(in fuseIn, body []byte) (any, unix.Errno) {
	switch in.Opcode {
	case opInit:
		return fuseInit{Major: 7, Minor: 31, MaxWrite: 64 << 10}, 0
	case opLookup:
		if string(bytes.TrimRight(body, "\x00")) != "image" {
			return nil, unix.ENOENT
		}
		return fuseEntry{Node: imageNode, fuseAttr: f.attr(imageNode)}, 0
	case opGetattr:
		return fuseAttrOut{fuseAttr: f.attr(in.Node)}, 0
	case opOpen:
		return fuseOpen{Flags: directIO}, 0
	case opRelease, opFlush:
		return nil, 0
	case opRead:
		var read fuseRead
		if _, err := binary.Decode(body, binary.NativeEndian, &read); err != nil {
			return nil, unix.EINVAL
		}
		content := f.plain
		if program, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", in.PID)); program == agent {
			content = f.shown
		}
		from := min(read.Offset, uint64(len(content)))
		return content[from:min(from+uint64(read.Size), uint64(len(content)))], 0
	}
	return nil, unix.ENOSYS
}

func (f *twoFaced) attr(node uint64) fuseAttr {
	a := fuseAttr{Inode: node, Mode: unix.S_IFDIR | 0o755, Links: 1, UID: user, GID: user, BlockSize: 4096}
	if node == imageNode {
		a.Mode, a.Size = unix.S_IFREG|0o644, uint64(len(f.plain))
	}
	return a
}

// docs/live.md says so: nobody but the user's own program knows what it tells whom.
func TestAUsersOwnFileSystemCanShowTheScannerWhatHisProcessesDoNotSee(t *testing.T) {
	work := t.TempDir()
	other, squashfs := filepath.Join(work, "other.sif"), filepath.Join(work, "squashfs")
	err := fixtures.NewTree(filepath.Join(work, "tree")).With(fixtures.Debian).With(fixtures.Node).Done()
	if err == nil {
		err = fixtures.Squashfs{}.Make(filepath.Join(work, "tree"), squashfs)
	}
	if err == nil {
		err = fixtures.NewSIF(runtime.GOARCH).System(squashfs).Write(other)
	}
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	mountTwoFaced(t, at("own"), read(other), read(at("science.sif")))
	c := startImage(t, "own/image").Containers[0]
	report, r := scanPID(t, c.Command)
	if report == nil {
		t.Fatalf("scan ended with %d\n%s", r.exit, r.stderr)
	}
	equal(t, "packages that the scan shows", report.Report.Summary.Packages, debianPackages+1)
	inside := fmt.Sprintf("/proc/%d/root", c.Command)
	if _, err := os.Stat(inside + "/usr/lib/part-0.so"); err != nil {
		t.Errorf("the container runs something else than its image: %v", err)
	}
	equal(t, "owner", report.Report.Target.UID, int64(user))
}
