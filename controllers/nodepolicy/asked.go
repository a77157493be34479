// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Condition of an object that was there before the policy: true once its author was asked by a change. Its message
// is what a later look needs to know: the policy, and the version of the object.
const Condition = "Asked"

// reasonAsked is the Condition's reason while it is true; otherwise it is NotAllowed.
const reasonAsked = "Asked"

// takesUp is how long after its creation a policy may not be in force yet: API servers look for new ones every second
// (k8s.io/apiserver, pkg/admission/plugin/policy/generic, policyRefreshInterval), and a creation timestamp has whole seconds.
const takesUp = 3 * time.Second

// Unasked says why nobody asked the author of an object, and what helps; empty: somebody did. It keeps what it
// found in the object's conditions, of which the caller writes the status.
//
// An object that is younger than the policy was asked for. One that is older was, if it changed after the operator
// noted that it was not: the policy was in force by then, and asks for every change but those of finalizers and
// owners. Conditions are protected by it, too, and what was written to them before it was there does not name it.
func (s State) Unasked(o metav1.Object, conditions *[]metav1.Condition, now time.Time) string {
	before, noted := noteOf(*conditions)
	is := note{id: s.ID, version: versionOf(o)}
	switch {
	case s.Missing != "":
		is.id = ""
	case !noted && !o.GetCreationTimestamp().Time.Before(s.Since.Add(takesUp)):
		return ""
	case noted && before.id == s.ID:
		is.asked = before.asked || before.version != is.version
	}
	if is.asked && before.asked {
		return "" // and the note stays: of whichever version, for every change is asked for
	}
	is.write(o, conditions, now)
	switch {
	case is.asked:
		return ""
	case s.Missing != "":
		return fmt.Sprintf("nobody asked whether its author may have nodes scanned, for %s: ask the cluster's administrator to apply config/node-scans", s.Missing)
	}
	return fmt.Sprintf("nobody asked whether its author may have nodes scanned: it was there before ValidatingAdmissionPolicy %s was in force", Name)
}

// Refused reports whether an object's author was not asked when it was last looked at.
func Refused(conditions []metav1.Condition) bool {
	n, noted := noteOf(conditions)
	return noted && !n.asked
}

// note is what the Condition says.
type note struct {
	asked       bool
	id, version string
}

func noteOf(conditions []metav1.Condition) (n note, noted bool) {
	c := meta.FindStatusCondition(conditions, Condition)
	if c == nil {
		return n, false
	}
	n.asked = c.Status == metav1.ConditionTrue
	n.id, n.version, _ = strings.Cut(strings.TrimPrefix(c.Message, noteBegins), noteJoins)
	return n, true
}

const (
	noteBegins = "policy "
	noteJoins  = ", version "
)

func (n note) write(o metav1.Object, conditions *[]metav1.Condition, now time.Time) {
	c := metav1.Condition{
		Type: Condition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotAllowed,
		Message: noteBegins + n.id + noteJoins + n.version, ObservedGeneration: o.GetGeneration(), LastTransitionTime: metav1.NewTime(now),
	}
	if n.asked {
		c.Status, c.Reason = metav1.ConditionTrue, reasonAsked
	}
	meta.SetStatusCondition(conditions, c)
}

// versionOf changes with what admission asks for, and with nothing that the operator writes.
func versionOf(o metav1.Object) string {
	a := o.GetAnnotations()
	sum := sha256.Sum256([]byte(a[v1alpha1.AnnotationRescanAt] + "\x00" + a[v1alpha1.AnnotationRunNow]))
	return fmt.Sprintf("%d-%s", o.GetGeneration(), hex.EncodeToString(sum[:6]))
}
