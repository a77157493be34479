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
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/sifscan/sifscan-operator/cmd/garbage"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// Exit codes. A usage error outweighs a failed target.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	// exitDenied: every target was scanned, and a policy denies one.
	exitDenied = 3
	// exitCrash is the reporter's, for a scanner that crashed: that ends with exitUsage, as Go's runtime does. It is what a program
	// has that dies of SIGABRT. The operator counts such a pod as one that died, where a usage error ends the run.
	exitCrash = exitSignal + int(syscall.SIGABRT)
	// exitSignal is added to the number of the signal that ended the agent.
	exitSignal = 128
)

// version is set when the agent is built.
var version = "unknown"

func main() {
	ctx, stop := withSignals(context.Background())
	defer stop()
	garbage.Pace()
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
		RunE:          namesNoCommand,

		DisableFlagsInUseLine: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongValue(err) })
	root.AddCommand(scanCommand(), psCommand(), inspectCommand(), extractCommand(), dbCommand(), reporterCommand(), openerCommand(), copyCommand())
	called, err := root.ExecuteContextC(ctx)
	code := exitCode(ctx, err)
	if err != nil && !errors.Is(err, errTargetFailed) && !errors.Is(err, errDenied) {
		fmt.Fprintln(stderr, "node-agent:", shown(err.Error()))
	}
	if code == exitUsage {
		fmt.Fprintf(stderr, "Run '%s --help' for how it is used.\n", called.CommandPath())
	}
	return code
}

// namesNoCommand is what a command does that has others below it and was called by itself.
func namesNoCommand(c *cobra.Command, _ []string) error {
	c.SetOut(c.ErrOrStderr())
	if err := c.Help(); err != nil {
		return err
	}
	return usageError{errors.New("name a command")}
}

// wrongValue says what a flag takes, where the parser speaks of Go's functions.
func wrongValue(err error) error {
	var wrong *pflag.InvalidValueError
	if !errors.As(err, &wrong) {
		return err
	}
	use := map[string]string{
		"bool": "true or false", "int32": "a whole number", "duration": "a time such as 30m", "durationSlice": "times such as 30s,1m",
		"stringSlice": `a list such as a,b; quote a value that holds a comma or a quotation mark ("a,b")`,
	}[wrong.GetFlag().Value.Type()]
	if use == "" {
		return err
	}
	return fmt.Errorf("--%s %q: use %s", wrong.GetFlag().Name, wrong.GetValue(), use)
}

// shown is text in one line that moves no cursor, whatever files an error names. Several errors are
// several lines of text.
func shown(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, printable.Message(line))
		}
	}
	return strings.Join(lines, "; ")
}

// errTargetFailed: a target failed and was reported; there is nothing more to print.
var errTargetFailed = errors.New("a target failed")

// errDenied: a policy denies a target, which was reported.
var errDenied = errors.New("a policy denies a target")

// errScannerCrashed: the scanner of the reporter's pod did.
var errScannerCrashed = errors.New("the scanner crashed")

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
	case errors.Is(err, errScannerCrashed):
		return exitCrash
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
