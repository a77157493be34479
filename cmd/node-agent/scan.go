// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// scanFlags are the flags of scan; those of pod are set by the operator.
type scanFlags struct {
	engine    engineFlags
	formats   []string
	outputDir string
	timeout   time.Duration
	pod       podFlags
}

// podFlags make scan read a volume and hand its results to the reporter of the same pod.
type podFlags struct {
	volumeRoot, mountPath string
	exclude, fileNames    []string
	resultsDir, stateDir  string
	storeTimeout          time.Duration
	terminationLog        string
}

func scanCommand() *cobra.Command {
	var f scanFlags
	c := &cobra.Command{
		Use:   "scan TARGET...",
		Short: "Scan images, and directories of images",
		Long: `Scan images: SIF, squashfs, or sandbox directories. A directory that is no sandbox is
searched for *.sif *.simg *.sqsh *.squashfs *.img.

Each target gets a folder below --output-dir with report.json and the documents asked for.
Exit code: 0 all targets were scanned, 1 a target failed or there was none, 2 usage,
3 all were scanned and the engine's policy denies one.`,
		Args: cobra.ArbitraryArgs,
		RunE: failing(func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("name at least one image or directory to scan")}
			}
			scanner, release, err := f.scanner(c)
			if err != nil {
				return err
			}
			defer release()
			if f.pod.resultsDir != "" {
				return f.pod.scan(c.Context(), scanner, args)
			}
			return f.scanHere(c, scanner, args)
		}),
	}
	flags := c.Flags()
	f.engine.add(flags)
	flags.StringSliceVar(&f.formats, "formats", []string{"json", "spdx"}, "documents to write: json, spdx, cyclonedx")
	flags.StringVar(&f.outputDir, "output-dir", cmp.Or(os.Getenv("OUTPUT_DIR"), "reports"), "where results are written (environment: OUTPUT_DIR)")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Minute, "time for one image")

	p := &f.pod
	flags.StringVar(&p.volumeRoot, "volume-root", "", "directory the volume is mounted at")
	flags.StringVar(&p.mountPath, "mount-path", "/", "where users see the volume")
	flags.StringArrayVar(&p.exclude, "exclude", nil, "glob to skip (repeatable)")
	flags.StringArrayVar(&p.fileNames, "file-name", nil, "pattern of file names (repeatable)")
	flags.StringVar(&p.resultsDir, "results-dir", "", "directory for results that the reporter reads")
	flags.StringVar(&p.stateDir, "state-dir", "", "directory of the reporter's answers")
	flags.DurationVar(&p.storeTimeout, "store-timeout", 10*time.Minute, "how long to wait for the reporter")
	flags.StringVar(&p.terminationLog, "termination-log", "/dev/termination-log", "file for the pod's termination message")
	for _, name := range []string{"volume-root", "mount-path", "exclude", "file-name", "results-dir", "state-dir", "store-timeout", "termination-log"} {
		if err := flags.MarkHidden(name); err != nil {
			panic(err) // a flag that is not defined above
		}
	}
	return c
}

// scanner makes the scanner that the flags ask for, and the function that releases what it holds.
func (f *scanFlags) scanner(c *cobra.Command) (*scan.Scanner, func(), error) {
	var formats []engine.Format
	for _, name := range f.formats {
		switch format := engine.Format(strings.ToLower(name)); format {
		case engine.FormatJSON, engine.FormatSPDX, engine.FormatCycloneDX:
			formats = append(formats, format)
		default:
			return nil, nil, usageError{fmt.Errorf("--formats %q: use json, spdx or cyclonedx", name)}
		}
	}
	log := logr.Discard()
	if f.pod.resultsDir != "" {
		log = newLog(c.ErrOrStderr())
	}
	scanner := &scan.Scanner{Formats: formats, Timeout: f.timeout, Now: time.Now, Log: log}
	release, err := f.engine.configure(scanner)
	var config configError
	if errors.As(err, &config) {
		f.pod.leave(config.reason, err.Error())
		err = usageError{err}
	}
	return scanner, release, err
}

