// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/coverage"
)

// maxNamed is how many paths a condition names. The ScanInventories have all.
const maxNamed = 20

// maxPath bounds one path in a condition, in characters.
const maxPath = 256

// pathNames counts paths and keeps the first of them in byte order, whatever the order they come in.
type pathNames struct {
	count int
	first []string
}

func (n *pathNames) add(path string) {
	n.count++
	at, _ := slices.BinarySearch(n.first, path)
	if at == maxNamed {
		return
	}
	n.first = slices.Insert(n.first, at, path)
	n.first = n.first[:min(len(n.first), maxNamed)]
}

// String lists the names: "a.sif, b.sif and 3 more, which the ScanInventories name".
func (n *pathNames) String() string {
	shown := make([]string, len(n.first))
	for i, path := range n.first {
		shown[i] = printable(path, maxPath)
	}
	text := strings.Join(shown, ", ")
	if more := n.count - len(n.first); more > 0 {
		text += fmt.Sprintf(" and %d more, which the ScanInventories name", more)
	}
	return text
}

// cover says in the condition Covered what share of the run's targets was checked: read, or known
// to be unchanged, and when all were. Both stay while the next run is under way.
func cover(scan *v1alpha1.SIFScan, t *tally, now time.Time) {
	c := coveredBy(t)
	c.ObservedGeneration, c.LastTransitionTime = scan.Generation, metav1.NewTime(now)
	coverage.Set(&scan.Status.Conditions, c)
	if c.Status == metav1.ConditionTrue {
		scan.Status.LastFullCoverageTime = c.LastTransitionTime.DeepCopy()
	}
}

// coveredBy is the condition of one run.
func coveredBy(t *tally) metav1.Condition {
	n := t.targets
	checked := n.Scanned + n.Unchanged
	c := metav1.Condition{Status: metav1.ConditionFalse}
	switch {
	case t.defect() != "":
		c.Reason, c.Message = v1alpha1.ReasonReportUnavailable, "not every image is accounted for"
	case n.Discovered == 0:
		c.Reason, c.Message = v1alpha1.ReasonNoTargets, "there was nothing to check"
	case checked == n.Discovered:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "100 % checked: "+counted(checked, "image", "images")
	default:
		// Rounded down: 99.96 % are not all.
		tenths := int64(checked) * 1000 / int64(n.Discovered)
		c.Reason = v1alpha1.ReasonPartial
		c.Message = fmt.Sprintf("%d.%d %% checked: %d of %s", tenths/10, tenths%10, checked, counted(n.Discovered, "image", "images"))
	}
	return c
}
