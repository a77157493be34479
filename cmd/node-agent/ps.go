// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
)

func psCommand() *cobra.Command {
	var output string
	var live liveFlags
	c := &cobra.Command{
		Use:   "ps",
		Short: "List the Apptainer and Singularity containers that run on this machine",
		Long: `List the Apptainer and Singularity containers that run on this machine: one line for
what one user runs of one image in one job, with the first process and the number of others.

Everybody's containers are found without any rights; their images are known to root, and
to the user who runs them. What is only claimed by a process is marked so. COVERAGE is
unreachable where a scan would get nothing, and partial where containers have a writable
layer, which is read with their root alone.`,
		Args: cobra.NoArgs,
		RunE: failing(func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" && output != "yaml" {
				return usageError{fmt.Errorf("-o %q: use table, json or yaml", output)}
			}
			found, err := live.find(c.Context())
			if err != nil {
				return err
			}
			defer found.Opener.Close()
			list := psItems(found)
			if output == "table" {
				err = psTable(c.OutOrStdout(), list, time.Now())
			} else {
				err = psDocument(c.OutOrStdout(), list, output)
			}
			return cmp.Or(err, whole(found))
		}),
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	return c
}

// psItem is a line of ps.
type psItem struct {
	Node                        string `json:"node"`
	v1alpha1.InventoryContainer `json:",inline"`
	// Command of its first process: bounded, escaped, without what looks like a secret.
	Command string `json:"command,omitempty"`
}

func psItems(live *scan.Live) []psItem {
	list := []psItem{}
	for _, g := range scan.Groups(live.Containers, live.Node) {
		item := psItem{Node: live.Node, InventoryContainer: g.InventoryContainer, Command: g.Command}
		if item.Coverage == "" && item.Writable {
			item.Coverage = v1alpha1.CoveragePartial
		}
		list = append(list, item)
	}
	return list
}

// psDocument writes {"items": [...]}.
func psDocument(w io.Writer, list []psItem, format string) error {
	text, err := json.MarshalIndent(map[string]any{"items": list}, "", "  ")
	if err != nil {
		return err
	}
	if format == "yaml" {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

func psTable(w io.Writer, list []psItem, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NODE\tPID\tUSER\tIMAGE\tMODE\tSLURM-JOB\tPOD\tAGE\tCOVERAGE")
	for _, c := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Node, psPIDs(c), psUser(c.User), c.Image, psMode(c), psJob(c.Slurm), psPod(c.Pod),
			duration.HumanDuration(now.Sub(c.Since.Time)), cmp.Or(c.Coverage, "-"))
	}
	return t.Flush()
}

// psPIDs is the first process, and how many other containers there are.
func psPIDs(c psItem) string {
	if len(c.PIDs) == 0 {
		return "-"
	}
	if c.Ranks > 1 {
		return fmt.Sprintf("%d (+%d)", c.PIDs[0], c.Ranks-1)
	}
	return strconv.Itoa(int(c.PIDs[0]))
}

func psUser(uid int64) string {
	number := strconv.FormatInt(uid, 10)
	if u, err := user.LookupId(number); err == nil {
		return printable.Escape(u.Username)
	}
	return number
}

func psMode(c psItem) string {
	if c.Writable {
		return string(c.Mode) + ",writable"
	}
	return string(c.Mode)
}

func psJob(s *v1alpha1.InventorySlurm) string {
	if s == nil {
		return "-"
	}
	job := s.Job
	if s.Step != "" {
		job += "." + s.Step
	}
	if s.Source == v1alpha1.SlurmFromEnvironment {
		job += " (claimed)"
	}
	return job
}

func psPod(p *v1alpha1.InventoryPod) string {
	if p == nil {
		return "-"
	}
	return cmp.Or(p.Name, p.UID)
}
