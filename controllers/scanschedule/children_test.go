// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// child is a SIFScan of the schedule, created some hours after the first.
func child(s *v1alpha1.ScanSchedule, name string, hours int, conditions ...string) v1alpha1.SIFScan {
	scan := newChild(s, name, at("2026-11-21T01:30:00Z"))
	scan.CreationTimestamp = metav1.NewTime(at("2026-11-21T01:30:00Z").Add(time.Duration(hours) * time.Hour))
	for _, c := range conditions {
		scan.Status.Conditions = append(scan.Status.Conditions, metav1.Condition{Type: c, Status: metav1.ConditionTrue})
	}
	return *scan
}

func names(scans []*v1alpha1.SIFScan) (out []string) {
	for _, s := range scans {
		out = append(out, s.Name)
	}
	return out
}

func TestChildrenAreSortedByWhatBecameOfThem(t *testing.T) {
	s := nightly()
	foreign := child(s, "labelled-by-somebody", 0, v1alpha1.ConditionComplete)
	foreign.OwnerReferences = nil
	going := child(s, "going", 4, v1alpha1.ConditionComplete)
	going.DeletionTimestamp = &metav1.Time{Time: at("2026-11-22T00:00:00Z")}
	edited := child(s, "edited", 5, v1alpha1.ConditionComplete)
	edited.Generation = 2 // its outcome is that of another spec
	c := classify(s, []v1alpha1.SIFScan{
		child(s, "queued", 3, v1alpha1.ConditionReconciling), child(s, "new", 2), going, edited, foreign,
		child(s, "good", 1, v1alpha1.ConditionReady, v1alpha1.ConditionComplete),
		child(s, "bad", 1, v1alpha1.ConditionStalled),
	})
	for what, pair := range map[string][2][]string{
		"active":    {names(c.active), {"new", "queued", "going", "edited"}},
		"succeeded": {names(c.succeeded), {"good"}},
		"failed":    {names(c.failed), {"bad"}},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestHistory(t *testing.T) {
	s := nightly()
	var scans []v1alpha1.SIFScan
	for i := range 4 {
		scans = append(scans, child(s, fmt.Sprintf("good-%d", i), i, v1alpha1.ConditionComplete), child(s, fmt.Sprintf("bad-%d", i), i, v1alpha1.ConditionStalled))
	}
	scans = append(scans, child(s, "good-2-tie", 2, v1alpha1.ConditionComplete), child(s, "at-work", 0))
	slices.Reverse(scans)
	c := classify(s, scans)
	for _, tc := range []struct {
		name               string
		successful, failed int32
		want               []string
	}{
		{"the oldest go first, each kind by its own limit", 2, 3, []string{"good-0", "good-1", "good-2", "bad-0"}},
		{"a limit of none keeps what is at work", 0, 0, []string{"good-0", "good-1", "good-2", "good-2-tie", "good-3", "bad-0", "bad-1", "bad-2", "bad-3"}},
		{"a limit that is not reached", 100, 100, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, names(c.outdated(tc.successful, tc.failed))); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChildNamesFitAndDiffer(t *testing.T) {
	nominal, seen := at("2026-11-21T01:30:00Z"), map[string]string{}
	for _, schedule := range []string{"nightly", strings.Repeat("n", 43), strings.Repeat("n", 44), strings.Repeat("n", 45), "a.b", "a-b", strings.Repeat("x", 253)} {
		for _, name := range []string{childName(schedule, nominal), childName(schedule, nominal.Add(time.Minute)), askedName(schedule, "a"), askedName(schedule, "b")} {
			if len(name) > maxChildName || len(validation.IsDNS1123Label(name)) > 0 {
				t.Errorf("%s is no label of %d characters", name, maxChildName)
			}
			if other, taken := seen[name]; taken {
				t.Errorf("%s is the name of runs of %s and %s", name, other, schedule)
			}
			seen[name] = schedule
		}
	}
	if got := childName("nightly", nominal); got != "nightly-29920410" {
		t.Errorf("the run is called %s", got)
	}
}

func TestAChildTakesNothingThatBelongsToGitOps(t *testing.T) {
	s := nightly(func(s *v1alpha1.ScanSchedule) {
		s.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux", "team": "of the schedule"}
		s.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}"}
		s.Spec.Template.Metadata = v1alpha1.TemplateMetadata{
			Labels: map[string]string{
				"team": "hpc", "app.kubernetes.io/instance": "argo", "kustomize.toolkit.fluxcd.io/name": "flux", "helm.toolkit.fluxcd.io/namespace": "flux",
			},
			Annotations: map[string]string{
				"note": "kept", "argocd.argoproj.io/tracking-id": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}", "kustomize.toolkit.fluxcd.io/prune": "enabled",
			},
		}
	})
	c := newChild(s, "nightly-1", at("2026-11-21T01:30:00Z"))
	if diff := cmp.Diff(map[string]string{
		"team": "hpc", v1alpha1.LabelSchedule: "nightly", v1alpha1.LabelScheduleUID: "uid", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
	}, c.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"note": "kept", v1alpha1.AnnotationScheduledAt: "2026-11-21T01:30:00Z"}, c.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}