// scanHere scans files and directories of this machine into folders.
func (f *scanFlags) scanHere(c *cobra.Command, scanner *scan.Scanner, targets []string) error {
	sink, err := scan.NewFolderSink(f.outputDir, c.OutOrStdout())
	if err != nil {
		return err
	}
	failed, denied := false, false
	for _, target := range targets {
		verdict, err := scanTarget(c.Context(), scanner, target, sink)
		if c.Context().Err() != nil {
			return context.Cause(c.Context())
		}
		if err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "node-agent: %s: %v\n", target, err)
		} else if verdict.Total() == 0 {
			fmt.Fprintf(c.ErrOrStderr(), "node-agent: %s: %s: %s\n", target, verdict.Reason, verdict.Message)
		}
		if err != nil || verdict.Total() == 0 || verdict.Counts[v1alpha1.EntryScanned] != verdict.Total() {
			failed = true
		}
		denied = denied || verdict.Denied > 0
	}
	switch {
	case failed:
		return errTargetFailed
	case denied:
		return errDenied
	}
	return nil
}

// scanTarget scans a file, a sandbox, or what a directory holds. Who names a link on the
// command line means what it leads to.
func scanTarget(ctx context.Context, scanner *scan.Scanner, target string, sink scan.Sink) (scan.Verdict, error) {
	full, err := filepath.Abs(target)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		return scan.Verdict{}, err
	}
	dir, spec := filepath.Dir(full), volume.Spec{Paths: []string{escapeGlob(filepath.Base(full))}}
	if info, err := os.Stat(full); err != nil {
		return scan.Verdict{}, err
	} else if info.IsDir() && !isSandbox(full) {
		dir, spec = full, volume.Spec{}
	}
	root, err := volume.OpenRoot(dir, dir)
	if err != nil {
		return scan.Verdict{}, err
	}
	defer root.Close()
	return scanner.Volume(ctx, root, spec, nil, sink)
}

func isSandbox(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, ".singularity.d"))
	return err == nil && info.IsDir()
}

// escapeGlob makes a name stand for itself in a pattern.
func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`).Replace(name)
}

// scan scans the volume of a scan pod. Images that fail are results and not the pod's failure.
func (p *podFlags) scan(ctx context.Context, scanner *scan.Scanner, paths []string) error {
	if p.volumeRoot == "" || p.stateDir == "" {
		return usageError{errors.New("--results-dir needs --volume-root and --state-dir")}
	}
	verdict, err := p.handOver(ctx, scanner, paths)
	var spec *volume.Error
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
	case errors.As(err, &spec):
		p.leave(spec.Reason, err.Error())
	default:
		p.leave(v1alpha1.ReasonReportUnavailable, err.Error())
	}
	return err
}

func (p *podFlags) handOver(ctx context.Context, scanner *scan.Scanner, paths []string) (scan.Verdict, error) {
	hand, err := handover.OpenScanner(p.resultsDir, p.stateDir)
	if err != nil {
		return scan.Verdict{}, err
	}
	defer hand.Close()
	waiting, cancel := context.WithTimeout(ctx, p.storeTimeout)
	defer cancel()
	known, err := hand.Known(waiting)
	if err != nil {
		return scan.Verdict{}, err
	}
	root, err := volume.OpenRoot(p.volumeRoot, p.mountPath)
	if err != nil {
		return scan.Verdict{}, err
	}
	defer root.Close()
	return scanner.Volume(ctx, root,
		volume.Spec{Paths: paths, Exclude: p.exclude, FileNames: p.fileNames},
		known,
		&scan.HandoverSink{Hand: hand, Dir: p.resultsDir, StoreTimeout: p.storeTimeout, Log: scanner.Log})
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
