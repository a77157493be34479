// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import "path"

// trivy is the program with the database that the SIFScan names; without one it lists packages.
func (in JobInputs) trivy(s settings) part {
	program := in.program(s.Engine, *in.Config.Trivy)
	if s.Trivy == nil {
		return join(program, part{args: []string{"--mode=inventory-only"}})
	}
	p := databasePart(s.Trivy.ClaimName)
	p.args = []string{"--mode=get-report", "--db=" + path.Join(databaseDir, literal(s.Trivy.Path))}
	return join(program, p)
}
