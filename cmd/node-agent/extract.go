// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

func extractCommand() *cobra.Command {
	var limit string
	c := &cobra.Command{
		Use:   "extract IMAGE DIR",
		Short: "Extract an image's root file system into a directory that is empty or not there",
		Long: `Extract an image's root file system. Nothing of the image is executed, nothing leaves DIR:
symbolic links are written as they are, device nodes are left out, set-user-ID bits never set,
everything belongs to the caller. What would not fit is refused before the first byte is written.
Exit code: 0 done, 1 not extracted (DIR is then not there), 2 usage.`,
		Args: cobra.ExactArgs(2),
		RunE: failing(func(c *cobra.Command, args []string) error {
			bytes, err := quantity("--tmp-limit", limit)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_RDONLY|unix.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			img, err := rootfs.OpenFile(f)
			if err != nil {
				return named(args[0], err)
			}
			defer img.Close()
			sizes, err := img.Extract(c.Context(), args[1], rootfs.ExtractOptions{Limit: bytes})
			if err != nil {
				return named(args[0], err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d files, %d bytes on disk\n", printable.Escape(args[1]), sizes.Inodes(), sizes.Disk)
			return err
		}),
	}
	c.Flags().StringVar(&limit, "tmp-limit", "", "most bytes to write, such as 10Gi [what the file system has]")
	return c
}

// quantity parses a size as Kubernetes writes it; empty is 0.
func quantity(flag, value string) (int64, error) {
	if value == "" {
		return 0, nil
	}
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() <= 0 {
		return 0, usageError{fmt.Errorf("%s %q: use a size such as 10Gi", flag, value)}
	}
	return q.Value(), nil
}

// named prefixes an error with the image it is about, and makes it safe to print.
func named(image string, err error) error {
	return fmt.Errorf("%s: %w", printable.Escape(image), printableError{err})
}

// printableError is an error whose text may come from an image.
type printableError struct{ error }

func (e printableError) Error() string { return printable.Message(e.error.Error()) }
func (e printableError) Unwrap() error { return e.error }
