package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sifscan/sifscan-operator/hack/cluster/process"
)

// stopTimeout bounds the orderly end of a component. kube-apiserver lets requests finish for up to a minute.
const stopTimeout = 90 * time.Second

// Stop ends one component in order, and returns when it has ended.
func Stop(ctx context.Context, name, component string) error {
	return operate(ctx, name, component, func(record process.Record) error { return end(ctx, record, syscall.SIGTERM) })
}

// Kill ends one component at once with SIGKILL.
func Kill(ctx context.Context, name, component string) error {
	return operate(ctx, name, component, func(record process.Record) error { return end(ctx, record, syscall.SIGKILL) })
}

// Pause has one component stand still with its connections open, as on a machine that is short of everything.
func Pause(ctx context.Context, name, component string) error {
	return operate(ctx, name, component, func(record process.Record) error { return record.Signal(syscall.SIGSTOP) })
}

// Resume has a component go on that Pause stopped. Any other is left alone.
func Resume(ctx context.Context, name, component string) error {
	return operate(ctx, name, component, func(record process.Record) error { return record.Signal(syscall.SIGCONT) })
}

// Start starts one component with the command line that it was started with before. One that runs is left alone.
func Start(ctx context.Context, name, component string) error {
	return operate(ctx, name, component, func(record process.Record) error {
		if record.Alive() {
			return nil
		}
		if len(record.Argv) == 0 {
			return fmt.Errorf("%s was never started: start the cluster", component)
		}
		l, err := load(name)
		if err != nil {
			return err
		}
		_, err = process.Records(l.run("records")).Start(ctx, record.Daemon)
		return err
	})
}

// operate calls do with the record of one component of a cluster that exists.
func operate(ctx context.Context, name, component string, do func(process.Record) error) error {
	if !slices.Contains(Components(), component) {
		return fmt.Errorf("%q is no component: use one of %s", component, strings.Join(Components(), ", "))
	}
	l, err := load(name)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", name, err)
	}
	unlock, err := lockCluster(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	record, err := process.Records(l.run("records")).Load(component)
	if err != nil {
		return err
	}
	return do(record)
}

// end sends a signal and waits for the end.
func end(ctx context.Context, record process.Record, signal syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := record.Signal(signal); err != nil {
		return err
	}
	if err := record.Wait(ctx); err != nil {
		return fmt.Errorf("%s: %w", record.Name, err)
	}
	return nil
}

// Kubeconfig returns the path of the administrator's kubeconfig file of a cluster that exists.
func Kubeconfig(name string) (string, error) {
	l, err := load(name)
	if err != nil {
		return "", fmt.Errorf("cluster %s: %w", name, err)
	}
	return l.kubeconfig(), nil
}

// Status describes a cluster, a line for each component, and reports an error if it is not fit for use.
func Status(ctx context.Context, name string, say Say) error {
	l, err := load(name)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", name, err)
	}
	var broken []error
	for _, component := range Components() {
		record, err := process.Records(l.run("records")).Load(component)
		if err != nil {
			return err
		}
		state := fmt.Sprintf("runs as process %d", record.PID)
		if !record.Alive() {
			state = "does not run"
			broken = append(broken, fmt.Errorf("%s does not run", component))
		}
		say("%-24s %s, log %s", component, state, l.log(component))
	}
	api, err := l.api()
	if errors.Is(err, os.ErrNotExist) {
		return errors.Join(broken...)
	}
	if err != nil {
		return err
	}
	return errors.Join(append(broken, api.nodeReady(ctx))...)
}
