package execution

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

func init() {
	roles["seat"] = func() {
		own := seatsOf(os.Getpid())
		fmt.Println("program", own)
		for _, seat := range seatsOf(os.Getppid()) {
			if seat == own[0] {
				fmt.Println("beside")
			}
		}
	}
	roles["gives way"] = func() {
		parent, _ := unix.Getpriority(unix.PRIO_PROCESS, os.Getppid())
		for own := parent; own > max(parent-10, 1); { // it is so from shortly after the start
			own, _ = unix.Getpriority(unix.PRIO_PROCESS, 0)
		}
	}
	roles["looked at"] = func() {
		for i := range 2000 { // so that a look takes milliseconds
			if err := os.WriteFile(filepath.Join(os.Getenv("TMPDIR"), strconv.Itoa(i)), nil, 0o600); err != nil {
				panic(err)
			}
		}
		onlooker := exec.Command("/proc/self/exe")
		onlooker.Env = []string{role + "=onlooker"}
		onlooker.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it is not stopped with the program
		if err := onlooker.Run(); err != nil {
			panic(err)
		}
	}
	roles["onlooker"] = func() {
		var all unix.CPUSet
		for i := range 1024 {
			all.Set(i)
		}
		_ = unix.SchedSetaffinity(0, &all) // or it would wait until the look is over
		for state := byte(0); state != 'T'; {
			state, _ = stateOf(os.Getppid())
		}
	}
}

// seatsOf lists the processors that each thread of a process may run on.
func seatsOf(pid int) (all []string) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, thread := range threads {
		text, _ := os.ReadFile(thread) // it may end meanwhile
		if _, rest, ok := strings.Cut(string(text), "Cpus_allowed_list:\t"); ok {
			list, _, _ := strings.Cut(rest, "\n")
			all = append(all, list)
		}
	}
	return all
}

func TestAProgramWithLittleRoomSharesOneProcessorWithItsWatcher(t *testing.T) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || all.Count() < 2 {
		t.Skip("this needs two processors", err)
	}
	before := seatsOf(os.Getpid())[0]
	for name, c := range map[string]struct {
		tmp    int64
		shared bool
	}{
		"little room":    {50 << 20, true},
		"enough of it":   {1 << 30, false},
		"a whole disk's": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Run(context.Background(), command(t, "seat", engine.Budget{Tmp: c.tmp}))
			if err != nil {
				t.Fatal(err)
			}
			first, rest, _ := strings.Cut(out.Stdout, "\n")
			if one := !strings.Contains(first, before); one != c.shared {
				t.Errorf("%q, the agent has %s", first, before)
			}
			// The thread that started it, and the one that watches it.
			if beside := strings.Count(rest, "beside"); c.shared && beside != 2 {
				t.Errorf("%d threads of the agent share its processor, want 2", beside)
			}
			for _, seat := range seatsOf(os.Getpid()) {
				if seat != before {
					t.Errorf("a thread of the agent stays on %s", seat)
				}
			}
		})
	}
}

func TestAProgramWithLittleRoomGivesWayAndStandsStillWhileItIsLookedAt(t *testing.T) {
	for name, missing := range map[string]string{
		"gives way": "it kept its priority", "looked at": "it was not seen to stand still, or did not go on",
	} {
		t.Run(name, func(t *testing.T) {
			late, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if _, err := Run(late, command(t, name, engine.Budget{Tmp: 50 << 20})); err != nil {
				t.Errorf("%s: %v", missing, err)
			}
		})
	}
}
