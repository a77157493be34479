package process

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// sleeper starts a process that does nothing, and is collected when it ends.
func sleeper(t *testing.T) ID {
	t.Helper()
	command := exec.Command("sleep", "600")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }()
	t.Cleanup(func() { _ = command.Process.Kill(); <-ended })
	id, err := Identify(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestOnlyTheProcessThatWasIdentifiedIsAlive(t *testing.T) {
	id := sleeper(t)
	cases := map[string]struct {
		change func(*ID)
		alive  bool
	}{
		"the process itself":                       {func(*ID) {}, true},
		"a process that had the number before":     {func(id *ID) { id.StartTicks-- }, false},
		"a process of an earlier boot":             {func(id *ID) { id.Boot = "00000000-0000-0000-0000-000000000000" }, false},
		"a number that no process can have":        {func(id *ID) { id.PID = 1 << 30 }, false},
		"no process, as in a record that was lost": {func(id *ID) { *id = ID{} }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			other := id
			c.change(&other)
			if alive := other.Alive(); alive != c.alive {
				t.Errorf("alive: %t, want %t", alive, c.alive)
			}
		})
	}
}

func TestAProcessThatGotTheNumberOfAnotherIsNotKilled(t *testing.T) {
	id := sleeper(t)
	former := id
	former.StartTicks--
	if err := former.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !id.Alive() {
		t.Error("it was killed")
	}
}

func TestWaitReturnsWhenTheProcessHasEnded(t *testing.T) {
	id := sleeper(t)
	if err := id.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := id.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if id.Alive() {
		t.Error("it is still alive")
	}
}

func TestWaitGivesUpWhenItsTimeIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := sleeper(t).Wait(ctx); err == nil {
		t.Error("no error for a process that runs")
	}
}

func TestTheStatFileIsReadWhateverTheProcessCallsItself(t *testing.T) {
	const rest = "S 1 17 17 0 -1 4194560 93 0 0 0 0 0 0 0 20 0 3 0 4711 2703360 387 18446744073709551615"
	for _, name := range []string{"sleep", "a b", "x) R 1 2 3", "(())", ""} {
		got, err := parseStat([]byte("17 (" + name + ") " + rest))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if want := (stat{state: 'S', threads: 3, startTicks: 4711}); got != want {
			t.Errorf("%q: %+v, want %+v", name, got, want)
		}
	}
}

func TestAStatFileThatIsNoneIsRefused(t *testing.T) {
	for _, content := range []string{"", "17", "17 (sleep) S 1", "17 (sleep) S 1 17 17 0 -1 4194560 93 0 0 0 0 0 0 0 20 0 x 0 y"} {
		if got, err := parseStat([]byte(content)); err == nil {
			t.Errorf("%q was read as %+v", content, got)
		}
	}
}

func TestARecordComesBackAsItWasKept(t *testing.T) {
	records := Records(t.TempDir())
	kept := Record{Daemon: Daemon{Name: "etcd", Argv: []string{"/bin/etcd", "--x"}, Fingerprint: "f"}, ID: ID{PID: 7, StartTicks: 9, Boot: "b"}}
	if err := records.save(kept); err != nil {
		t.Fatal(err)
	}
	got, err := records.Load("etcd")
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != kept.ID || got.Fingerprint != "f" || len(got.Argv) != 2 {
		t.Errorf("%+v, want %+v", got, kept)
	}
}

func TestARecordThatIsMissingOrHalfWrittenIsNotAlive(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "half.json"), []byte(`{"name": "half", "pid": 1`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"missing", "half"} {
		record, err := Records(directory).Load(name)
		if err != nil || record.Alive() {
			t.Errorf("%s: alive %t, error %v", name, record.Alive(), err)
		}
	}
}
