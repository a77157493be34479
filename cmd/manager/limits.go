// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"time"

	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// Slots of an operator that was told nothing: what a few small nodes and one file server bear at night.
const (
	maxScans             = 10
	maxScansPerNamespace = 4
	maxScansPerVolume    = 2
)

// requestsPerSecond of a volume: with two scans at a time each looks for 10,000 images in ten seconds, and a metadata
// server answers tens of thousands.
const requestsPerSecond = 1000 * maxScansPerVolume

// addLimits defines the flags that say how much is at work at a time.
func addLimits(flags *flag.FlagSet, c *sifscan.OperatorConfig) {
	flags.IntVar(&c.Slots.Total, "max-scans", maxScans, "scans that are at work at a time; 0: any number")
	flags.IntVar(&c.Slots.PerNamespace, "max-scans-per-namespace", maxScansPerNamespace, "of these, in one namespace; 0: any number")
	flags.IntVar(&c.Slots.PerVolume, "max-scans-per-volume", maxScansPerVolume, "of these, of one PersistentVolumeClaim; 0: any number")
	flags.Float64Var(&c.Pace.RequestsPerSecond, "volume-requests-per-second", requestsPerSecond,
		"how often each volume is asked for a name, attributes or entries of a directory, of which each of --max-scans-per-volume scans has its part; 0: any number")
	flags.Float64Var(&c.Pace.MiBPerSecond, "volume-mib-per-second", 0, "MiB that are read of each volume in a second, shared likewise; 0: any amount")
	flags.StringVar(&c.PriorityClass, "priority-class", "", "PriorityClass of scan pods whose SIFScan names none [the cluster's default]")
	flags.DurationVar(&c.PendingDeadline, "pending-deadline", 15*time.Minute,
		"how long a scan waits for a volume, a Secret, an image or a node before it is Stalled; it goes on waiting")
}

// checkLimits says what is wrong with them.
func checkLimits(c *sifscan.OperatorConfig) error {
	if min(c.Slots.Total, c.Slots.PerNamespace, c.Slots.PerVolume) < 0 {
		return errors.New("--max-scans, --max-scans-per-namespace, --max-scans-per-volume: use a number from 1, or 0 for no limit")
	}
	if c.Pace.RequestsPerSecond < 0 || c.Pace.MiBPerSecond < 0 {
		return errors.New("--volume-requests-per-second, --volume-mib-per-second: use a number above 0, or 0 for no limit")
	}
	if c.PendingDeadline <= 0 {
		return errors.New("--pending-deadline: use a duration such as 15m")
	}
	return nil
}
