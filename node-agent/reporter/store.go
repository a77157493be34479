// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// maxReportFile bounds the report.json that is read; what is kept of it is report.MaxBytes.
const maxReportFile = 1 << 20

// store writes one result: first the ScanReport, then its artifacts, which it owns. Two writes
// an image is the least there is: the ConfigMap's name is known before it exists, so the report
// can speak of it at once. A pod that dies between the two has not written an entry for the image
// into the inventory, and the next pod opens the image again (see tellKnown).
func (r *Reporter) store(ctx context.Context, e handover.Event) (string, error) {
	result, err := r.hand.Open(e.Folder)
	if err != nil {
		return "", err
	}
	defer result.Close()
	body, err := readReport(result)
	if err != nil {
		return "", err
	}
	want := r.scanReport(e, body)
	if r.opts.MaxFindings != nil {
		report.Keep(&want.Report, *r.opts.MaxFindings)
	}
	artifacts := r.collect(result, want)
	if err := r.calls.retry(ctx, func(ctx context.Context) error { return r.writeReport(ctx, want) }); err != nil {
		return "", fmt.Errorf("write ScanReport %s: %w", want.Name, err)
	}
	r.known[want.Name] = knownReport{
		identity:  e.Identity,
		outcome:   want.Annotations[v1alpha1.AnnotationOutcome],
		artifacts: artifactName(artifacts),
	}
	if artifacts == nil {
		return want.Name, nil
	}
	artifacts.OwnerReferences[0].UID = want.UID
	// It is named by its content and cannot be changed: one that is there is this one, written by
	// a try whose answer was lost or by an earlier scan.
	err = r.calls.retry(ctx, func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(r.api.Create(ctx, artifacts.DeepCopy()))
	})
	if err != nil {
		return "", fmt.Errorf("write ConfigMap %s: %w", artifacts.Name, err)
	}
	return want.Name, nil
}

// readReport reads a result's report.json.
func readReport(result *handover.Result) (*v1alpha1.ScanReport, error) {
	f, err := result.File(handover.ReportFile, maxReportFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var body v1alpha1.ScanReport
	if err := json.NewDecoder(io.LimitReader(f, maxReportFile)).Decode(&body); err != nil {
		return nil, fmt.Errorf("%s: %w", handover.ReportFile, err)
	}
	return &body, nil
}

// scanReport makes the object from what the scanner says of the image. Name, owner and labels
// come from this pod's own options.
func (r *Reporter) scanReport(e handover.Event, said *v1alpha1.ScanReport) *v1alpha1.ScanReport {
	body := &said.Report
	report.Bound(body)
	body.Target.ClaimName = r.opts.ClaimName
	body.Scanner.Engine = r.opts.Engine
	subject := report.Subject{
		ClaimUID:  r.opts.ClaimUID,
		Path:      path.Join(r.opts.SubPath, e.Path),
		Engine:    r.opts.Engine,
		ScanTypes: r.opts.ScanTypes,
	}
	annotations := report.Annotations(body)
	annotations[v1alpha1.AnnotationRun] = r.opts.Run
	if fixable := said.Annotations[v1alpha1.AnnotationFixable]; report.ValidFixable(fixable) {
		annotations[v1alpha1.AnnotationFixable] = fixable
	}
	if verdict := said.Annotations[v1alpha1.AnnotationPolicy]; report.ValidPolicy(verdict) {
		annotations[v1alpha1.AnnotationPolicy] = verdict
	}
	if e.Outcome == v1alpha1.EntryScanned && len(e.Identity) <= maxIdentity {
		annotations[v1alpha1.AnnotationIdentity] = e.Identity
	}
	return &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.opts.Namespace,
			Name:      subject.Name(),
			Labels: map[string]string{
				v1alpha1.LabelClaim:     v1alpha1.LabelValue(r.opts.ClaimName),
				v1alpha1.LabelEngine:    r.opts.Engine,
				v1alpha1.LabelOwnerUID:  strconv.FormatInt(body.Target.UID, 10),
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
			},
			Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1",
				Kind:       "PersistentVolumeClaim",
				Name:       r.opts.ClaimName,
				UID:        types.UID(r.opts.ClaimUID),
			}},
		},
		Report: *body,
	}
}

