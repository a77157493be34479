// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"errors"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestWhatTheAPIServerRefusesIsExplainedOrTriedAgain(t *testing.T) {
	kind := schema.GroupResource{Group: "sifscan.io", Resource: "sifscans"}
	terminating := apierrors.NewForbidden(kind, "nightly-1", errors.New("the namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		err    error
		reason string // empty: it is an error, and tried again with a back-off
	}{
		"a namespace that is being deleted": {terminating, v1alpha1.ReasonNotAllowed},
		"a quota":                           {apierrors.NewForbidden(kind, "nightly-1", errors.New("exceeded quota")), v1alpha1.ReasonNotAllowed},
		"a template that is wrong":          {apierrors.NewInvalid(schema.GroupKind{Kind: "SIFScan"}, "nightly-1", nil), v1alpha1.ReasonInvalidSpec},
		"a name that is taken":              {&refusal{reason: v1alpha1.ReasonNotAllowed, message: "taken"}, v1alpha1.ReasonNotAllowed},
		"a server that is away":             {apierrors.NewServiceUnavailable("away"), ""},
		"a deletion that fails":             {&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusInternalServerError}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			refused, err := explain(tc.err)
			if tc.reason == "" {
				if err == nil || refused != nil {
					t.Errorf("explained as %v, error %v", refused, err)
				}
				return
			}
			if err != nil || refused == nil || refused.reason != tc.reason {
				t.Errorf("explained as %v, error %v, want %s", refused, err, tc.reason)
			}
		})
	}
	if refused, err := explain(nil); refused != nil || err != nil {
		t.Errorf("nothing is explained as %v, %v", refused, err)
	}
}

func TestARefusedRunIsStillOwed(t *testing.T) {
	s := nightly()
	p, d := look(t, s, at("2026-11-21T01:30:00Z"))
	p.conclude(d, &refusal{reason: v1alpha1.ReasonNotAllowed, message: "quota"})
	if s.Status.LastScheduleTime != nil || !s.Status.NextScheduleTime.Time.Equal(d.due) {
		t.Errorf("last run %v, next %v", s.Status.LastScheduleTime, s.Status.NextScheduleTime)
	}
	if _, d = look(t, s, at("2026-11-21T01:31:00Z")); d.step != start {
		t.Errorf("a minute later it will %v, want start", d.step)
	}
}
