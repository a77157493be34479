// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/controllers/coverage"
)

// cover takes over from the children what share of the images the last run that ended checked, and
// remembers when one checked all of them: by then the SIFScan may be gone.
func (p *pass) cover() {
	known := coverage.Of(p.schedule.Status.Conditions)
	var newer []metav1.Condition
	for _, scan := range p.all() {
		p.schedule.Status.LastFullCoverageTime = coverage.Later(p.schedule.Status.LastFullCoverageTime, scan.Status.LastFullCoverageTime)
		c := coverage.Of(scan.Status.Conditions)
		if c != nil && (known == nil || c.LastTransitionTime.After(known.LastTransitionTime.Time)) {
			newer = append(newer, *c)
		}
	}
	slices.SortStableFunc(newer, func(a, b metav1.Condition) int { return a.LastTransitionTime.Compare(b.LastTransitionTime.Time) })
	for _, c := range newer {
		c.ObservedGeneration = p.schedule.Generation
		coverage.Set(&p.schedule.Status.Conditions, c)
	}
}
