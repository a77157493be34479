// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/sifscan/sifscan-operator/controllers/naming"
)

// maxJobName leaves room behind a Job's name for what Kubernetes and the reporter append
// within 63 characters: "-<index>-<5 random>" on pods, "-w<index>-<chunk>" on inventories.
const maxJobName = 52

// JobName returns the name of the Job of a run: the SIFScan's name, cut and hashed where it is
// long, and the hexadecimal part of the run's id.
//
// The name is one DNS label: the host names of an Indexed Job's pods begin with it, and
// kube-apiserver refuses the Job otherwise. A SIFScan's name may hold dots; they are replaced,
// and the hash keeps "a.b" and "a-b" apart.
func JobName(scan, run string) string {
	_, id, _ := strings.Cut(run, "-")
	return naming.Label(scan, maxJobName-len("-")-len(id)) + "-" + id
}

// inventoryName returns the name of a chunk of a worker's ScanInventory.
func inventoryName(job string, worker, chunk int32) string {
	return fmt.Sprintf("%s-w%d-%d", job, worker, chunk)
}

var inventorySuffix = regexp.MustCompile(`^-w(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,8})$`)

// parseInventoryName is the reverse of inventoryName. It reports false for the name of
// anything but a ScanInventory of job.
func parseInventoryName(job, name string) (worker, chunk int32, ok bool) {
	suffix, ok := strings.CutPrefix(name, job)
	if !ok {
		return 0, 0, false
	}
	m := inventorySuffix.FindStringSubmatch(suffix)
	if m == nil {
		return 0, 0, false
	}
	w, _ := strconv.ParseInt(m[1], 10, 32) // nine digits fit
	c, _ := strconv.ParseInt(m[2], 10, 32)
	return int32(w), int32(c), true
}
