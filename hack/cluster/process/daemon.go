package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/sifscan/sifscan-operator/hack/cluster/cgroup"
	"github.com/sifscan/sifscan-operator/hack/cluster/network"
)

// Daemon is the command line of a daemon and where it runs.
type Daemon struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"` // the program's absolute path first
	Env  []string `json:"env"`
	// Namespace is the network namespace it runs in, by the name that ip-netns(8) knows.
	Namespace string `json:"namespace"`
	// Group is the control group it and its children are in, relative to the root of the hierarchy.
	Group string `json:"group"`
	// Log is the file that its standard output and error are appended to.
	Log string `json:"log"`
	// Fingerprint stands for everything that needs a new start when it changes: arguments and files it reads.
	Fingerprint string `json:"fingerprint"`
}

// Record is a daemon that was started.
type Record struct {
	Daemon
	ID
}

// Records is the folder that holds a record for every daemon, NAME.json.
type Records string

// Load returns the record of a daemon. A missing or half-written record is the zero Record, which is not alive.
func (r Records) Load(name string) (Record, error) {
	var record Record
	data, err := os.ReadFile(r.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return record, nil
	}
	if err != nil {
		return record, err
	}
	if json.Unmarshal(data, &record) != nil {
		return Record{}, nil
	}
	return record, nil
}

// Start starts a daemon and keeps its record. Processes of the same program that an earlier, interrupted start left in the
// daemon's control group are ended first: they hold its ports and locks and have no record.
func (r Records) Start(ctx context.Context, d Daemon) (Record, error) {
	if err := endStray(ctx, d); err != nil {
		return Record{}, err
	}
	if err := cgroup.Create(d.Group); err != nil {
		return Record{}, err
	}
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Record{}, err
	}
	defer log.Close()
	command := &exec.Cmd{
		Path: d.Argv[0], Args: d.Argv, Env: d.Env, Dir: "/", Stdout: log, Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := network.Within(d.Namespace, command.Start); err != nil {
		return Record{}, fmt.Errorf("starting %s: %w", d.Name, err)
	}
	// Whoever waits long enough to see it end must not see a zombie.
	go command.Wait() //nolint:errcheck // its end is observed by its identity
	id, err := Identify(command.Process.Pid)
	if err != nil {
		return Record{}, fmt.Errorf("%s ended at once, see %s: %w", d.Name, d.Log, err)
	}
	if err := cgroup.Join(d.Group, id.PID); err != nil {
		return Record{}, errors.Join(err, id.Signal(syscall.SIGKILL))
	}
	record := Record{Daemon: d, ID: id}
	return record, r.save(record)
}

// save replaces the record as a whole.
func (r Records) save(record Record) error {
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	path := r.path(record.Name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (r Records) path(name string) string { return filepath.Join(string(r), name+".json") }

// endStray kills the processes in the daemon's control group that run the daemon's program. Others there are its children,
// which may well live on: the shims that hold containerd's containers do.
func endStray(ctx context.Context, d Daemon) error {
	program, err := os.Stat(d.Argv[0])
	if err != nil {
		return err
	}
	members, err := cgroup.Members(d.Group)
	if err != nil {
		return err
	}
	for _, pid := range members {
		id, err := Identify(pid)
		if err != nil {
			continue // ended meanwhile
		}
		running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || !os.SameFile(program, running) {
			continue
		}
		if err := errors.Join(id.Signal(syscall.SIGKILL), id.Wait(ctx)); err != nil {
			return err
		}
	}
	return nil
}
