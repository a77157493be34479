// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	away = State{Missing: "there is no policy"}
)

// madeAt is the policy in force since a time.
func madeAt(at time.Time) State {
	policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
	policy.Name, policy.UID, policy.CreationTimestamp = Name, "policy", metav1.NewTime(noon.Add(-time.Hour))
	binding.Name, binding.UID, binding.CreationTimestamp = Name, types.UID(at.Format(time.TimeOnly)), metav1.NewTime(at)
	binding.Spec.PolicyName, binding.Spec.ValidationActions = Name, []admissionv1.ValidationAction{admissionv1.Deny}
	return stateOf(policy, binding)
}

// object is a ScanSchedule as its author left it.
type object struct {
	*v1alpha1.ScanSchedule
	t *testing.T
}

func made(t *testing.T, at time.Time) object {
	s := &v1alpha1.ScanSchedule{ObjectMeta: metav1.ObjectMeta{Generation: 1, CreationTimestamp: metav1.NewTime(at)}}
	return object{s, t}
}

func (o object) edited() object { o.Generation++; return o }

func (o object) annotated(key, value string) object {
	metav1.SetMetaDataAnnotation(&o.ObjectMeta, key, value)
	return o
}

// looked at, the object's author is found to have been asked, or not.
func (o object) looked(s State, asked bool) object {
	o.t.Helper()
	why := s.Unasked(o, &o.Status.Conditions, noon)
	if got := why == ""; got != asked {
		o.t.Errorf("asked %v, want %v: %s", got, asked, why)
	}
	if Refused(o.Status.Conditions) == asked {
		o.t.Errorf("asked %v, and noted: %+v", asked, o.Status.Conditions)
	}
	return o
}

// forged conditions are all that somebody can write who does not know the policy that will come.
func (o object) forged(id string) object {
	n := note{asked: true, id: id, version: versionOf(o)}
	n.write(o, &o.Status.Conditions, noon)
	return o
}

func TestWhatWasThereBeforeThePolicyIsAskedForAtAChangeAfterItWasSeen(t *testing.T) {
	policy, later := madeAt(noon), madeAt(noon.Add(time.Hour))
	before, after := noon.Add(-time.Second), noon.Add(takesUp)
	for name, look := range map[string]func(*testing.T){
		"younger than the policy":              func(t *testing.T) { made(t, after).looked(policy, true) },
		"younger, and edited":                  func(t *testing.T) { made(t, after).looked(policy, true).edited().looked(policy, true) },
		"older":                                func(t *testing.T) { made(t, before).looked(policy, false).looked(policy, false) },
		"of the second in which it was made":   func(t *testing.T) { made(t, noon).looked(policy, false) },
		"before API servers have taken it up":  func(t *testing.T) { made(t, after.Add(-time.Second)).looked(policy, false) },
		"older, and edited while nobody looks": func(t *testing.T) { made(t, before).edited().looked(policy, false) },
		"older, and edited after it was seen": func(t *testing.T) {
			made(t, before).looked(policy, false).edited().looked(policy, true).looked(policy, true).edited().looked(policy, true)
		},
		"older, and run now after it was seen": func(t *testing.T) {
			made(t, before).looked(policy, false).annotated(v1alpha1.AnnotationRunNow, "1").looked(policy, true)
		},
		"older, and scanned again after it was seen": func(t *testing.T) {
			made(t, before).looked(policy, false).annotated(v1alpha1.AnnotationRescanAt, "1").looked(policy, true)
		},
		"an annotation that starts nothing": func(t *testing.T) {
			made(t, before).looked(policy, false).annotated("note", "1").looked(policy, false)
		},
		"while there is none": func(t *testing.T) { made(t, before).looked(away, false).edited().looked(away, false) },
		"edited before the operator sees that it is there": func(t *testing.T) {
			made(t, before).looked(away, false).edited().looked(policy, false).edited().looked(policy, true)
		},
		"one that was asked for, while there is none": func(t *testing.T) {
			made(t, after).looked(policy, true).looked(away, false).looked(policy, false).edited().looked(policy, true)
		},
		"the policy was made anew": func(t *testing.T) {
			made(t, after).looked(policy, true).looked(later, false).edited().looked(later, true)
		},
		"made anew after a change was asked": func(t *testing.T) {
			made(t, before).looked(policy, false).edited().looked(policy, true).looked(later, false)
		},
		"a note of nobody's policy":   func(t *testing.T) { made(t, before).forged("").looked(policy, false) },
		"a note of the policy before": func(t *testing.T) { made(t, before).forged(policy.ID).looked(later, false) },
	} {
		t.Run(name, look)
	}
}

func TestWhoWasNotAskedIsToldWhatHelps(t *testing.T) {
	for _, c := range []struct {
		state State
		want  string
	}{
		{away, "there is no policy: ask the cluster's administrator to apply config/node-scans"},
		{madeAt(noon), "before ValidatingAdmissionPolicy sifscan-node-scans was in force"},
	} {
		o := made(t, noon)
		if why := c.state.Unasked(o, &o.Status.Conditions, noon); !strings.Contains(why, c.want) {
			t.Errorf("%q, want %q", why, c.want)
		}
	}
}

func TestThePolicyIsInForceSinceTheYoungerOfItsTwoParts(t *testing.T) {
	if s := madeAt(noon); !s.Since.Equal(noon) || s.ID != "policy/12:00:00" {
		t.Errorf("%+v", s)
	}
	if s := madeAt(noon.Add(-2 * time.Hour)); !s.Since.Equal(noon.Add(-time.Hour)) {
		t.Errorf("%+v", s)
	}
}
