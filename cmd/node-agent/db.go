// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
)

func dbCommand() *cobra.Command {
	c := &cobra.Command{Use: "db", Short: "Make the database that packages are matched with", RunE: namesNoCommand, DisableFlagsInUseLine: true}
	c.AddCommand(dbBuildCommand())
	return c
}

func dbBuildCommand() *cobra.Command {
	var src osvdb.Source
	var out string
	c := &cobra.Command{
		Use:   "build --from DIR --out FILE | --base OLD --add FILE --out FILE",
		Short: "Turn OSV records into one indexed file",
		Long: `Turn OSV's zip files (<ecosystem>/all.zip, as osv.dev publishes them) and single records
into one indexed file. A file that is there is replaced in one step: scans that use it go on with the old one.
With --base, records of an existing database are kept and replaced by those of --add.`,
		Args: cobra.NoArgs,
		RunE: failing(func(c *cobra.Command, _ []string) error {
			if out == "" || src.From == "" && src.Base == "" {
				return usageError{errors.New("name --out, and --from or --base")}
			}
			src.Now = time.Now()
			info, err := osvdb.Build(c.Context(), out, src)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d records on %d packages of %d ecosystems, newest of %s, %s\n",
				out, info.Records, info.Packages, len(info.Ecosystems), info.UpdatedAt.UTC().Format(time.RFC3339), info.Digest)
			return err
		}),
	}
	flags := c.Flags()
	flags.StringVar(&src.From, "from", "", "directory with OSV's zip files or records")
	flags.StringVar(&src.Base, "base", "", "database to start from")
	flags.StringVar(&src.Add, "add", "", "record, zip file or directory to add")
	flags.StringVar(&out, "out", "", "file to write")
	return c
}
