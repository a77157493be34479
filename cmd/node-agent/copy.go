// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// maxCopied bounds a program that is copied: trivy, the largest, has 170 MB.
const maxCopied = 512 << 20

// copyCommand copies a program into a volume that containers of a scan pod share. It runs in the image of
// that program too, which may have no shell and no cp.
func copyCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "copy PROGRAM FILE",
		Short:  "Copy a program to a file that is not there yet, and print its SHA-256",
		Args:   cobra.ExactArgs(2),
		Hidden: true,
		RunE: failing(func(c *cobra.Command, args []string) error {
			sum, err := copyProgram(args[0], args[1], maxCopied)
			if err != nil {
				return fmt.Errorf("copy %s to %s: %w", args[0], args[1], err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%x  %s\n", sum, args[0])
			return err
		}),
	}
}

// copyProgram copies a regular file, executable for everybody and writable by nobody. A container that
// kubelet starts again finds what its first try left, and replaces it.
func copyProgram(from, to string, most int64) (sum []byte, err error) {
	in, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // opened for reading
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("it is no regular file"), err)
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o555)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, most+1))
	if n > most {
		err = fmt.Errorf("it has more than %d MiB", most>>20)
	}
	// A umask may have taken bits away.
	if err = errors.Join(err, out.Chmod(0o555), out.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(to))
	}
	return h.Sum(nil), nil
}
