// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// nodeFlags say whether and how running containers are scanned.
type nodeFlags struct {
	config      sifscan.NodeScansConfig
	seLinux     corev1.SELinuxOptions
	tolerations string
	memory      string
	tmp         string
	qscanner    v1alpha1.QscannerEngine
	trivy       v1alpha1.TrivyDatabase
}

// add defines the flags.
func (f *nodeFlags) add(flags *flag.FlagSet) {
	c := &f.config
	flags.StringVar(&c.Namespace, "node-scans-namespace", "", "namespace for the pods of scans of running containers, which see a node's processes: "+sifscan.NodeScansNamespace+", or empty: there are no such scans")
	flags.IntVar(&c.Slots, "node-scans-slots", sifscan.DefaultNodeSlots, "nodes that are looked at at a time, over all SIFScans")
	flags.StringVar(&f.tolerations, "node-scans-tolerations", sifscan.DefaultNodeTolerations, "KEY[=VALUE][:EFFECT] of the taints, separated by commas, that node pods may tolerate")
	flags.StringVar(&f.memory, "node-scans-memory-limit", sifscan.DefaultNodeMemory.String(), "memory limit of the scanner that reads images on a node")
	flags.StringVar(&c.AppArmorProfile, "node-scans-apparmor-profile", "", "AppArmor profile of the opener: Unconfined, or localhost/NAME; empty: the runtime's default")
	flags.StringVar(&f.seLinux.User, "node-scans-selinux-user", "", "SELinux user of the opener; empty: the runtime's default")
	flags.StringVar(&f.seLinux.Role, "node-scans-selinux-role", "", "SELinux role of the opener")
	flags.StringVar(&f.seLinux.Type, "node-scans-selinux-type", "", "SELinux type of the opener, such as spc_t")
	flags.StringVar(&f.seLinux.Level, "node-scans-selinux-level", "", "SELinux level of the opener")
	flags.StringVar(&f.tmp, "node-scans-tmp-limit", sifscan.DefaultNodeTmp.String(), "most of a node's disk that one image may take, extracted for qscanner or trivy")
	q := &f.qscanner
	flags.StringVar((*string)(&q.Mode), "node-scans-qscanner-mode", "", "get-report, scan-only or inventory-only: what qscanner does with what runs on nodes [get-report with a Secret; without, it is not run there]")
	flags.StringVar(&q.Platform, "node-scans-qscanner-platform", "", "Qualys platform for what runs on nodes, such as US2")
	flags.StringVar(&q.CredentialsSecretName, "node-scans-qscanner-credentials-secret", "", "Secret in the namespace for node pods with qscanner's token under the key "+v1alpha1.QscannerTokenKey)
	flags.StringVar(&f.trivy.ClaimName, "node-scans-trivy-database-claim", "", "claim in the namespace for node pods that holds trivy's cache directory; empty: trivy lists packages there and assesses none")
	flags.StringVar(&f.trivy.Path, "node-scans-trivy-database-path", "", "cache directory on that claim [the volume's root]")
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
	if f.config.TmpLimit, err = resource.ParseQuantity(f.tmp); err != nil {
		return fmt.Errorf("--node-scans-tmp-limit %q: use a size such as 10Gi", f.tmp)
	}
	if err := f.configureEngines(operator.Qscanner); err != nil {
		return err
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

// configureEngines takes over what the engines that are executed need on nodes. site is how qscanner is run
// everywhere; nil: it is not.
func (f *nodeFlags) configureEngines(site *sifscan.QscannerConfig) error {
	if f.trivy.ClaimName != "" {
		f.config.TrivyDatabase = &f.trivy
	}
	q := &f.qscanner
	if q.Mode == "" && q.CredentialsSecretName == "" {
		return nil
	}
	q.Mode = cmp.Or(q.Mode, v1alpha1.QscannerGetReport)
	switch {
	case site == nil:
		return errors.New("--node-scans-qscanner-…: name the program, too, with --qscanner-image or --qscanner-path")
	case q.Mode != v1alpha1.QscannerInventoryOnly && q.Platform == "" && site.GatewayURL == "":
		return errors.New("--node-scans-qscanner-platform: name your Qualys platform, such as US2, or a gateway with --qscanner-gateway-url")
	}
	f.config.Qscanner = q
	return nil
}
