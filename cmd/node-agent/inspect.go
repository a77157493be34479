// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// inspection is what inspect prints.
type inspection struct {
	Path string `json:"path"`
	rootfs.Info
	// Readable: a scan can read the root file system.
	Readable bool `json:"readable"`
	// Reason and Message say why it cannot, or what of it is missing.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

func inspectCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Tell what an image is, without reading its data",
		Long: `Tell what an image is: format, partitions, compression, architecture, labels, signatures,
and whether a scan can read it.
Exit code: 0 for whatever it can name, 1 for a file that is no image or is damaged, 2 usage.`,
		Args: cobra.ExactArgs(1),
		RunE: failing(func(c *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("-o %q: use table or json", output)}
			}
			found, err := inspect(c.Context(), args[0])
			if err != nil {
				return named(args[0], err)
			}
			if output == "json" {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(found)
			}
			return found.print(c.OutOrStdout())
		}),
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

func inspect(ctx context.Context, path string) (*inspection, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := rootfs.OpenFile(f)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	i := &inspection{Path: path, Info: img.Info(), Readable: true}
	_, err = img.FS(ctx)
	var why *rootfs.Error
	if errors.As(err, &why) && why.Reason == rootfs.ReasonUnsupported {
		i.Readable = false
	} else if err != nil {
		return nil, err
	} else if !errors.As(img.Incomplete(), &why) {
		return i, nil
	}
	i.Reason, i.Message = why.Reason, why.Message
	return i, nil
}

// print writes a table. Every text is the image author's.
func (i *inspection) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, printable.Truncate(printable.Escape(value), 160))
		}
	}
	row("Path", i.Path)
	row("Format", i.Format)
	row("Size", fmt.Sprintf("%d bytes", i.SizeBytes))
	row("Architecture", i.Architecture)
	if i.Created != nil {
		row("Created", i.Created.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if i.Compression != "" {
		row("Root file system", fmt.Sprintf("squashfs, %s, %d inodes, blocks of %d KiB", i.Compression, i.Inodes, i.BlockSize>>10))
	}
	for _, p := range i.Partitions {
		row("Partition", fmt.Sprintf("%d: %s, %s, %d bytes at %d %s", p.ID, p.Type, p.FileSystem, p.SizeBytes, p.Offset, p.Architecture))
	}
	for _, s := range i.Signatures {
		row("Signature (not verified)", fmt.Sprintf("of %s by %s", s.Signs, strings.ToUpper(s.Fingerprint)))
	}
	for _, s := range i.SBOMs {
		row("SBOM (by the image's author)", fmt.Sprintf("%d: %s, %d bytes", s.ID, s.Format, s.SizeBytes))
	}
	for _, l := range i.Layers {
		row("Layer", l)
	}
	keys := make([]string, 0, len(i.Labels))
	for k := range i.Labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		row("Label", k+"="+i.Labels[k])
	}
	for _, n := range i.Notes {
		row("Note", n)
	}
	readable := "yes"
	if !i.Readable {
		readable = "no"
	}
	row("Can be scanned", readable)
	if i.Message != "" {
		fmt.Fprintf(t, "%s\t%s\n", i.Reason, printable.Truncate(printable.Message(i.Message), 160))
	}
	return t.Flush()
}
