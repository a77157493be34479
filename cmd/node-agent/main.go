// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command node-agent reads Apptainer/Singularity images: by hand on a login node, under
// sbatch, and in the pods of the SIFScan operator, by the same code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// Exit codes. A usage error outweighs a failed target.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	// exitDenied: every target was scanned, and a policy denies one.
	exitDenied = 3
	// exitSignal is added to the number of the signal that ended the agent.
	exitSignal = 128
)

// version is set when the agent is built.
var version = "unknown"

func main() {
	ctx, stop := withSignals(context.Background())
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command line and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "node-agent",
		Short:         "Scan Apptainer/Singularity images in place",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.AddCommand(scanCommand(), psCommand(), inspectCommand(), extractCommand(), dbCommand(), reporterCommand(), openerCommand(), copyCommand())
	called, err := root.ExecuteContextC(ctx)
	code := exitCode(ctx, err)
	if err != nil && !errors.Is(err, errTargetFailed) && !errors.Is(err, errDenied) {
		fmt.Fprintln(stderr, "node-agent:", err)
	}
	if code == exitUsage {
		fmt.Fprintf(stderr, "Run '%s --help' for how it is used.\n", called.CommandPath())
	}
	return code
}

// errTargetFailed: a target failed and was reported; there is nothing more to print.
var errTargetFailed = errors.New("a target failed")

// errDenied: a policy denies a target, which was reported.
var errDenied = errors.New("a policy denies a target")

// usageError is an error in how the agent was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// runError is an error of a command that was called rightly; every other error comes from
// the parsing of the command line.
type runError struct{ error }

func (e runError) Unwrap() error { return e.error }

// failing wraps a command's own errors, so that the rest are usage errors.
func failing(fn func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := fn(c, args)
		var usage usageError
		if err == nil || errors.As(err, &usage) {
			return err
		}
		return runError{err}
	}
}

func exitCode(ctx context.Context, err error) int {
	var sig signalError
	var ran runError
	switch {
	case err == nil:
		return exitDone
	case errors.As(context.Cause(ctx), &sig):
		return exitSignal + int(sig.Signal.(syscall.Signal))
	case errors.Is(err, errDenied):
		return exitDenied
	case errors.As(err, &ran):
		return exitFailed
	}
	return exitUsage
}

// signalError is why a context ended.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return e.String() }

// withSignals ends the context on the first SIGINT or SIGTERM; the second one ends the process.
func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if s, ok := <-c; ok {
			signal.Stop(c)
			cancel(signalError{s})
		}
	}()
	return ctx, func() { signal.Stop(c); close(c); cancel(nil) }
}

// newLog writes JSON lines to stderr, for who operates the operator.
func newLog(stderr io.Writer) logr.Logger {
	return zap.New(zap.WriteTo(stderr), zap.JSONEncoder())
}
