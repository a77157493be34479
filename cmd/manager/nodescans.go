// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// nodeFlags say whether and how running containers are scanned.
type nodeFlags struct {
	config      sifscan.NodeScansConfig
	seLinux     corev1.SELinuxOptions
	tolerations string
	memory      string
}

// add defines the flags.
func (f *nodeFlags) add(flags *flag.FlagSet) {
	c := &f.config
	flags.StringVar(&c.Namespace, "node-scans-namespace", "", "namespace for the pods of scans of running containers, which see a node's processes; empty: there are no such scans")
	flags.IntVar(&c.Slots, "node-scans-slots", sifscan.DefaultNodeSlots, "nodes that are looked at at a time, over all SIFScans")
	flags.StringVar(&f.tolerations, "node-scans-tolerations", sifscan.DefaultNodeTolerations, "KEY[=VALUE][:EFFECT] of the taints, separated by commas, that node pods may tolerate")
	flags.StringVar(&f.memory, "node-scans-memory-limit", sifscan.DefaultNodeMemory.String(), "memory limit of the scanner that reads images on a node")
	flags.StringVar(&c.AppArmorProfile, "node-scans-apparmor-profile", "", "AppArmor profile of the opener: Unconfined, or localhost/NAME; empty: the runtime's default")
	flags.StringVar(&f.seLinux.User, "node-scans-selinux-user", "", "SELinux user of the opener; empty: the runtime's default")
	flags.StringVar(&f.seLinux.Role, "node-scans-selinux-role", "", "SELinux role of the opener")
	flags.StringVar(&f.seLinux.Type, "node-scans-selinux-type", "", "SELinux type of the opener, such as spc_t")
	flags.StringVar(&f.seLinux.Level, "node-scans-selinux-level", "", "SELinux level of the opener")
}

// configure puts what was said into the operator's configuration.
func (f *nodeFlags) configure(operator *sifscan.OperatorConfig) error {
	if f.config.Namespace == "" {
		return nil
	}
	var err error
	if f.config.Tolerations, err = sifscan.ParseTolerations(f.tolerations); err != nil {
		return fmt.Errorf("--node-scans-tolerations: %w", err)
	}
	if f.config.MemoryLimit, err = resource.ParseQuantity(f.memory); err != nil {
		return fmt.Errorf("--node-scans-memory-limit %q: use a size such as 2Gi", f.memory)
	}
	if f.seLinux != (corev1.SELinuxOptions{}) {
		f.config.SELinuxOptions = &f.seLinux
	}
	if err := f.config.Check(); err != nil {
		return fmt.Errorf("--node-scans-…: %w", err)
	}
	operator.NodeScans = &f.config
	return nil
}
