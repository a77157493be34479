package rootfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// wantMode is what extraction makes of a mode.
func wantMode(m fs.FileMode) fs.FileMode {
	m &^= fs.ModeSetuid | fs.ModeSetgid
	switch {
	case m.IsDir():
		return m | 0o700
	case m.IsRegular():
		return m&^fs.ModeSticky | 0o400
	}
	return m
}

func stat(t *testing.T, path string) (os.FileInfo, *syscall.Stat_t) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info, info.Sys().(*syscall.Stat_t)
}

func TestExtractionEqualsTheSourceTreeAndUnsquashfs(t *testing.T) {
	var cases []fixtures.Squashfs
	for _, compression := range []string{"gzip", "zstd", "xz", "lz4"} {
		for _, size := range []int{4 << 10, 128 << 10, 1 << 20} {
			cases = append(cases, fixtures.Squashfs{Compression: compression, BlockSize: size})
		}
	}
	for _, option := range []string{"-no-fragments", "-always-use-fragments", "-no-duplicates", "-no-exports", "-noI", "-noD", "-tailends"} {
		cases = append(cases, fixtures.Squashfs{Compression: "zstd", BlockSize: 4 << 10, Extra: []string{option}})
	}
	for _, s := range cases {
		t.Run(fmt.Sprintf("%s %d %s", s.Compression, s.BlockSize, strings.Join(s.Extra, " ")), func(t *testing.T) {
			tree, image := awkwardTree(t, s)
			img, _ := openFS(t, image)
			dir := inMemory(t, 256<<20)
			ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
			if _, err := img.Extract(context.Background(), ours, rootfs.ExtractOptions{}); err != nil {
				t.Fatal(err)
			}
			compareTrees(t, tree, ours, s.BlockSize)
			unsquashfs(t, image, theirs)
			compareTrees(t, theirs, ours, s.BlockSize)
		})
	}
}

