// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/process"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/targetlist"
)

// liveFlags choose containers that are alive on this machine. Those of a pod are set by the operator.
type liveFlags struct {
	pid          int
	imagePattern string
	slurmJob     string

	socket    string
	node      string
	listOnly  bool
	imageKeys []string
}

func (l *liveFlags) add(flags *pflag.FlagSet) {
	flags.IntVar(&l.pid, "pid", 0, "scan the image of the running container that this process belongs to")
	flags.StringVar(&l.imagePattern, "image-pattern", "", "scan the images of all running containers whose path matches: * is any text, ? any character, [a-z] one of these")
	flags.StringVar(&l.slurmJob, "slurm-job", "", "scan the images of the running containers of this Slurm job")
	flags.StringVar(&l.socket, "opener", "", "socket of the opener in this pod")
	flags.StringVar(&l.node, "node", "", "name of this node")
	flags.BoolVar(&l.listOnly, "list-only", false, "tell which containers run and read no image")
	flags.StringArrayVar(&l.imageKeys, "image-key", nil, "key of an image to scan (repeatable)")
	for _, name := range []string{"slurm-job", "opener", "node", "list-only", "image-key"} {
		if err := flags.MarkHidden(name); err != nil {
			panic(err) // a flag that is not defined above
		}
	}
}

// wanted tells whether running containers are to be scanned.
func (l *liveFlags) wanted() bool {
	return l.pid != 0 || l.imagePattern != "" || l.slurmJob != "" || l.socket != ""
}

// check finds errors in how the flags are used.
func (l *liveFlags) check(args []string, targetsFile, kind string) error {
	switch {
	case kind != "":
		return usageError{errors.New("--kind is about directories: leave it out with --pid and --image-pattern")}
	case len(args) > 0 || targetsFile != "":
		return usageError{errors.New("--pid and --image-pattern choose running containers: leave out the TARGETs")}
	case l.pid < 0:
		return usageError{fmt.Errorf("--pid %d: use the number of a process", l.pid)}
	}
	if _, err := v1alpha1.ParseImagePattern(l.imagePattern); err != nil {
		return usageError{fmt.Errorf("--image-pattern %q: %w", l.imagePattern, err)}
	}
	return nil
}

// name is the node's.
func (l *liveFlags) name() string {
	if l.node != "" {
		return l.node
	}
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

// connectWithin is how long the opener of a pod may take to be there: the kubelet starts it before the scanner.
const connectWithin = time.Minute

// open is the opener of this pod, or of this machine with this process's rights.
func (l *liveFlags) open(ctx context.Context) (opener.Opener, error) {
	if l.socket == "" {
		return opener.NewNode(process.Node(), nil), nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	return opener.Dial(ctx, l.socket)
}

// find lists the containers and chooses those that are wanted. The caller closes the opener.
func (l *liveFlags) find(ctx context.Context) (*scan.Live, error) {
	if err := idle(); err != nil {
		return nil, err
	}
	o, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	listing, err := o.List(ctx)
	if err != nil {
		o.Close()
		return nil, err
	}
	live := &scan.Live{Opener: o, Node: l.name(), ListOnly: l.listOnly, Containers: l.choose(listing.Containers), Left: listing.Left}
	switch {
	case len(live.Containers) > 0:
	case len(listing.Containers) == 0 && l.pid == 0:
		live.Reason = v1alpha1.ReasonNoContainers
		live.Nothing = "no container of Apptainer or Singularity is alive on " + live.Node
	default:
		live.Reason, live.Nothing = v1alpha1.ReasonNoTargets, l.nothing(len(listing.Containers))
	}
	return live, nil
}

// whole is an error where more runs than is listed: what nobody lists must not pass for what does not run.
func whole(l *scan.Live) error {
	if l.Left == 0 {
		return nil
	}
	return fmt.Errorf("the list of what runs on %s is not whole: %d containers, or processes that mount some, are beyond its bounds (%d containers)",
		l.Node, l.Left, process.MaxContainers)
}

// choose keeps the containers that all flags agree on. The one that this very process runs in matches no pattern.
func (l *liveFlags) choose(all []opener.Container) []opener.Container {
	pattern, err := v1alpha1.ParseImagePattern(l.imagePattern)
	if err != nil {
		return nil // refused by check
	}
	return slices.DeleteFunc(slices.Clone(all), func(c opener.Container) bool {
		return l.pid != 0 && !c.Has(l.pid) ||
			l.imagePattern != "" && (!pattern.MatchString(c.Image.Path) || c.Has(os.Getpid())) ||
			l.slurmJob != "" && c.Slurm.Job != l.slurmJob ||
			len(l.imageKeys) > 0 && !slices.Contains(l.imageKeys, c.Image.Key(l.name()))
	})
}

// nothing says why no container is chosen.
func (l *liveFlags) nothing(alive int) string {
	switch {
	case l.pid != 0 && l.socket == "" && !exists(l.pid):
		return fmt.Sprintf("process %d has vanished, or never was", l.pid)
	case l.pid != 0:
		return fmt.Sprintf("process %d is not a container of Apptainer or Singularity, and runs in none", l.pid)
	}
	return fmt.Sprintf("none of the %d running containers is of what was asked for", alive)
}

func exists(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("%s/%d", process.Dir, pid))
	return !errors.Is(err, fs.ErrNotExist)
}

var ofProcess = regexp.MustCompile(`^/proc/([0-9]+|self|thread-self)(?:/task/[0-9]+)?/(?:root|cwd|fd|map_files)(?:/|$)`)

// processRoot refuses the magic links of a process: the path that they read as is this machine's, such as "/" for every root.
func processRoot(t targetlist.Target) error {
	path, err := filepath.Abs(t.Text)
	if err != nil || t.Kind == targetlist.Reference {
		return nil
	}
	if m := ofProcess.FindStringSubmatch(path); m != nil {
		return usageError{fmt.Errorf("%s leads into a running process: use --pid %s, which reads the image that it runs and nothing that is mounted into it", printable.Escape(path), m[1])}
	}
	return nil
}

// scanLive scans the images of running containers into folders.
func (f *scanFlags) scanLive(c *cobra.Command, scanner *scan.Scanner) error {
	live, err := f.live.find(c.Context())
	if err != nil {
		return err
	}
	defer live.Opener.Close()
	if err := whole(live); err != nil {
		return err
	}
	sink, err := scan.NewFolderSink(f.outputDir, c.OutOrStdout())
	if err != nil {
		return err
	}
	verdict, err := scanner.Run(c.Context(), scan.Wanted{Live: live}, nil, sink)
	switch {
	case c.Context().Err() != nil:
		return context.Cause(c.Context())
	case err != nil:
		return err
	case verdict.Reason != "":
		fmt.Fprintf(c.ErrOrStderr(), "node-agent: %s: %s\n", verdict.Reason, printable.Escape(verdict.Message))
		return errTargetFailed
	case verdict.Counts[v1alpha1.EntryScanned] != verdict.Total() || verdict.Unjudged > 0:
		return errTargetFailed
	case verdict.Denied > 0:
		return errDenied
	}
	return nil
}
