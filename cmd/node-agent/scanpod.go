// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/plan"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/targetlist"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// podFlags make scan read volumes and hand its results to the reporter of the same pod. The
// operator sets them.
type podFlags struct {
	volumes              []string
	exclude, fileNames   []string
	resultsDir, stateDir string
	storeTimeout         time.Duration
	workers              int32
	terminationLog       string
	resultsLimit         string
	// requests and MiB a second of each volume; 0: any number.
	requests, mebibytes float64
}

func (p *podFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&p.volumes, "volume", nil, "DIR=MOUNTPATH: where a volume is mounted, and where users see it (repeatable)")
	flags.StringArrayVar(&p.exclude, "exclude", nil, "glob to skip (repeatable)")
	flags.StringArrayVar(&p.fileNames, "file-name", nil, "pattern of file names (repeatable)")
	flags.StringVar(&p.resultsDir, "results-dir", "", "directory for results that the reporter reads")
	flags.StringVar(&p.resultsLimit, "results-limit", "", "most bytes in --results-dir, such as 512Mi [any number]")
	flags.StringVar(&p.stateDir, "state-dir", "", "directory of the reporter's answers")
	flags.DurationVar(&p.storeTimeout, "store-timeout", 10*time.Minute, "how long to wait for the reporter")
	flags.Int32Var(&p.workers, "workers", 1, "number of workers that share the targets")
	flags.Float64Var(&p.requests, "requests-per-second", 0, "how often all workers together ask each volume for a name, attributes or entries of a directory; 0: any number")
	flags.Float64Var(&p.mebibytes, "mib-per-second", 0, "how much they read of each volume; 0: any amount")
	flags.StringVar(&p.terminationLog, "termination-log", "/dev/termination-log", "file for the pod's termination message")
	for _, name := range []string{"volume", "exclude", "file-name", "results-dir", "results-limit", "state-dir", "store-timeout", "workers", "requests-per-second", "mib-per-second", "termination-log"} {
		if err := flags.MarkHidden(name); err != nil {
			panic(err) // a flag that is not defined above
		}
	}
}

// scanPod scans the targets of a scan pod. Images that fail are results and not the pod's failure.
func (f *scanFlags) scanPod(ctx context.Context, scanner *scan.Scanner, operands []string) error {
	p := &f.pod
	if p.stateDir == "" {
		return usageError{errors.New("--results-dir needs --state-dir")}
	}
	limit, err := quantity("--results-limit", p.resultsLimit)
	if err != nil {
		return err
	}
	scanner.ResultsLimit = limit
	verdict, err := f.handOver(ctx, scanner, operands)
	var spec *volume.Error
	var config configError
	var refused *opener.Error
	switch {
	case err == nil:
		p.leave(verdict.Reason, verdict.Message)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &spec) && (spec.Reason == v1alpha1.ReasonInvalidSpec || spec.Reason == v1alpha1.ReasonIncomplete):
		// Another pod would end the same way: the exit code of a usage error fails the Job at once.
		p.leave(spec.Reason, err.Error())
		return usageError{err}
	case errors.As(err, &config):
		p.leave(config.reason, err.Error())
		return usageError{err}
	case errors.As(err, &spec):
		p.leave(spec.Reason, err.Error())
	case errors.As(err, &refused) && refused.Code == opener.Policy:
		p.leave(v1alpha1.ReasonNodePolicyDenies, err.Error())
	default:
		p.leave(v1alpha1.ReasonReportUnavailable, err.Error())
	}
	return err
}

