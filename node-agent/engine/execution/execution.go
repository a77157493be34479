// Package execution runs an engine's program within the budget of a scan: with nothing inherited but what is named, with
// everything it writes in one directory, and with every process it starts ended when it ends. The program is the site's and
// trusted; what it reads was written by an attacker, and may make it hang, fill the disk, eat memory or start what outlives it.
package execution

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// Command is one run of a program.
type Command struct {
	// Name is what errors call the program ("qscanner").
	Name string
	// Path of the program, absolute.
	Path string
	Args []string
	// Env are variables (NAME=value) besides HOME, TMPDIR, XDG_CACHE_HOME, XDG_CONFIG_HOME, GOMEMLIMIT and GOMAXPROCS.
	Env []string
	// Dirs lie in Budget.Dir; Prepare makes them.
	Dirs   Dirs
	Budget engine.Budget
	// Redact is applied to what the program prints.
	Redact *Redactor
}

// Outcome is how a program ended that was not ended by us.
type Outcome struct {
	ExitCode int
	// Stdout and Stderr are the last 64 KiB of each, redacted; not escaped.
	Stdout, Stderr string
}

// Dirs are the directories that a program may write to.
type Dirs struct{ Tmp, Home, Cache, Output string }

// Prepare makes the directories of a run below dir, for the caller's user alone, and empties the output directory.
func Prepare(dir string) (Dirs, error) {
	d := Dirs{
		Tmp: filepath.Join(dir, "tmp"), Home: filepath.Join(dir, "home"),
		Cache: filepath.Join(dir, "cache"), Output: filepath.Join(dir, "output"),
	}
	if err := remove(d.Output); err != nil {
		return d, fmt.Errorf("remove the last run's output: %w", err)
	}
	for _, each := range []string{d.Tmp, d.Home, d.Cache, d.Output} {
		if err := os.MkdirAll(each, 0o700); err != nil {
			return d, fmt.Errorf("make a directory for the engine: %w", err)
		}
	}
	return d, nil
}

// endWithin bounds the wait for a killed process: one that hangs in a dead NFS server's call does not die.
const endWithin = 10 * time.Second

// one program runs at a time in this process: processes that outlive it become children of the agent, and it must be known
// whose they were.
var one sync.Mutex

// Run runs the program to its end. The error is an *engine.Error: TmpExhausted, OOMKilled, DeadlineExceeded, or EngineFailed
// where it could not be started or died of a signal; it wraps ctx.Err() when ctx ended first. An exit code is no error. When
// Run returns, no process of the program is left.
func Run(ctx context.Context, c Command) (Outcome, error) {
	one.Lock()
	defer one.Unlock()
	if err := ctx.Err(); err != nil {
		return Outcome{}, c.ended(ctx)
	}
	family, err := newFamily()
	if err != nil {
		return Outcome{}, err
	}
	kills := oomKills()
	seat := c.seat()
	defer seat.take()()
	p, err := c.start(seat)
	if err != nil {
		return Outcome{}, c.failed("could not be started", err)
	}
	family.program = p.pid
	stopped := p.supervise(ctx, c, family)
	out, err := p.finish(family)
	switch {
	case err != nil:
		return out, c.failed("did not end although it was killed", err)
	case stopped != nil:
		return out, stopped
	case p.failed() && oomKills() > kills:
		return out, c.outOfMemory("the kernel ended it or a process it had started")
	case p.failed() && c.overTmp():
		return out, c.tmpExhausted("it ended when it met the limit")
	case p.failed() && full(c.Budget.Dir):
		return out, c.tmpExhausted("the disk of its directory is full")
	case p.signal() != 0:
		return out, c.failed("ended by signal "+p.signal().String(), nil)
	}
	out.ExitCode = p.cmd.ProcessState.ExitCode()
	return out, nil
}

// process is a running program.
type process struct {
	cmd            *exec.Cmd
	pid            int
	exited         *os.File // its other end is closed when the program ended; it is not reaped before finish
	reap           chan struct{}
	reaped         chan error
	stdout, stderr *capture
	redact         *Redactor
}

func (c Command) start(s seat) (*process, error) {
	p := &process{reap: make(chan struct{}), reaped: make(chan error, 1), redact: c.Redact}
	exited, exit, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.exited = exited
	if p.stdout, err = newCapture(); err != nil {
		return nil, errors.Join(err, exited.Close(), exit.Close())
	}
	if p.stderr, err = newCapture(); err != nil {
		p.stdout.close()
		return nil, errors.Join(err, exited.Close(), exit.Close())
	}
	p.cmd = &exec.Cmd{
		Path: c.Path, Args: append([]string{c.Path}, c.Args...), Env: c.environment(), Dir: c.Dirs.Home,
		Stdout: p.stdout.w, Stderr: p.stderr.w,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	started := make(chan error)
	go p.hold(s, started, exit)
	err = <-started
	p.stdout.started()
	p.stderr.started()
	if err != nil {
		p.stdout.close()
		p.stderr.close()
		return nil, errors.Join(err, exited.Close())
	}
	p.pid = p.cmd.Process.Pid
	if little(c.Budget.Tmp) {
		giveWay(p.pid)
	}
	if limit := c.Budget.Tmp; limit > 0 {
		// No single file grows beyond the limit between two looks at the disk. It is no error where this is not allowed.
		_ = unix.Prlimit(p.pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}, nil)
	}
	return p, nil
}

