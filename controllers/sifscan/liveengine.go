// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// NodeEnginesConfig is how engines that are executed are run on nodes: what a SIFScan of a volume says itself. Claims
// and the Secret are in the namespace of node pods.
type NodeEnginesConfig struct {
	// TmpLimit is the most of a node's disk that one image may take, extracted, with what the engine writes.
	TmpLimit resource.Quantity
	// Qscanner's platform, mode and token; nil: it is not run on nodes.
	Qscanner *v1alpha1.QscannerEngine
	// TrivyDatabase that packages are matched with; nil: trivy lists them.
	TrivyDatabase *v1alpha1.TrivyDatabase
}

// DefaultNodeTmp is the limit of tmp on nodes, as that of SIFScans.
var DefaultNodeTmp = defaultTmpLimit

// leastTmpLimit is that of spec.tmp.sizeLimit.
var leastTmpLimit = resource.MustParse("16Mi")

var platformName = regexp.MustCompile(`^[A-Z0-9]{1,16}$`)

// check says what is wrong with the configuration. The verdict of the platform's policies is asked for images on volumes
// alone: a scan of nodes judges nothing.
func (c *NodeEnginesConfig) check() error {
	if c.TmpLimit.Cmp(leastTmpLimit) < 0 {
		return fmt.Errorf("tmp limit %s: use at least %s", c.TmpLimit.String(), leastTmpLimit.String())
	}
	q := c.Qscanner
	if q == nil {
		return nil
	}
	switch q.Mode {
	case v1alpha1.QscannerGetReport, v1alpha1.QscannerScanOnly:
		if q.CredentialsSecretName == "" {
			return fmt.Errorf("qscanner mode %s: name the Secret with the key %s", q.Mode, v1alpha1.QscannerTokenKey)
		}
	case v1alpha1.QscannerInventoryOnly:
	default:
		return fmt.Errorf("qscanner mode %q: use get-report, scan-only or inventory-only", q.Mode)
	}
	if q.Platform != "" && !platformName.MatchString(q.Platform) {
		return fmt.Errorf("qscanner platform %q: use the name of a Qualys platform, such as US2 or EU1", q.Platform)
	}
	return nil
}

// checkNodeEngine refuses a SIFScan of running containers whose engine the operator cannot run on nodes.
func (c *OperatorConfig) checkNodeEngine(scan *v1alpha1.SIFScan) error {
	if resolve(&scan.Spec).Engine == v1alpha1.EngineQscanner && c.Qscanner != nil && c.NodeScans.Qscanner == nil {
		return &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, message: "the operator does not run the engine qscanner on nodes: " +
			"set spec.scanner.engine to native, or ask the operator's administrator for --node-scans-qscanner-credentials-secret"}
	}
	return c.checkEngine(&c.NodeScans.completed(scan).Spec)
}

// completed is a SIFScan of running containers with what it may not say itself.
func (c *NodeScansConfig) completed(scan *v1alpha1.SIFScan) *v1alpha1.SIFScan {
	scan = scan.DeepCopy()
	limit := c.TmpLimit.DeepCopy()
	scan.Spec.Tmp = v1alpha1.Tmp{SizeLimit: &limit}
	switch scan.Spec.Scanner.Engine {
	case v1alpha1.EngineQscanner:
		scan.Spec.Scanner.Qscanner = c.Qscanner.DeepCopy()
	case v1alpha1.EngineTrivy:
		scan.Spec.Scanner.Trivy = &v1alpha1.TrivyEngine{Database: c.TrivyDatabase.DeepCopy()}
	}
	return scan
}

// nodeInputs are what a run's pods on nodes are built from.
func (r *Reconciler) nodeInputs(ctx context.Context, p *pass) (in JobInputs, err error) {
	c := r.Config.NodeScans
	in = JobInputs{Scan: c.completed(p.scan), Run: p.run, Workers: 1, Config: r.Config}
	switch p.scan.Spec.Scanner.Engine {
	case v1alpha1.EngineQscanner:
		in.JavaDB, err = r.shared(ctx, c.Namespace, r.Config.Qscanner.JavaDB)
	case v1alpha1.EngineTrivy:
	default:
		in.Database, err = r.shared(ctx, c.Namespace, r.Config.Database)
	}
	return in, err
}