func (f *scanFlags) handOver(ctx context.Context, scanner *scan.Scanner, operands []string) (scan.Verdict, error) {
	p := &f.pod
	if err := handover.TellCrashes(p.resultsDir); err != nil {
		return scan.Verdict{}, err
	}
	roots, err := p.open(ctx)
	defer func() {
		for _, root := range roots {
			root.Close()
		}
	}()
	if err != nil {
		return scan.Verdict{}, err
	}
	wanted, err := f.wanted(roots, operands)
	if err != nil {
		return scan.Verdict{}, err
	}
	if f.live.wanted() {
		if wanted.Live, err = f.live.find(ctx); err != nil {
			return scan.Verdict{}, err
		}
		defer wanted.Live.Opener.Close()
		if len(f.live.imageKeys) == 0 { // else what is wanted was listed before
			if err := whole(wanted.Live); err != nil {
				return scan.Verdict{}, err
			}
		}
	}
	if len(wanted.Images) > 0 {
		if err := f.useRegistry(scanner); err != nil {
			return scan.Verdict{}, err
		}
	}
	hand, err := handover.OpenScanner(p.resultsDir, p.stateDir)
	if err != nil {
		return scan.Verdict{}, err
	}
	defer hand.Close()
	index, err := workerIndex(p.workers)
	if err != nil {
		return scan.Verdict{}, err
	}
	patience := p.storeTimeout
	if index > 0 {
		patience = planTimeout
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	known, err := hand.Known(waiting)
	if err != nil {
		return scan.Verdict{}, err
	}
	sink := &scan.HandoverSink{Hand: hand, Dir: p.resultsDir, StoreTimeout: p.storeTimeout, Limit: scanner.ResultsLimit, Log: scanner.Log}
	if p.workers == 1 {
		return scanner.Run(ctx, wanted, known, sink)
	}
	verdict, err := scanner.RunShare(ctx, wanted, known, sink, scan.Share{
		Workers: int(p.workers), Index: int(index), List: planner{hand, p.storeTimeout},
	})
	if errors.Is(err, handover.ErrPlanRefused) {
		err = &volume.Error{Reason: v1alpha1.ReasonIncomplete, Message: err.Error(), Err: err}
	}
	return verdict, err
}

// planTimeout is how long a worker waits for the list that the first makes: a search of ten
// million entries at 500 a second takes six hours. Without a list nobody could say what to scan.
const planTimeout = 12 * time.Hour

// planner waits no longer for a list to be stored than for a result.
type planner struct {
	*handover.Scanner
	patience time.Duration
}

// Freeze bounds the wait.
func (p planner) Freeze(ctx context.Context, items []plan.Item) ([]plan.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return p.Scanner.Freeze(ctx, items)
}

// open opens the volumes.
func (p *podFlags) open(ctx context.Context) (roots []*volume.Root, err error) {
	for _, v := range p.volumes {
		dir, mountPath, _ := strings.Cut(v, "=")
		root, err := scan.OpenVolume(ctx, dir, mountPath)
		if err != nil {
			return roots, err
		}
		root.SetPace(volume.NewPace(p.requests, int64(p.mebibytes*(1<<20))))
		roots = append(roots, root)
	}
	return roots, nil
}

// wanted is what the operands, or the list, ask for. Operands are paths on the volume; without one, references.
func (f *scanFlags) wanted(roots []*volume.Root, operands []string) (w scan.Wanted, err error) {
	for _, root := range roots {
		w.Volumes = append(w.Volumes, scan.Volume{Root: root})
	}
	switch {
	case f.targetsFile != "":
		targets, err := readTargets(f.targetsFile, nil)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return w, &volume.Error{Reason: v1alpha1.ReasonInvalidSpec, Err: err, Message: fmt.Sprintf(
				"the ConfigMap has no key %s: add it, or correct spec.target.list.configMap.key", filepath.Base(f.targetsFile))}
		case err != nil:
			return w, &volume.Error{Reason: v1alpha1.ReasonInvalidSpec, Err: err, Message: "spec.target.list.configMap: " + err.Error()}
		}
		f.place(&w, roots, targets)
	case len(roots) == 0:
		w.Images = operands
	case f.kind != "":
		for _, dir := range operands {
			inside, err := roots[0].Relative(dir)
			if err != nil {
				return w, err
			}
			w.Volumes[0].Directories = append(w.Volumes[0].Directories, inside)
		}
		w.Volumes[0].Kind = scan.DirectoryKind(f.kind)
	default:
		w.Volumes[0].Spec = &volume.Spec{Paths: operands, Exclude: f.pod.exclude, FileNames: f.pod.fileNames}
	}
	return w, nil
}

// place puts every line of a list where it belongs; what belongs nowhere will fail by name.
func (f *scanFlags) place(w *scan.Wanted, roots []*volume.Root, targets []targetlist.Target) {
	for _, t := range targets {
		if t.Kind == targetlist.Reference {
			w.Images = append(w.Images, t.Text)
			continue
		}
		at := volume.Choose(roots, t.Text)
		if at < 0 {
			w.Misplaced = append(w.Misplaced, scan.Misplaced{Line: t.Text, Message: fmt.Sprintf(
				"line %d of the list is on none of the volumes (%s): write it as users see it, or add its volume to spec.target.list.volumes; for a registry's image begin it with image:",
				t.Line, mountPaths(roots))})
			continue
		}
		inside, err := roots[at].Relative(t.Text)
		if err != nil {
			w.Misplaced = append(w.Misplaced, scan.Misplaced{Line: t.Text, Message: fmt.Sprintf("line %d of the list: %s", t.Line, err)})
			continue
		}
		v := &w.Volumes[at]
		if v.Spec == nil {
			v.Spec = &volume.Spec{FileNames: f.pod.fileNames}
		}
		v.Spec.Files = append(v.Spec.Files, inside)
	}
}

func mountPaths(roots []*volume.Root) string {
	var paths []string
	for _, root := range roots {
		paths = append(paths, printable.Escape(root.UserPath(".")))
	}
	return strings.Join(paths, ", ")
}

// leave writes what came of the run as a whole where the kubelet picks it up. The kubelet
// keeps 4 KiB of it.
func (p *podFlags) leave(reason, message string) {
	if reason == "" {
		return
	}
	const most = 2048
	if len(message) > most {
		message = message[:most]
	}
	body, err := json.Marshal(map[string]string{"reason": reason, "message": message})
	if err != nil {
		return
	}
	// Where there is no such file, the agent is not in a pod.
	if f, err := os.OpenFile(p.terminationLog, os.O_WRONLY, 0); err == nil {
		_, _ = f.Write(body)
		_ = f.Close()
	}
}