// hold starts the program and stays on its thread until the program ended: the kernel sends the parent-death signal when the
// thread that forked ends, not the process (prctl(2), golang/go#27505).
func (p *process) hold(s seat, started chan<- error, exit *os.File) {
	leave := s.take()
	if err := p.cmd.Start(); err != nil {
		leave()
		_ = exit.Close()
		started <- err
		return
	}
	started <- nil
	// WNOWAIT leaves a zombie, so that neither its process id nor its group's can be given away before both are dealt with.
	for errors.Is(unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue
	}
	_ = exit.Close()
	<-p.reap
	_ = p.cmd.Wait() // the exit status is in ProcessState
	leave()
	close(p.reaped)
}

// supervise waits for the program's end, or ends it and says why. It waits in the kernel, on the calling thread: a timer of
// Go's may be served by another thread, on another processor than the program's.
func (p *process) supervise(ctx context.Context, c Command, f *family) error {
	defer p.exited.Close()
	watch := newWatch(c, f)
	for next := watch.first(); ; {
		wait := unix.NsecToTimespec(int64(next))
		ended, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.exited.Fd()), Events: unix.POLLIN}}, &wait, nil)
		switch {
		case ended > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for %s: %w", c.Name, err)
		case ctx.Err() != nil:
			return c.ended(ctx)
		}
		if next, err = watch.look(); err != nil {
			return err
		}
	}
}

// finish ends what is left of the program, reaps it, and returns what it printed.
func (p *process) finish(f *family) (Outcome, error) {
	// The program is alive or a zombie: its process group is still its own.
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	err := f.end(endWithin)
	close(p.reap)
	select {
	case <-p.reaped:
	case <-time.After(endWithin):
		err = errors.Join(err, fmt.Errorf("process %d hangs in the kernel", p.pid))
	}
	return Outcome{Stdout: p.redact.Text(p.stdout.text()), Stderr: p.redact.Text(p.stderr.text())}, err
}

// signal is what the program died of, or 0.
func (p *process) signal() syscall.Signal {
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

func (p *process) failed() bool { return !p.cmd.ProcessState.Success() }

// environment names everything; nothing of the agent's own, which may hold another's credentials, is passed on.
func (c Command) environment() []string {
	env := append([]string{
		"HOME=" + c.Dirs.Home,
		"TMPDIR=" + c.Dirs.Tmp,
		"XDG_CACHE_HOME=" + c.Dirs.Cache,
		"XDG_CONFIG_HOME=" + filepath.Join(c.Dirs.Home, ".config"),
	}, c.Env...)
	if m := c.Budget.Memory; m > 0 {
		// The runtime counts its own memory, and not the stacks of threads or what C code takes.
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(m/10*9, 10))
	}
	if n := c.Budget.CPUs; n > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(n))
	}
	return env
}

func (c Command) failed(what string, err error) *engine.Error {
	return &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: c.Name + " " + what, Err: err}
}

func (c Command) ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &engine.Error{Reason: v1alpha1.ReasonDeadlineExceeded, Message: c.Name + " did not end in time; raise spec.scanner.timeout", Err: ctx.Err()}
	}
	return fmt.Errorf("%s was stopped: %w", c.Name, ctx.Err())
}

func (c Command) outOfMemory(how string) *engine.Error {
	limit := ""
	if c.Budget.Memory > 0 {
		limit = fmt.Sprintf(" than the %s it may have", size(c.Budget.Memory))
	}
	return &engine.Error{Reason: v1alpha1.ReasonOOMKilled,
		Message: fmt.Sprintf("%s needed more memory%s: %s; %s", c.Name, limit, how, c.Budget.SetBy.RaiseMemory()+engine.Twice(c.Budget.MemoryLimit))}
}

func (c Command) tmpExhausted(how string) *engine.Error {
	limit := ""
	if c.Budget.Tmp > 0 {
		limit = fmt.Sprintf(" than the %s left beside the extracted image", size(c.Budget.Tmp))
	}
	return &engine.Error{Reason: v1alpha1.ReasonTmpExhausted,
		Message: fmt.Sprintf("%s needed more disk%s: %s; %s", c.Name, limit, how, c.Budget.SetBy.RaiseTmp()+engine.Twice(c.Budget.TmpLimit))}
}

// size prints bytes as Kubernetes does, rounded up.
func size(n int64) string { return fmt.Sprintf("%dMi", (n+1<<20-1)>>20) }
