// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// server is an API server in memory, with one ScanSchedule, that fails when it is told to. What a
// real one does is tested in test/integration.
type server struct {
	*testing.T
	client.Client
	reconciler Reconciler
	clock      *clocktesting.FakePassiveClock
	events     *events.FakeRecorder
	schedule   *v1alpha1.ScanSchedule
	// Errors of the next calls; nil: none.
	deleting, creating, writing error
	// blind: the cache shows no SIFScan yet.
	blind bool
}

func newServer(t *testing.T, s *v1alpha1.ScanSchedule, scans ...v1alpha1.SIFScan) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), admissionv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	build := fake.NewClientBuilder().WithScheme(scheme).WithObjects(s).WithStatusSubresource(s, &v1alpha1.SIFScan{})
	for i := range scans {
		build.WithObjects(&scans[i])
	}
	f := &server{T: t, schedule: s, clock: clocktesting.NewFakePassiveClock(at("2026-11-21T01:30:00Z")), events: events.NewFakeRecorder(100)}
	f.Client = build.WithInterceptorFuncs(interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if f.deleting != nil {
				return f.deleting
			}
			return c.Delete(ctx, o, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if f.creating != nil {
				return f.creating
			}
			return c.Create(ctx, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if f.blind {
				return nil
			}
			return c.List(ctx, list, opts...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if f.writing != nil {
				return f.writing
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	}).Build()
	f.reconciler = Reconciler{Client: f, Live: f, Events: f.events, Clock: f.clock}
	return f
}

// look reconciles once at an instant, and returns when the next look is due.
func (f *server) look(text string) (time.Duration, error) {
	f.Helper()
	f.clock.SetTime(at(text))
	result, err := f.reconciler.Reconcile(f.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(f.schedule)})
	if err := f.Get(f.Context(), client.ObjectKeyFromObject(f.schedule), f.schedule); err != nil {
		f.Fatal(err)
	}
	return result.RequeueAfter, err
}

func (f *server) scans() (names []string) {
	f.Helper()
	blind := f.blind
	f.blind = false
	defer func() { f.blind = blind }()
	list := &v1alpha1.SIFScanList{}
	if err := f.List(f.Context(), list); err != nil {
		f.Fatal(err)
	}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

func (f *server) want(scans ...string) {
	f.Helper()
	slices.Sort(scans)
	if diff := cmp.Diff(scans, f.scans()); diff != "" {
		f.Fatalf("SIFScans (-want +got):\n%s", diff)
	}
}

// owed fails unless the run of 01:30 did not start, is to start, and the condition says why it has not.
func (f *server) owed(status metav1.ConditionStatus, reason, says string) {
	f.Helper()
	s := f.schedule.Status
	if s.LastScheduleTime != nil || s.NextScheduleTime == nil || !s.NextScheduleTime.Time.Equal(at("2026-11-21T01:30:00Z")) {
		f.Errorf("last run %v, next %v: the run of 01:30 is not owed", s.LastScheduleTime, s.NextScheduleTime)
	}
	ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != status || ready.Reason != reason || !strings.Contains(ready.Message, says) {
		f.Errorf("Ready is %+v, want %s/%s with %q", ready, status, reason, says)
	}
}

func (f *server) told() (notes []string) {
	for len(f.events.Events) > 0 {
		notes = append(notes, <-f.events.Events)
	}
	return notes
}

var sifscans = schema.GroupResource{Group: "sifscan.io", Resource: "sifscans"}

func TestADeletionUnderReplaceThatFailsLeavesTheRunOwedAndStartsNothing(t *testing.T) {
	const run = "nightly-29920410"
	for name, tc := range map[string]struct {
		failure error
		// retried with a back-off by an error, or looked at again in a while
		isError bool
		status  metav1.ConditionStatus
		reason  string
		says    string
		told    string
	}{
		"it is refused": {
			failure: apierrors.NewForbidden(sifscans, "old", errors.New("keep-scans denied the request")),
			status:  metav1.ConditionFalse, reason: v1alpha1.ReasonNotAllowed, says: "keep-scans denied the request", told: "Warning NotAllowed",
		},
		"the API server fails": {
			failure: apierrors.NewInternalError(errors.New("failed calling webhook")), isError: true,
			status: metav1.ConditionTrue, reason: reasonWaiting, says: "waits until SIFScan old is gone, as concurrencyPolicy Replace asks", told: "Normal Waiting",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := nightly(policy(v1alpha1.ConcurrencyReplace))
			f := newServer(t, s, child(s, "old", 0))
			f.deleting = tc.failure
			for _, now := range []string{"2026-11-21T01:30:00Z", "2026-11-21T01:30:10Z", "2026-11-21T01:31:00Z"} {
				again, err := f.look(now)
				if (err != nil) != tc.isError || !tc.isError && (again <= 0 || again > refusedRetry) {
					t.Errorf("error %v, next look in %s", err, again)
				}
				f.want("old")
				f.owed(tc.status, tc.reason, tc.says)
			}
			if told := f.told(); len(told) != 1 || !strings.HasPrefix(told[0], tc.told) {
				t.Errorf("told %q, want %s once", told, tc.told)
			}
			f.deleting = nil
			for _, want := range [][]string{{}, {run}, {run}} { // the old one goes first
				if _, err := f.look("2026-11-21T01:32:00Z"); err != nil {
					t.Fatal(err)
				}
				f.want(append([]string(nil), want...)...)
			}
			if last := f.schedule.Status.LastScheduleTime; last == nil || !last.Time.Equal(at("2026-11-21T01:30:00Z")) {
				t.Errorf("the last run is of %v", last)
			}
		})
	}
}

func TestAFinishedSIFScanThatCannotBeDeletedKeepsNoRunFromStarting(t *testing.T) {
	s := nightly(func(s *v1alpha1.ScanSchedule) { s.Spec.SuccessfulHistoryLimit = new(int32) })
	f := newServer(t, s, child(s, "finished", 0, v1alpha1.ConditionComplete))
	f.deleting = apierrors.NewForbidden(sifscans, "finished", errors.New("denied"))
	again, err := f.look("2026-11-21T01:30:00Z")
	if err != nil || again > refusedRetry {
		t.Errorf("error %v, and the next try in %s", err, again)
	}
	f.want("finished", "nightly-29920410")
	f.deleting = nil
	if _, err := f.look("2026-11-21T01:31:00Z"); err != nil {
		t.Error(err)
	}
	f.want("nightly-29920410")
}

func TestWithoutHistoryLimitsThreeOfEachKindAreKept(t *testing.T) {
	s := nightly(suspended)
	var scans []v1alpha1.SIFScan
	for i := range 5 {
		scans = append(scans, child(s, fmt.Sprintf("good-%d", i), i, v1alpha1.ConditionComplete), child(s, fmt.Sprintf("bad-%d", i), i, v1alpha1.ConditionStalled))
	}
	f := newServer(t, s, scans...)
	if _, err := f.look("2026-11-21T12:00:00Z"); err != nil {
		t.Fatal(err)
	}
	f.want("good-2", "good-3", "good-4", "bad-2", "bad-3", "bad-4")
}

func TestARunWhoseSIFScanTheCacheDoesNotShowStartsOnce(t *testing.T) {
	f := newServer(t, nightly(policy(v1alpha1.ConcurrencyAllow)))
	f.blind = true
	f.writing = apierrors.NewInternalError(errors.New("etcd is away")) // the record of the start is lost
	if _, err := f.look("2026-11-21T01:30:00Z"); err == nil {
		t.Error("a status that cannot be written is no error")
	}
	f.writing = nil
	for range 2 {
		if _, err := f.look("2026-11-21T01:30:01Z"); err != nil {
			t.Fatal(err)
		}
		f.want("nightly-29920410")
	}
	if created := strings.Count(strings.Join(f.told(), "\n"), "Created SIFScan"); created != 1 {
		t.Errorf("told %d times that it was created", created)
	}
}

func TestTheListOfActiveRunsHoldsThoseThatAreThereUpToABound(t *testing.T) {
	s := nightly(func(s *v1alpha1.ScanSchedule) { s.Status.Active = []string{"gone"} })
	var scans []v1alpha1.SIFScan
	for i := range maxActive + 5 {
		scans = append(scans, child(s, fmt.Sprintf("run-%02d", i), i))
	}
	f := newServer(t, s, scans...)
	if _, err := f.look("2026-11-20T21:00:00Z"); err != nil {
		t.Fatal(err)
	}
	if active := f.schedule.Status.Active; len(active) != maxActive || active[0] != "run-00" {
		t.Errorf("active are %v", active)
	}
}

func TestARunThatTheAPIServerDoesNotTakeStaysOwed(t *testing.T) {
	terminating := apierrors.NewForbidden(sifscans, "nightly", errors.New("being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		failure error
		says    string
	}{
		"in a namespace that is being deleted": {terminating, "the Namespace is being deleted"},
		"beyond a quota":                       {apierrors.NewForbidden(sifscans, "nightly", errors.New("exceeded quota")), "exceeded quota"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newServer(t, nightly())
			f.creating = tc.failure
			for range 3 {
				if again, err := f.look("2026-11-21T01:30:00Z"); err != nil || again != refusedRetry {
					t.Errorf("error %v, next try in %s", err, again)
				}
				f.owed(metav1.ConditionFalse, v1alpha1.ReasonNotAllowed, tc.says)
			}
			if told := f.told(); len(told) != 1 {
				t.Errorf("told %q, want it once", told)
			}
			f.want()
		})
	}
}

func TestMoreThanAHundredMissedRunsAreAWarningOfTheirOwn(t *testing.T) {
	for now, want := range map[string]string{ // minutes since the last run, less the one that starts
		"2026-11-21T03:10:00Z": "Warning Missed Missed 99 runs; only the latest starts",
		"2026-11-21T03:11:00Z": "Warning TooManyMissed At least 100 runs were missed; only the latest starts.",
	} {
		f := newServer(t, nightly(schedule("* * * * *"), ranAt("2026-11-21T01:30:00Z")))
		if _, err := f.look(now); err != nil {
			t.Fatal(err)
		}
		if told := f.told(); len(told) != 2 || !strings.HasPrefix(told[0], want) || !strings.HasPrefix(told[1], "Normal Created") {
			t.Errorf("at %s told %q, want %q", now, told, want)
		}
	}
}