// compareTrees walks what was extracted and another tree, which it should equal, at once.
func compareTrees(t *testing.T, tree, out string, blockSize int) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(tree, path)
		want, wantStat := stat(t, path)
		if want.Mode()&(fs.ModeNamedPipe|fs.ModeDevice|fs.ModeSocket) != 0 {
			if _, err := os.Lstat(filepath.Join(out, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q was extracted", name)
			}
			return nil
		}
		seen++
		got, gotStat := stat(t, filepath.Join(out, name))
		if got.Mode() != wantMode(want.Mode()) {
			t.Errorf("%q has mode %v, want %v", name, got.Mode(), wantMode(want.Mode()))
		}
		if !got.ModTime().Equal(want.ModTime()) {
			t.Errorf("%q was modified at %v, want %v", name, got.ModTime(), want.ModTime())
		}
		switch {
		case want.Mode().IsRegular():
			a, _ := os.ReadFile(path)
			b, err := os.ReadFile(filepath.Join(out, name))
			if err != nil || !bytes.Equal(a, b) {
				t.Errorf("%q differs: %v", name, err)
			}
			if gotStat.Nlink != wantStat.Nlink {
				t.Errorf("%q has %d names, want %d", name, gotStat.Nlink, wantStat.Nlink)
			}
			// A block is a hole as a whole or not at all: smaller holes are lost by mksquashfs.
			if gotStat.Blocks > wantStat.Blocks && (name == "awkward/hole" || name == "awkward/sparse" && blockSize == 4096) {
				t.Errorf("%q takes %d sectors, its source %d: holes were filled", name, gotStat.Blocks, wantStat.Blocks)
			}
		case want.Mode()&fs.ModeSymlink != 0:
			a, _ := os.Readlink(path)
			b, err := os.Readlink(filepath.Join(out, name))
			if err != nil || a != b {
				t.Errorf("%q points to %q, want %q", name, b, a)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 30 {
		t.Fatalf("only %d files compared", seen)
	}
}

func TestUserXattrsAreKeptAndPrivilegesAreNot(t *testing.T) {
	dir := t.TempDir()
	tree := fixtures.NewTree(filepath.Join(dir, "tree")).File("f", "x").Dir("d").
		Xattr("f", "user.a", "1").Xattr("d", "user.b", "2").Xattr("f", "security.capability", "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00").Mode("f", 0o444)
	if err := tree.Done(); err != nil {
		t.Skipf("the file system of tests takes no xattrs: %v", err)
	}
	image := filepath.Join(dir, "image")
	if err := (fixtures.Squashfs{}).Make(tree.Root, image); err != nil {
		t.Fatal(err)
	}
	img, _ := openFS(t, image)
	out := filepath.Join(dir, "out")
	if _, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for path, want := range map[string]string{"f": "user.a\x00", "d": "user.b\x00"} {
		n, err := unix.Listxattr(filepath.Join(out, path), buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("%s has the xattrs %q, %v; want %q", path, buf[:max(n, 0)], err, want)
		}
	}
}

func TestWhatDoesNotFitIsRefusedBeforeTheFirstByte(t *testing.T) {
	_, image := awkwardTree(t, fixtures.Squashfs{})
	img, _ := openFS(t, image)
	sizes, err := img.Sizes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	_, err = img.Extract(context.Background(), out, rootfs.ExtractOptions{Limit: sizes.Disk - 1})
	var e *rootfs.Error
	if !errors.As(err, &e) || e.Reason != rootfs.ReasonTmpTooSmall || !strings.Contains(e.Message, "raise it to at least") {
		t.Errorf("got %v", err)
	}
	mustBeGone(t, out)
	if _, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{Limit: sizes.Disk}); err != nil {
		t.Errorf("what fits exactly: %v", err)
	}
	// The promise was true: du counts no more than Disk said.
	if used := diskUsage(t, out); used > sizes.Disk {
		t.Errorf("takes %d bytes of disk, %d were announced", used, sizes.Disk)
	}
}

func diskUsage(t *testing.T, root string) (used int64) {
	t.Helper()
	seen := map[uint64]bool{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if _, st := stat(t, path); !seen[st.Ino] {
			seen[st.Ino] = true
			used += st.Blocks * 512
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// mustBeGone fails when an extraction left anything.
func mustBeGone(t *testing.T, out string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", e.Name())
	}
}

func TestACancelledExtractionEndsAtOnceAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	tree := fixtures.NewTree(filepath.Join(dir, "tree"))
	for i := range 40 {
		tree.Filled(string(rune('A'+i)), uint64(i), 1<<20)
	}
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	if err := (fixtures.Squashfs{}).Make(tree.Root, image); err != nil {
		t.Fatal(err)
	}
	img, _ := openFS(t, image)
	before := openDescriptors(t)
	out := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(context.Background())
	cancelled := make(chan time.Time, 1)
	go func() { // as soon as the first file is there
		for ; ; runtime.Gosched() {
			if names, _ := os.ReadDir(out + ".partial"); len(names) > 0 {
				cancelled <- time.Now()
				cancel()
				return
			}
		}
	}()
	_, err := img.Extract(ctx, out, rootfs.ExtractOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(<-cancelled); took > time.Second {
		t.Errorf("went on for %v", took)
	}
	mustBeGone(t, out)
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors were open before, %d after", before, after)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestWhatACrashLeftIsRemovedAndARunningExtractionIsNot(t *testing.T) {
	_, image := awkwardTree(t, fixtures.Squashfs{})
	img, _ := openFS(t, image)
	out := filepath.Join(t.TempDir(), "out")
	if err := fixtures.NewTree(out+".partial").File("deep/er/left", "x").Mode("deep/er", 0o500).Done(); err != nil {
		t.Fatal(err)
	}
	running, err := os.Open(out + ".partial")
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if err := unix.Flock(int(running.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{}); err == nil || !strings.Contains(err.Error(), "another extraction") {
		t.Errorf("beside a running extraction: %v", err)
	}
	if _, err := os.Stat(out + ".partial/deep/er/left"); err != nil {
		t.Errorf("the running extraction was disturbed: %v", err)
	}
	running.Close() // as when it is killed
	if _, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "deep")); err == nil {
		t.Error("what the crash left was taken over")
	}
	if _, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a directory with files: %v", err)
	}
}

func TestAHostileImageIsExtractedNowhere(t *testing.T) {
	type entry = fixtures.ForgedEntry
	outside := filepath.Join(t.TempDir(), "outside")
	f := &fixtures.Forge{}
	broken := f.File("content")
	broken.Blocks[0] = 7 // no zlib stream
	for name, root := range map[string]*fixtures.ForgedNode{
		"a name with ..":     fixtures.ForgedDir(entry{Name: "../../outside", Node: f.File("x")}),
		"an absolute name":   fixtures.ForgedDir(entry{Name: outside, Node: f.File("x")}),
		"a link and a file":  fixtures.ForgedDir(entry{Name: "a", Node: fixtures.ForgedLink(outside)}, entry{Name: "a", Node: f.File("x")}),
		"a broken last file": fixtures.ForgedDir(entry{Name: "a", Node: f.File("x")}, entry{Name: "b", Node: broken}),
	} {
		t.Run(name, func(t *testing.T) {
			f.Root = root
			b := f.Image()
			img, err := rootfs.Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "out")
			_, err = img.Extract(context.Background(), out, rootfs.ExtractOptions{})
			var e *rootfs.Error
			if !errors.As(err, &e) || e.Reason != rootfs.ReasonCorruptImage {
				t.Errorf("got %v", err)
			}
			mustBeGone(t, out)
			if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a file appeared outside")
			}
		})
	}
}