// maxIdentity bounds the annotation: four numbers and three hashes.
const maxIdentity = 256

// writeReport creates the report, or updates it in place. On return want holds the object's UID.
func (r *Reporter) writeReport(ctx context.Context, want *v1alpha1.ScanReport) error {
	_, exists := r.known[want.Name]
	if !exists {
		obj := want.DeepCopy()
		err := r.api.Create(ctx, obj)
		if err == nil {
			want.UID = obj.UID
		}
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	have := &v1alpha1.ScanReport{}
	err := r.api.Get(ctx, types.NamespacedName{Namespace: want.Namespace, Name: want.Name}, have)
	if apierrors.IsNotFound(err) {
		delete(r.known, want.Name)
		return errors.Join(errAgain, err)
	}
	if err != nil {
		return err
	}
	if have.Report.Target.Path != want.Report.Target.Path && !sameFile(have, want) {
		return &refused{fmt.Sprintf("its name is taken by the report of %s; delete that report", have.Report.Target.Path)}
	}
	want.UID = have.UID
	report.KeepFirstSeen(&want.Report, &have.Report)
	obj := merged(have, want)
	if equality.Semantic.DeepEqual(withoutTimes(have), withoutTimes(obj)) && have.Report.Outcome.Reason != "" {
		return nil // the same failure again: the inventory says when it was seen
	}
	err = r.api.Update(ctx, obj)
	if apierrors.IsConflict(err) {
		return errors.Join(errAgain, err)
	}
	return err
}

// sameFile says whether two reports of one name are about one file that users see at another
// path now, because mountPath changed: names are made from claim and path within it.
func sameFile(a, b *v1alpha1.ScanReport) bool {
	return path.Base(a.Report.Target.Path) == path.Base(b.Report.Target.Path) &&
		equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

// merged is the new report over the old object, remembering the artifacts that it replaces.
func merged(have, want *v1alpha1.ScanReport) *v1alpha1.ScanReport {
	obj := want.DeepCopy()
	obj.ObjectMeta = *have.ObjectMeta.DeepCopy()
	obj.Labels = withAll(obj.Labels, want.Labels)
	for _, key := range report.AnnotationKeys {
		delete(obj.Annotations, key)
	}
	obj.Annotations = withAll(obj.Annotations, want.Annotations)
	obj.OwnerReferences = want.OwnerReferences

	before, _ := splitArtifacts(have.Annotations[v1alpha1.AnnotationArtifacts])
	after, _ := splitArtifacts(want.Annotations[v1alpha1.AnnotationArtifacts])
	if before != "" && before != after {
		list := strings.Split(have.Annotations[v1alpha1.AnnotationSuperseded], ",")
		obj.Annotations[v1alpha1.AnnotationSuperseded] = strings.Trim(strings.Join(append(list, before), ","), ",")
	}
	return obj
}

func withAll(into, from map[string]string) map[string]string {
	if into == nil {
		into = map[string]string{}
	}
	for k, v := range from {
		into[k] = v
	}
	return into
}

// withoutTimes is a report without what differs between two equal scans.
func withoutTimes(in *v1alpha1.ScanReport) *v1alpha1.ScanReport {
	out := in.DeepCopy()
	out.Report.ObservedAt = metav1.Time{}
	out.Report.Scanner.Duration = nil
	out.Report.Scanner.BytesRead = 0
	delete(out.Annotations, v1alpha1.AnnotationRun)
	return out
}

func artifactName(cm *corev1.ConfigMap) string {
	if cm == nil {
		return ""
	}
	return cm.Name
}
