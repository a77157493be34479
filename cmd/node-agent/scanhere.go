// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/registry"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/targetlist"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// scanHere scans what this machine and registries have, into folders.
func (f *scanFlags) scanHere(c *cobra.Command, scanner *scan.Scanner, args []string) error {
	var targets []targetlist.Target
	for _, arg := range args {
		targets = append(targets, targetlist.Explicit(arg))
	}
	if f.targetsFile != "" {
		listed, err := readTargets(f.targetsFile, c.InOrStdin())
		if err != nil {
			return usageError{fmt.Errorf("--targets-file: %w", err)}
		}
		if targets = append(targets, listed...); len(targets) == 0 {
			fmt.Fprintf(c.ErrOrStderr(), "node-agent: %s: %s: the list names nothing\n", f.targetsFile, v1alpha1.ReasonNoTargets)
			return errTargetFailed
		}
	}
	for _, target := range targets {
		if err := processRoot(target); err != nil {
			return err
		}
	}
	sink, err := scan.NewFolderSink(f.outputDir, c.OutOrStdout())
	if err != nil {
		return err
	}
	failed, denied := false, false
	for _, target := range targets {
		verdict, err := f.scanTarget(c.Context(), scanner, target, sink)
		if c.Context().Err() != nil {
			return context.Cause(c.Context())
		}
		if err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "node-agent: %s\n", shown(fmt.Sprintf("%s: %v", cmp.Or(target.Text, "docker://"), err)))
		} else if verdict.Total() == 0 {
			fmt.Fprintf(c.ErrOrStderr(), "node-agent: %s: %s: %s\n", shown(target.Text), verdict.Reason, verdict.Message)
		}
		if err != nil || verdict.Total() == 0 || verdict.Counts[v1alpha1.EntryScanned] != verdict.Total() || verdict.Unjudged > 0 {
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

// readTargets reads a list; - is stdin where there is one.
func readTargets(name string, stdin io.Reader) ([]targetlist.Target, error) {
	if name == "-" && stdin != nil {
		return targetlist.Parse(stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return targetlist.Parse(f)
}

// scanTarget scans a file, a sandbox, what a directory holds, or an image in a registry. Who names
// a link on the command line means what it leads to.
func (f *scanFlags) scanTarget(ctx context.Context, scanner *scan.Scanner, target targetlist.Target, sink scan.Sink) (scan.Verdict, error) {
	if target.Kind == targetlist.Reference {
		if target.Text == "" {
			return scan.Verdict{}, errors.New("it names no image, write docker://REGISTRY/NAME:TAG")
		}
		if err := f.useRegistry(scanner); err != nil {
			return scan.Verdict{}, err
		}
		return scanner.Run(ctx, scan.Wanted{Images: []string{target.Text}}, nil, sink)
	}
	full, err := filepath.Abs(target.Text)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		return scan.Verdict{}, err
	}
	info, err := os.Stat(full)
	if err != nil {
		return scan.Verdict{}, err
	}
	dir, name := filepath.Split(full)
	wanted := scan.Volume{Spec: &volume.Spec{Files: []string{name}}}
	switch {
	case f.kind != "":
		wanted = scan.Volume{Directories: []string{name}, Kind: scan.DirectoryKind(f.kind)}
	case info.IsDir() && !isSandbox(full):
		dir, wanted.Spec = full, &volume.Spec{}
	}
	root, err := volume.OpenRoot(dir, dir)
	if err != nil {
		return scan.Verdict{}, err
	}
	defer root.Close()
	wanted.Root = root
	return scanner.Run(ctx, scan.Wanted{Volumes: []scan.Volume{wanted}}, nil, sink)
}

func isSandbox(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, ".singularity.d"))
	return err == nil && info.IsDir()
}

// registryAuth is the variable with the credentials for registries in a scan pod.
const registryAuth = "SIFSCAN_REGISTRY_AUTH"

// useRegistry prepares the scanner for images in registries.
func (f *scanFlags) useRegistry(s *scan.Scanner) (err error) {
	if s.Registry != nil {
		return nil
	}
	credentials := []byte(os.Getenv(registryAuth))
	if f.authFile != "" {
		if credentials, err = os.ReadFile(f.authFile); err != nil {
			return configError{v1alpha1.ReasonInvalidSpec, fmt.Errorf("--authfile: %w", err)}
		}
	}
	s.Registry, err = registry.New(registry.Options{Credentials: credentials, CAFile: cmp.Or(f.registryCA, f.engine.qscanner.CertFile)})
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.registryCA != "":
		return configError{v1alpha1.ReasonCredentialsMissing, fmt.Errorf("the ConfigMap that the operator's --registry-ca-configmap names is not in this Namespace, or has no key ca.crt: %w", err)}
	case err != nil:
		return configError{v1alpha1.ReasonCredentialsMissing, err}
	}
	return nil
}
