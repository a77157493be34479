// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
)

// scanFlags are the flags of scan; those of pod are set by the operator.
type scanFlags struct {
	engine      engineFlags
	formats     []string
	reports     []string // formats of the documents about findings
	outputDir   string
	timeout     time.Duration
	targetsFile string
	kind        string
	authFile    string
	registryCA  string
	live        liveFlags
	pod         podFlags
}

func scanCommand() *cobra.Command {
	var f scanFlags
	c := &cobra.Command{
		Use:   "scan TARGET...",
		Short: "Scan images, directories of images, and images in registries",
		Long: `Scan images: SIF, squashfs, or sandbox directories. A directory that is no sandbox is
searched for *.sif *.simg *.sqsh *.squashfs *.img; with --kind, it is scanned itself.
docker://REFERENCE (or image:REFERENCE) is an image in a registry, sif:PATH a file.
--pid and --image-pattern choose containers that run on this machine instead (see ps): their
images are read once each, also where they are deleted or private.

Each target gets a folder below --output-dir with report.json and the documents asked for.
Exit code: 0 all targets were scanned, 1 a target failed, could not be judged or there was
none, 2 usage, 3 all were scanned and a policy denies one (--mode evaluate-policy).`,
		Args: cobra.ArbitraryArgs,
		RunE: failing(func(c *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			scanner, release, err := f.scanner(c)
			if err != nil {
				return err
			}
			defer release()
			if f.pod.resultsDir != "" {
				return f.scanPod(c.Context(), scanner, args)
			}
			if f.live.wanted() {
				return f.scanLive(c, scanner)
			}
			return f.scanHere(c, scanner, args)
		}),
	}
	f.add(c.Flags())
	return c
}

// add defines the flags.
func (f *scanFlags) add(flags *pflag.FlagSet) {
	f.engine.add(flags)
	flags.StringSliceVar(&f.formats, "formats", []string{"json", "spdx"}, "documents to write: json, spdx, cyclonedx")
	flags.StringSliceVar(&f.reports, "report-formats", []string{"sarif"}, "documents to write about what was found: sarif, table; json is report.json, which there always is")
	flags.StringVar(&f.outputDir, "output-dir", cmp.Or(os.Getenv("OUTPUT_DIR"), "reports"), "where results are written (environment: OUTPUT_DIR)")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Minute, "time for one image")

	flags.StringVar(&f.targetsFile, "targets-file", "", "list of targets, one a line, # begins a comment; - is the standard input")
	flags.StringVar(&f.kind, "kind", "", "TARGETs are directories to scan as they are: rootfs (a root file system) or repo (source code with lock files)")
	flags.StringVar(&f.authFile, "authfile", os.Getenv("REGISTRY_AUTH_FILE"), "credentials for registries, as docker login writes them (environment: REGISTRY_AUTH_FILE)")
	flags.StringVar(&f.registryCA, "registry-ca-file", "", "PEM certificates of the registries' private CA [those of --ca-file]")
	f.live.add(flags)
	f.pod.add(flags)
}

// check refuses flags and targets that make no scan together.
func (f *scanFlags) check(args []string) error {
	switch {
	case f.live.wanted():
		if err := f.live.check(args, f.targetsFile, f.kind); err != nil {
			return err
		}
	case len(args) == 0 && f.targetsFile == "":
		return usageError{errors.New("name at least one image or directory to scan")}
	}
	if f.timeout <= 0 {
		return usageError{fmt.Errorf("--timeout %s: use a time above 0, such as 30m", f.timeout)}
	}
	if k := scan.DirectoryKind(f.kind); k != "" && k != scan.KindRootfs && k != scan.KindRepository {
		return usageError{fmt.Errorf("--kind %q: use rootfs or repo", f.kind)}
	}
	return nil
}

// settle is longer than the pauses of whoever copies an image: Linux, also as an NFS client, writes out at least every five seconds
// (vm.dirty_writeback_centisecs). On a command line, somebody waits and can ask again.
const settle = 10 * time.Second

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
	var reports []report.Format
	for _, name := range f.reports {
		format := report.Format(strings.ToLower(name))
		if !slices.Contains(report.Formats, format) {
			return nil, nil, usageError{fmt.Errorf("--report-formats %q: use sarif, table or json", name)}
		}
		reports = append(reports, format)
	}
	scanner := &scan.Scanner{Formats: formats, Reports: reports, Timeout: f.timeout, Now: time.Now, Log: logr.Discard()}
	if f.pod.resultsDir != "" {
		scanner.Log, scanner.Settle = newLog(c.ErrOrStderr()), settle
	}
	if f.live.socket != "" {
		scanner.SetBy = engine.ByOperator // a pod on a node
	}
	release, err := f.engine.configure(scanner)
	var config configError
	if errors.As(err, &config) {
		f.pod.leave(config.reason, err.Error())
		err = usageError{err}
	}
	return scanner, release, err
}
