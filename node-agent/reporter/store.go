// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/reporter/tree"
)

// store writes one result: to the volume for documents where there is one, then the ScanReport,
// then the ConfigMap with its documents, which it owns. Two writes to the API an image is the least
// there is: the ConfigMap's name is known before it exists, so the report can speak of it at once.
// A pod that dies in between has not written an entry for the image into the inventory, and the
// next pod opens the image again (see tellKnown).
func (r *Reporter) store(ctx context.Context, e handover.Event) (string, error) {
	files, err := r.hand.Open(e.Folder)
	if err != nil {
		return "", err
	}
	defer files.Close()
	said, err := readReport(files)
	if err != nil {
		return "", err
	}
	want, place, err := r.scanReport(e, said)
	if err != nil {
		return "", err
	}
	have, err := r.stored(ctx, want)
	if err == nil && r.foundAgain(e, files, have, want) {
		if noted, err := r.note(ctx, have, want, place); noted || err != nil {
			return want.Name, err
		}
		have, err = r.stored(ctx, want)
	}
	if err != nil {
		return "", fmt.Errorf("read ScanReport %s: %w", want.Name, err)
	}
	if r.sameFailure(have, want) {
		return want.Name, nil
	}
	artifacts := r.keep(ctx, &result{files: files, want: want, before: have, unchanged: e.Unchanged, place: place})
	if err := r.calls.retry(ctx, func(ctx context.Context) error { return r.writeReport(ctx, want, &have) }); err != nil {
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
	return want.Name, r.createConfigMap(ctx, artifacts, want)
}

// createConfigMap creates the ConfigMap that want speaks of. Where the API server will not have it,
// as in a namespace whose quota of ConfigMaps is used up, what was found is stored nevertheless: want
// says why it has no documents, and the next run opens the image again.
func (r *Reporter) createConfigMap(ctx context.Context, documents *corev1.ConfigMap, want *v1alpha1.ScanReport) error {
	documents.OwnerReferences[0].UID = want.UID
	// It is named by its content and cannot be changed: one that is there is this one, written by
	// a try whose answer was lost or by an earlier scan.
	err := r.configMaps.retry(ctx, func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(r.api.Create(ctx, documents.DeepCopy()))
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	r.log.Error(err, "documents are not kept", "configMap", documents.Name)
	want.Report.Artifacts = nil
	delete(want.Annotations, v1alpha1.AnnotationArtifacts)
	delete(want.Annotations, v1alpha1.AnnotationStore)
	notKept(want, "write ConfigMap "+documents.Name+": "+printable.Escape(err.Error()))
	r.known[want.Name] = knownReport{identity: r.known[want.Name].identity, outcome: r.known[want.Name].outcome}
	var there *v1alpha1.ScanReport
	if err := r.calls.retry(ctx, func(ctx context.Context) error { return r.writeReport(ctx, want, &there) }); err != nil {
		return fmt.Errorf("write ScanReport %s: %w", want.Name, err)
	}
	return nil
}

// keep cuts the report to what the API stores of it, and keeps the rest where the SIFScan says. It
// returns the ConfigMap to create; nil where there is none.
func (r *Reporter) keep(ctx context.Context, res *result) *corev1.ConfigMap {
	seen := r.seen(ctx, res.before, res.place)
	seen.Apply(&res.want.Report)
	res.want.Annotations[v1alpha1.AnnotationStore] = r.opts.store()
	all := *res.want
	all.Annotations, all.Report.Findings = maps.Clone(all.Annotations), slices.Clone(all.Report.Findings)
	res.all = &all
	report.Keep(&res.want.Report, r.opts.listed())
	if text := seen.Remember(&res.all.Report, &res.want.Report); text != "" {
		res.want.Annotations[v1alpha1.AnnotationFirstSeen] = text
		res.all.Annotations[v1alpha1.AnnotationFirstSeen] = text // who reads that needs not read the other
	}
	res.want.Report.Artifacts = nil
	switch r.opts.Artifacts {
	case v1alpha1.ArtifactsVolume:
		r.keepOnVolume(ctx, res)
	case v1alpha1.ArtifactsConfigMap:
		return r.collect(res.files, res.want)
	}
	return nil
}

// stored returns the report that is stored under a report's name; nil where there is none.
func (r *Reporter) stored(ctx context.Context, want *v1alpha1.ScanReport) (*v1alpha1.ScanReport, error) {
	if _, known := r.known[want.Name]; !known {
		return nil, nil
	}
	if last := r.last; last != nil && last.Name == want.Name {
		r.last = nil
		return last, taken(last, want) // whether it is the newest, the write will tell
	}
	have, err := r.getReport(ctx, want.Name)
	if err == nil && have != nil {
		err = taken(have, want)
	}
	return have, err
}

// getReport returns a report; nil where there is none.
func (r *Reporter) getReport(ctx context.Context, name string) (*v1alpha1.ScanReport, error) {
	have := &v1alpha1.ScanReport{}
	err := r.calls.retry(ctx, func(ctx context.Context) error {
		err := r.api.Get(ctx, client.ObjectKey{Namespace: r.opts.Namespace, Name: name}, have)
		if apierrors.IsNotFound(err) {
			have = nil
			return nil
		}
		return err
	})
	return have, err
}

// sameFailure says whether nothing came of the image but what the report says already: the
// inventory tells when that was seen again.
func (r *Reporter) sameFailure(have, want *v1alpha1.ScanReport) bool {
	if have == nil || want.Report.Summary != nil || want.Report.Outcome.Reason == "" {
		return false
	}
	obj := merged(have, want)
	obj.Annotations[v1alpha1.AnnotationStore] = r.opts.store()
	for _, key := range []string{v1alpha1.AnnotationFirstSeen, v1alpha1.AnnotationDocument} {
		if text, ok := have.Annotations[key]; ok {
			obj.Annotations[key] = text
		}
	}
	obj.Report.Artifacts = have.Report.Artifacts
	return equality.Semantic.DeepEqual(withoutTimes(have), withoutTimes(obj))
}

// readReport reads a result's report.json.
func readReport(files *handover.Result) (*v1alpha1.ScanReport, error) {
	text, err := files.Text(handover.ReportFile, report.MaxFile)
	if err != nil {
		return nil, err
	}
	said, err := report.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", handover.ReportFile, err)
	}
	return said, nil
}

// scanReport makes the object from what the scanner says of the image. Name, owner and labels
// come from this pod's own options. The place is where the image has its folder on a volume.
func (r *Reporter) scanReport(e handover.Event, said *v1alpha1.ScanReport) (*v1alpha1.ScanReport, tree.Place, error) {
	at, err := r.holderOf(e)
	if err != nil {
		return nil, nil, err
	}
	body := &said.Report
	report.Bound(body)
	body.Target.ClaimName = at.claim
	r.place(e, body)
	body.Scanner.Engine = r.opts.Engine
	annotations := report.Annotations(body)
	annotations[v1alpha1.AnnotationRun] = r.opts.writer()
	if r.opts.Scope != "" {
		annotations[v1alpha1.AnnotationScope] = r.opts.Scope
	}
	if fixable := said.Annotations[v1alpha1.AnnotationFixable]; report.ValidFixable(fixable) {
		annotations[v1alpha1.AnnotationFixable] = fixable
	}
	if verdict := said.Annotations[v1alpha1.AnnotationPolicy]; report.ValidPolicy(verdict) {
		annotations[v1alpha1.AnnotationPolicy] = verdict
	}
	if e.Outcome == v1alpha1.EntryScanned && len(e.Identity) <= maxIdentity {
		annotations[v1alpha1.AnnotationIdentity] = e.Identity
	}
	if at.claim != "" {
		at.labels[v1alpha1.LabelOwnerUID] = strconv.FormatInt(body.Target.UID, 10)
	}
	at.labels[v1alpha1.LabelEngine] = r.opts.Engine
	at.labels[v1alpha1.LabelManagedBy] = v1alpha1.ManagedBy
	name := at.subject.Name()
	return &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       r.opts.Namespace,
			Name:            name,
			Labels:          at.labels,
			Annotations:     annotations,
			OwnerReferences: []metav1.OwnerReference{at.owner},
		},
		Report: *body,
	}, tree.PlaceOf(at.claim, at.subject.Path, name), nil
}

