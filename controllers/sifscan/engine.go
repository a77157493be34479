// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// engine is the engine, and what it needs to read images.
func (in JobInputs) engine() part {
	s := resolve(&in.Scan.Spec)
	p := part{args: []string{
		"--engine=" + string(s.Engine),
		"--scan-types=" + strings.Join(s.ScanTypes, ","),
		"--formats=" + strings.Join(s.Formats, ","),
		"--report-formats=" + strings.Join(s.Reports, ","),
		"--timeout=" + s.Timeout.String(),
	}}
	for _, dir := range s.ExcludeDirs {
		p.args = append(p.args, "--exclude-dirs="+literal(dir))
	}
	switch s.Engine {
	case v1alpha1.EngineQscanner:
		return join(p, in.qscanner(s))
	case v1alpha1.EngineTrivy:
		return join(p, in.trivy(s))
	}
	return join(p, in.native())
}

// native matches packages with a file.
func (in JobInputs) native() part {
	if in.Database == nil {
		return part{}
	}
	p := databasePart(in.Database.ClaimName)
	p.args = []string{"--db=" + databaseDir + "/" + literal(in.Database.Path)}
	return p
}

// checkEngine refuses a spec whose engine the operator cannot run.
func (c *OperatorConfig) checkEngine(spec *v1alpha1.SIFScanSpec) error {
	s := resolve(spec)
	switch {
	case s.Engine == v1alpha1.EngineQscanner && c.Qscanner == nil, s.Engine == v1alpha1.EngineTrivy && c.Trivy == nil:
		return &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, message: fmt.Sprintf(
			"the operator has no binary of the engine %[1]s: set spec.scanner.engine to native, or ask the operator's administrator for --%[1]s-image", s.Engine)}
	case s.Engine == v1alpha1.EngineQscanner && s.Qscanner.Mode != v1alpha1.QscannerInventoryOnly &&
		s.Qscanner.Platform == "" && c.Qscanner.GatewayURL == "":
		return &hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec, message: "spec.scanner.qscanner.platform: name your Qualys platform, such as US2 or EU1"}
	}
	return nil
}
