package squashfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// mostResident is what the agent may take for any image, in KiB. Its own code and data are some 40 MiB of that.
const mostResident = 200 << 10

// TestTheAgentReadsAnyImageInBoundedMemory runs the program itself, which no tool inflates: over every hostile image, and over
// images with the largest blocks.
func TestTheAgentReadsAnyImageInBoundedMemory(t *testing.T) {
	dir := t.TempDir()
	agent := filepath.Join(dir, "node-agent")
	build := exec.Command("go", "build", "-trimpath", "-o", agent, "../../cmd/node-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // compiled as the images' are: most of it is in the build cache
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	images := filepath.Join(dir, "images")
	if err := os.Mkdir(images, 0o755); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for i, h := range hostile {
		path := filepath.Join(images, fmt.Sprintf("hostile-%d.squashfs", i))
		paths = append(paths, path)
		if err := os.WriteFile(path, h.image(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := fixtures.NewTree(filepath.Join(dir, "tree"))
	for i := range uint64(6) {
		tree.Filled(fmt.Sprintf("filled-%d", i), i, 2<<20)
	}
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	for _, compression := range []string{"gzip", "xz", "zstd", "lz4"} {
		path := filepath.Join(images, compression+".squashfs")
		paths = append(paths, path)
		if err := (fixtures.Squashfs{Compression: compression, BlockSize: 1 << 20}).Make(tree.Root, path); err != nil {
			t.Fatal(err)
		}
	}
	largest := resident(t, exec.Command(agent, "scan", "--scan-types=pkg,secret,fileinsight", "--output-dir="+filepath.Join(dir, "reports"), images))
	for _, path := range paths {
		largest = max(largest, resident(t, exec.Command(agent, "extract", "--tmp-limit=64Mi", path, filepath.Join(dir, "out-"+filepath.Base(path)))))
	}
	t.Logf("at most %d MiB", largest>>10)
}

// measuring is set for a copy of this program that runs another one and tells its peak.
const measuring = "SIFSCAN_TEST_MEASURE"

func TestMain(m *testing.M) {
	if os.Getenv(measuring) == "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	_ = cmd.Run()
	if _, err := fmt.Fprint(os.NewFile(3, "peak"), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss); err != nil {
		os.Exit(99)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// resident runs the agent to a regular end, done or failed, and returns its peak in KiB. A small
// process runs it: what is started counts the peak of whoever started it as its own (fs/exec.c, exec_mmap).
func resident(t *testing.T, agent *exec.Cmd) int64 {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("/proc/self/exe", agent.Args...)
	cmd.Env = append(os.Environ(), measuring+"=1")
	cmd.ExtraFiles = []*os.File{write}
	out, _ := cmd.CombinedOutput()
	write.Close()
	var peak int64
	if _, err := fmt.Fscan(read, &peak); err != nil {
		t.Fatalf("%q told no peak: %v\n%.2000s", agent.Args[1:], err, out)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 1 || peak > mostResident {
		t.Errorf("%q: exit code %d, %d MiB, want at most %d\n%.2000s", agent.Args[1:], code, peak>>10, mostResident>>10, out)
	}
	return peak
}