// maxIdentity bounds the annotation: four numbers and three hashes.
const maxIdentity = 256

// writeReport creates the report, or updates have in place, which is nil where none is known. On
// return want holds the object's UID.
func (r *Reporter) writeReport(ctx context.Context, want *v1alpha1.ScanReport, have **v1alpha1.ScanReport) error {
	if *have == nil {
		obj := want.DeepCopy()
		err := r.api.Create(ctx, obj)
		if err == nil {
			want.UID = obj.UID
		}
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		there := &v1alpha1.ScanReport{}
		if err := r.api.Get(ctx, client.ObjectKeyFromObject(want), there); err != nil {
			return again(err)
		}
		if err := taken(there, want); err != nil {
			return err
		}
		*have = there
		seen := report.Seen{} // that of an earlier one was learned before
		seen.Learn(there)
		seen.Apply(&want.Report)
	}
	want.UID = (*have).UID
	err := again(r.overwrite(ctx, merged(*have, want)))
	if errors.Is(err, errAgain) {
		*have = nil
	}
	return err
}

// again marks the answers that mean: look again at what is there.
func again(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return errors.Join(errAgain, err)
	}
	return err
}

// taken says whether a report's name is that of another image's.
func taken(have, want *v1alpha1.ScanReport) error {
	if have.Report.Target.Path == want.Report.Target.Path || sameFile(have, want) {
		return nil
	}
	return &refused{fmt.Sprintf("its name is taken by the report of %s; delete that report", have.Report.Target.Path)}
}

// sameFile says whether two reports of one name are about one file that users see at another
// path now, because mountPath changed: names are made from claim and path within it.
func sameFile(a, b *v1alpha1.ScanReport) bool {
	if a.Report.Target.Node != "" && b.Report.Target.Node != "" {
		return true // of live containers, named by the file itself: each sees it where it was mounted for it
	}
	return path.Base(a.Report.Target.Path) == path.Base(b.Report.Target.Path) &&
		equality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

// merged is the new report over the old object, remembering the artifacts that it replaces. Its body is that of want.
func merged(have, want *v1alpha1.ScanReport) *v1alpha1.ScanReport {
	obj := &v1alpha1.ScanReport{ObjectMeta: *have.ObjectMeta.DeepCopy(), Report: want.Report}
	obj.Labels = withAll(obj.Labels, want.Labels)
	for _, key := range report.AnnotationKeys {
		delete(obj.Annotations, key)
	}
	obj.Annotations = withAll(obj.Annotations, want.Annotations)
	obj.OwnerReferences = withOwners(have.OwnerReferences, want.OwnerReferences)

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