func TestADeepTreeIsExtractedWithFewDescriptors(t *testing.T) {
	const depth = 1500
	f := &fixtures.Forge{}
	dir := fixtures.ForgedDir(fixtures.ForgedEntry{Name: "f", Node: f.File("deep")})
	for range depth {
		dir = fixtures.ForgedDir(fixtures.ForgedEntry{Name: "a", Node: dir}, fixtures.ForgedEntry{Name: "b", Node: f.File("beside")})
	}
	f.Root = dir
	b := f.Image()
	img, err := rootfs.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: 400, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	out := filepath.Join(t.TempDir(), "out")
	sizes, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if sizes.Directories != depth+1 || sizes.Files != depth+1 {
		t.Errorf("%+v", sizes)
	}
	if got, err := os.ReadFile(filepath.Join(out, strings.Repeat("a/", depth), "f")); err != nil || string(got) != "deep" {
		t.Errorf("%q, %v", got, err)
	}
}

// Scans run as any user, who cannot change owners and is bound by permissions.
func TestAUserWithoutPrivilegesExtractsAndReadsEverything(t *testing.T) {
	if image := os.Getenv("EXTRACT_IMAGE"); image != "" {
		img, _ := openFS(t, image)
		out := os.Getenv("EXTRACT_OUT")
		if _, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"awkward/closed/inside", "awkward/unreadable"} {
			if _, err := os.ReadFile(filepath.Join(out, name)); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(out); err != nil {
			t.Error(err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	_, image := awkwardTree(t, fixtures.Squashfs{})
	out := t.TempDir()
	if err := os.Chown(out, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(out, "test")
	if b, err := os.ReadFile("/proc/self/exe"); err != nil || os.WriteFile(program, b, 0o755) != nil {
		t.Fatal("cannot copy the test program")
	}
	for dir := out; dir != "/"; dir = filepath.Dir(dir) { // t.TempDir is private to us
		if info, _ := stat(t, dir); info.Mode()&0o005 != 0o005 {
			if err := os.Chmod(dir, info.Mode()|0o055); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := os.ReadFile(image)
	if err != nil || os.WriteFile(filepath.Join(out, "image"), b, 0o644) != nil {
		t.Fatal("cannot copy the image")
	}
	cmd := exec.Command(program, "-test.run", "^TestAUserWithoutPrivilegesExtractsAndReadsEverything$")
	cmd.Dir = out
	cmd.Env = append(os.Environ(), "EXTRACT_IMAGE="+filepath.Join(out, "image"), "EXTRACT_OUT="+filepath.Join(out, "out"), "TMPDIR="+out)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, msg)
	}
}
