// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/nodepolicy"
)

// ofNodes is a schedule of running containers.
func ofNodes(created string) func(*v1alpha1.ScanSchedule) {
	return func(s *v1alpha1.ScanSchedule) {
		s.CreationTimestamp, s.Generation = metav1.NewTime(at(created)), 1
		s.Spec.Template.Spec.Target = v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: "n1"}}
	}
}

// enforce has admission ask from an instant on.
func (f *server) enforce(since string) {
	f.Helper()
	made := metav1.ObjectMeta{Name: nodepolicy.Name, UID: "policy", CreationTimestamp: metav1.NewTime(at(since))}
	for _, o := range []client.Object{
		&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: made},
		&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: made, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: nodepolicy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}}},
	} {
		if err := f.Create(f.Context(), o); err != nil {
			f.Fatal(err)
		}
	}
}

// edit changes the schedule, as its author does.
func (f *server) edit() {
	f.Helper()
	f.schedule.Generation++
	f.schedule.Spec.Template.Spec.Target.Running.NodeName += "0"
	if err := f.Update(f.Context(), f.schedule); err != nil {
		f.Fatal(err)
	}
}

func (f *server) refused(text, says string) {
	f.Helper()
	again, err := f.look(text)
	if err != nil || again <= 0 || again > refusedRetry {
		f.Errorf("error %v, next look in %s", err, again)
	}
	for kind, status := range map[string]metav1.ConditionStatus{v1alpha1.ConditionReady: metav1.ConditionFalse, v1alpha1.ConditionStalled: metav1.ConditionTrue} {
		c := meta.FindStatusCondition(f.schedule.Status.Conditions, kind)
		if c == nil || c.Status != status || c.Reason != v1alpha1.ReasonNotAllowed || !strings.Contains(c.Message, says) {
			f.Errorf("%s is %+v, want NotAllowed with %q", kind, c, says)
		}
	}
	f.want()
}

func TestNoSIFScanOfNodesIsMadeForWhomNobodyAsked(t *testing.T) {
	const help = "change the ScanSchedule, or set annotation sifscan.io/run-now"
	f := newServer(t, nightly(ofNodes("2026-11-21T00:00:00Z")))
	f.reconciler.NodeScans = true
	f.refused("2026-11-21T00:00:01Z", "there is no ValidatingAdmissionPolicy sifscan-node-scans")
	f.refused("2026-11-21T01:30:01Z", help)
	f.enforce("2026-11-21T02:00:00Z")
	f.refused("2026-11-21T02:01:00Z", "there before ValidatingAdmissionPolicy sifscan-node-scans was in force; then "+help)
	f.refused("2026-11-22T01:30:01Z", help)
	f.edit() // admission asks
	for _, now := range []string{"2026-11-22T01:31:00Z", "2026-11-22T01:31:01Z"} {
		if _, err := f.look(now); err != nil {
			t.Fatal(err)
		}
		f.want("nightly-29921850") // the latest that is owed
	}
	if c := meta.FindStatusCondition(f.schedule.Status.Conditions, v1alpha1.ConditionStalled); c != nil {
		t.Errorf("still stalled: %+v", c)
	}
}

func TestASIFScanOfNodesIsMadeForWhomAdmissionAsked(t *testing.T) {
	f := newServer(t, nightly(ofNodes("2026-11-21T00:00:00Z")))
	f.reconciler.NodeScans = true
	f.enforce("2026-11-20T00:00:00Z")
	if _, err := f.look("2026-11-21T01:30:01Z"); err != nil {
		t.Fatal(err)
	}
	f.want("nightly-29920410")
	if c := meta.FindStatusCondition(f.schedule.Status.Conditions, nodepolicy.Condition); c != nil {
		t.Errorf("noted without need: %+v", c)
	}
}

func TestWhereNoNodesAreScannedTheSIFScanSaysSo(t *testing.T) {
	f := newServer(t, nightly(ofNodes("2026-11-21T00:00:00Z")))
	if _, err := f.look("2026-11-21T01:30:01Z"); err != nil {
		t.Fatal(err)
	}
	f.want("nightly-29920410")
}
