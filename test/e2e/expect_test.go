// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// get returns a getter of the object as it is now.
func get[T client.Object](obj T) func() (T, error) {
	return func() (T, error) {
		err := admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return obj, err
	}
}

// have matches all conditions of a SIFScan whose status speaks of the run that it asks for.
func have(conditions ...string) gomegatypes.GomegaMatcher {
	slices.Sort(conditions)
	return And(
		WithTransform(func(s *v1alpha1.SIFScan) bool {
			return s.Generation == s.Status.ObservedGeneration &&
				s.Annotations[v1alpha1.AnnotationRescanAt] == s.Status.LastHandledRescanAt
		}, BeTrue()),
		WithTransform(conditionsOf, Equal(strings.Join(conditions, " "))),
	)
}

func conditionsOf(scan *v1alpha1.SIFScan) string {
	var all []string
	for _, c := range scan.Status.Conditions {
		if c.Type == v1alpha1.ConditionCovered {
			continue // of the run before; it has specs of its own
		}
		all = append(all, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// The states of a SIFScan, to the last condition. Notes are further conditions.

// beDone: every image was inventoried, and no vulnerability database was there to match them against. What is noted of
// images that were not read is graver, the first note most.
func beDone(notes ...string) gomegatypes.GomegaMatcher {
	reason := v1alpha1.ReasonNotAssessed
	if len(notes) > 0 {
		_, reason, _ = strings.Cut(notes[0], "/")
	}
	return have(append(notes, "Complete=True/"+reason, "Ready=True/"+reason)...)
}

func beWaiting(reason string) gomegatypes.GomegaMatcher {
	return have("Complete=False/"+reason, "Ready=False/"+reason, "Reconciling=True/"+reason)
}

func beStalled(reason string) gomegatypes.GomegaMatcher {
	return have("Complete=False/"+reason, "Ready=False/"+reason, "Stalled=True/"+reason)
}

func beSuspended() gomegatypes.GomegaMatcher {
	return have("Complete=False/Suspended", "Ready=False/Suspended")
}

const (
	degraded = "Degraded=True/Degraded"
	partial  = "Partial=True/Partial"
)

// say matches the message of Ready.
func say(text string) gomegatypes.GomegaMatcher {
	return WithTransform(func(scan *v1alpha1.SIFScan) string {
		if c := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			return c.Message
		}
		return ""
	}, ContainSubstring(text))
}

// outcomes are what came of each path, as the ScanInventories of the current run tell.
type outcomes map[string]v1alpha1.EntryOutcome

func outcomesOf(scan *v1alpha1.SIFScan) outcomes {
	GinkgoHelper()
	list := &v1alpha1.ScanInventoryList{}
	Expect(admin.List(ctx, list, client.InNamespace(scan.Namespace), client.MatchingLabels{
		v1alpha1.LabelScanUID: string(scan.UID), v1alpha1.LabelRun: scan.Status.RunID})).To(Succeed())
	all := outcomes{}
	for _, inventory := range list.Items {
		if inventory.Labels[v1alpha1.LabelPlan] != "" {
			continue // the list that workers share
		}
		entries, err := inventory.AllEntries()
		Expect(err).NotTo(HaveOccurred())
		for _, entry := range entries {
			Expect(all).NotTo(HaveKey(entry.Path), "a path has one outcome")
			all[entry.Path] = entry.Outcome
		}
	}
	return all
}

// reportsOf returns the ScanReports of the SIFScan's namespace by path.
func reportsOf(scan *v1alpha1.SIFScan) map[string]v1alpha1.ScanReport {
	GinkgoHelper()
	list := &v1alpha1.ScanReportList{}
	Expect(admin.List(ctx, list, client.InNamespace(scan.Namespace))).To(Succeed())
	all := map[string]v1alpha1.ScanReport{}
	for _, report := range list.Items {
		Expect(all).NotTo(HaveKey(report.Report.Target.Path), "an image has one report")
		all[report.Report.Target.Path] = report
	}
	return all
}

// reportOf returns the ScanReport of a path relative to the volume.
func reportOf(scan *v1alpha1.SIFScan, path string) v1alpha1.ScanReport {
	GinkgoHelper()
	all := reportsOf(scan)
	Expect(all).To(HaveKey(mountPath + "/" + path))
	return all[mountPath+"/"+path]
}

// failWith matches a report of an image that was not read.
func failWith(reason, message string) gomegatypes.GomegaMatcher {
	return WithTransform(func(r v1alpha1.ScanReport) v1alpha1.Outcome { return r.Report.Outcome }, And(
		HaveField("Reason", reason), HaveField("Message", ContainSubstring(message))))
}

// document returns a document of a report as a user gets it: from its ConfigMap, unpacked.
func document(report v1alpha1.ScanReport, name string) string {
	GinkgoHelper()
	for _, artifact := range report.Report.Artifacts {
		if artifact.Name != name {
			continue
		}
		holder := &corev1.ConfigMap{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: report.Namespace, Name: artifact.ConfigMap}, holder)).To(Succeed())
		unpacked, err := gzip.NewReader(bytes.NewReader(holder.BinaryData[name+".gz"]))
		Expect(err).NotTo(HaveOccurred())
		text, err := io.ReadAll(unpacked)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(HaveLen(int(artifact.SizeBytes)))
		return string(text)
	}
	Fail(fmt.Sprintf("report %s has no %s", report.Name, name))
	return ""
}

// jobsOf returns the Jobs of the SIFScan's namespace.
func jobsOf(scan *v1alpha1.SIFScan) []batchv1.Job {
	GinkgoHelper()
	list := &batchv1.JobList{}
	Expect(admin.List(ctx, list, client.InNamespace(scan.Namespace))).To(Succeed())
	return list.Items
}

// podsOf returns the pods of the SIFScan's namespace.
func podsOf(scan *v1alpha1.SIFScan) []corev1.Pod {
	GinkgoHelper()
	list := &corev1.PodList{}
	Expect(admin.List(ctx, list, client.InNamespace(scan.Namespace))).To(Succeed())
	return list.Items
}
