package execution

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// role is what this test binary does when it is executed as an engine.
const role = "EXECUTION_TEST_ROLE"

var roles = map[string]func(){
	"environment": func() {
		for _, e := range os.Environ() {
			fmt.Println(e)
		}
		dir, _ := os.Getwd()
		fmt.Println("cwd=" + dir)
	},
	"noise": func() {
		for i := range 300_000 {
			fmt.Println("line", i)
		}
	},
	"hang":  func() { time.Sleep(time.Hour) },
	"eat":   func() { eat(512 << 20) },
	"files": func() { files() },
	"daemon": func() { // a child in a session of its own, whose parent is gone, that holds the output open
		child := exec.Command("/proc/self/exe")
		child.Env = []string{role + "=middle"}
		child.SysProcAttr, child.Stdout = &syscall.SysProcAttr{Setsid: true}, os.Stdout
		if err := child.Run(); err != nil {
			panic(err)
		}
	},
	"middle": func() {
		child := exec.Command("/proc/self/exe")
		child.Env = []string{role + "=hang"}
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Println("daemon", child.Process.Pid)
	},
}

func eat(n int) {
	var kept [][]byte
	for range n >> 20 {
		kept = append(kept, bytes.Repeat([]byte{1}, 1<<20))
		time.Sleep(2 * time.Millisecond) // so that it is seen before the machine has none left
	}
	time.Sleep(time.Hour)
	fmt.Println(len(kept))
}

func files() {
	for i := 0; ; i++ {
		name := filepath.Join(os.Getenv("TMPDIR"), strconv.Itoa(i))
		if err := os.WriteFile(name, make([]byte, 64<<10), 0o600); err != nil {
			panic(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestMain(m *testing.M) {
	if do, ok := roles[os.Getenv(role)]; ok {
		do()
		return
	}
	os.Exit(m.Run())
}

// command executes this test binary in a role.
func command(t *testing.T, name string, budget engine.Budget) Command {
	t.Helper()
	budget.Dir = t.TempDir()
	dirs, err := Prepare(budget.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return Command{Name: "engine", Path: "/proc/self/exe", Env: []string{role + "=" + name}, Dirs: dirs, Budget: budget}
}

func TestAProgramGetsItsOwnDirectoriesAndNothingElse(t *testing.T) {
	t.Setenv("SECRET_OF_THE_AGENT", "x")
	c := command(t, "environment", engine.Budget{Memory: 1000 << 20, CPUs: 3})
	out, err := Run(context.Background(), c)
	if err != nil || out.ExitCode != 0 {
		t.Fatal(out, err)
	}
	want := fmt.Sprintf("HOME=%s\nTMPDIR=%s\nXDG_CACHE_HOME=%s\nXDG_CONFIG_HOME=%s/.config\n%s=environment\nGOMEMLIMIT=943718400\nGOMAXPROCS=3\ncwd=%s\n",
		c.Dirs.Home, c.Dirs.Tmp, c.Dirs.Cache, c.Dirs.Home, role, c.Dirs.Home)
	if out.Stdout != want {
		t.Errorf("it sees\n%swant\n%s", out.Stdout, want)
	}
}

func TestTheEndOfALongOutputIsKept(t *testing.T) {
	out, err := Run(context.Background(), command(t, "noise", engine.Budget{}))
	if err != nil || len(out.Stdout) > maxOutput || !strings.HasSuffix(out.Stdout, "line 299999\n") {
		t.Errorf("%d bytes are kept: %v", len(out.Stdout), err)
	}
}

func TestAProgramIsStoppedForWhatItTakes(t *testing.T) {
	for name, c := range map[string]struct {
		role, reason, says string
		budget             engine.Budget
	}{
		"memory":           {"eat", v1alpha1.ReasonOOMKilled, "raise spec.resources.limits.memory, for instance to 256Mi", engine.Budget{Memory: 96 << 20, MemoryLimit: 128 << 20}},
		"disk":             {"files", v1alpha1.ReasonTmpExhausted, "raise spec.tmp.sizeLimit (--tmp-limit), for instance to 2Gi", engine.Budget{Tmp: 64 << 20, TmpLimit: 1 << 30}},
		"memory on a node": {"eat", v1alpha1.ReasonOOMKilled, "raise --node-scans-memory-limit", engine.Budget{Memory: 96 << 20, SetBy: engine.ByOperator}},
		"disk on a node":   {"files", v1alpha1.ReasonTmpExhausted, "raise --node-scans-tmp-limit", engine.Budget{Tmp: 64 << 20, SetBy: engine.ByOperator}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, c.role, c.budget)
			_, err := Run(context.Background(), cmd)
			if engine.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %s", err, c.reason)
			}
			if used := cmd.Dirs.usage(); c.budget.Tmp > 0 && used > c.budget.Tmp {
				t.Errorf("%d bytes were written, the limit is %d", used, c.budget.Tmp)
			}
			if left := childrenOf(os.Getpid()); len(left) != 0 {
				t.Errorf("children are left: %v", left)
			}
		})
	}
}

func TestAnEndedContextEndsTheProgram(t *testing.T) {
	late, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := Run(late, command(t, "hang", engine.Budget{}))
	if engine.ReasonOf(err) != v1alpha1.ReasonDeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	cancelled, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Run(cancelled, command(t, "hang", engine.Budget{})); !errors.Is(err, context.Canceled) {
		t.Errorf("after the cancellation: %v", err)
	}
}

func TestADaemonThatAProgramLeavesIsEnded(t *testing.T) {
	out, err := Run(context.Background(), command(t, "daemon", engine.Budget{}))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(out.Stdout, "daemon %d", &pid); err != nil {
		t.Fatalf("%q: %v", out.Stdout, err)
	}
	if state, _ := stateOf(pid); state != 0 {
		t.Errorf("the daemon %d is in state %c", pid, state)
	}
}

func TestAProgramThatCannotBeStartedIsAFailureOfTheEngine(t *testing.T) {
	c := command(t, "hang", engine.Budget{})
	c.Path = filepath.Join(c.Budget.Dir, "absent")
	if _, err := Run(context.Background(), c); engine.ReasonOf(err) != v1alpha1.ReasonEngineFailed || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestPrepareEmptiesTheOutputOfTheLastRun(t *testing.T) {
	dir := t.TempDir()
	dirs, err := Prepare(dir)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dirs.Output, "old"), nil, 0o600), os.WriteFile(filepath.Join(dirs.Cache, "kept"), nil, 0o600))
	}
	if err == nil {
		_, err = Prepare(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dirs.Output, "old")); err == nil {
		t.Error("the old output is still there")
	}
	if _, err := os.Stat(filepath.Join(dirs.Cache, "kept")); err != nil {
		t.Error("the cache is gone")
	}
}
