// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/reporter/tree"
)

// listed is how many findings a ScanReport lists at most.
func (o *Options) listed() int { return min(o.MaxFindings, report.MaxFindings) }

// documentOf is the value of v1alpha1.AnnotationDocument.
func documentOf(a v1alpha1.Artifact, listed int) string {
	return fmt.Sprintf("%s/%d", a.SHA256, listed)
}

// splitDocument parses it; ok is false where it is none, or of reports that list more findings or fewer.
func splitDocument(text string, listed int) (sum [sha256.Size]byte, ok bool) {
	digest, number, _ := strings.Cut(text, "/")
	n, err := hex.Decode(sum[:], []byte(digest[:min(len(digest), 2*len(sum))]))
	return sum, err == nil && n == len(sum) && number == strconv.Itoa(listed)
}

// onShelf says which report.json on the volume is the one that a ScanReport names, where it is that of the scan that gave its image
// the identity; else the ScanReport itself must be asked. It has all that the ScanReport has, and all findings. Whether the
// ScanReport is still of that version, the write will tell.
func (r *Reporter) onShelf(name, identity string) (meant, bool) {
	k := r.known[name]
	sum, ok := splitDocument(k.document, r.opts.listed())
	if !ok || k.version == "" || identity == "" || k.identity != identity || k.outcome != v1alpha1.OutcomeScanned || k.store != r.opts.store() {
		return meant{}, false
	}
	return meant{r.opts.Namespace, name, k, sum}, true
}

// meant is a report.json that is known by its SHA-256.
type meant struct {
	namespace, name string
	known           knownReport
	sum             [sha256.Size]byte
}

// read reads it from its folder.
func (m meant) read(k *tree.Kept) (*v1alpha1.ScanReport, error) {
	text, err := k.Text(handover.ReportFile, report.MaxFile, m.sum, nil)
	if err != nil {
		return nil, err
	}
	have, err := report.Parse(text)
	if err != nil {
		return nil, err
	}
	have.ObjectMeta = metav1.ObjectMeta{
		Namespace: m.namespace, Name: m.name, ResourceVersion: m.known.version,
		Labels: have.Labels, Annotations: withAll(have.Annotations, m.known.others), OwnerReferences: have.OwnerReferences,
	}
	return have, nil
}

// foundAgain says whether a result tells of an image that was matched again what is known of it, and all its documents stay.
func (r *Reporter) foundAgain(e handover.Event, files *handover.Result, have, want *v1alpha1.ScanReport) bool {
	if have == nil || have != r.whole || want.Annotations[v1alpha1.AnnotationIdentity] == "" || !sayTheSame(have, want) {
		return false
	}
	for _, d := range documents {
		if _, err := files.Size(d.name); err == nil {
			return false
		}
	}
	return !slices.ContainsFunc(have.Report.Artifacts, func(a v1alpha1.Artifact) bool { return !slices.Contains(e.Unchanged, a.Name) })
}

// sayTheSame says whether two reports differ in nothing but when they were made, and with which database and by which run.
func sayTheSame(have, want *v1alpha1.ScanReport) bool {
	if have.Report.Scanner.Database == nil || want.Report.Scanner.Database == nil {
		return false
	}
	return sameFindings(have.Report.Findings, want.Report.Findings) &&
		maps.Equal(have.Labels, want.Labels) && maps.Equal(lasting(have.Annotations), lasting(want.Annotations)) &&
		equality.Semantic.DeepEqual(have.OwnerReferences, want.OwnerReferences) &&
		equality.Semantic.DeepEqual(about(have.Report), about(want.Report))
}

// sameFindings compares all but when each was first seen.
func sameFindings(a, b []v1alpha1.Finding) bool {
	return slices.EqualFunc(a, b, func(a, b v1alpha1.Finding) bool {
		a.FirstSeen, b.FirstSeen = metav1.Time{}, metav1.Time{}
		return a == b
	})
}

// lasting are the annotations that a report.json and the next report have in common where they say the same.
func lasting(all map[string]string) map[string]string {
	some := map[string]string{}
	for key, value := range all {
		switch key {
		case v1alpha1.AnnotationIdentity, v1alpha1.AnnotationDatabase, v1alpha1.AnnotationStore, v1alpha1.AnnotationFirstSeen:
		default:
			if slices.Contains(report.AnnotationKeys, key) {
				some[key] = value
			}
		}
	}
	return some
}

// about is a report without findings, documents and what tells of the single scan.
func about(r v1alpha1.Report) v1alpha1.Report {
	r.Findings, r.Artifacts, r.ObservedAt = nil, nil, metav1.Time{}
	r.Scanner.Database, r.Scanner.Duration, r.Scanner.BytesRead = nil, nil, 0
	return r
}

// note writes into report.json and ScanReport with which database the same was found again, and when. The other documents must
// be what the ScanReport says of them; they are not touched, and go on to name the database that they were made with. It returns
// false where the whole has to be written anew, for which have is then of no use.
func (r *Reporter) note(ctx context.Context, have, want *v1alpha1.ScanReport, at tree.Place) (bool, error) {
	full := *want
	full.Report.Findings, full.Report.Artifacts = have.Report.Findings, have.Report.Artifacts
	full.Annotations = maps.Clone(want.Annotations)
	full.Annotations[v1alpha1.AnnotationStore] = r.opts.store()
	if text, ok := have.Annotations[v1alpha1.AnnotationFirstSeen]; ok {
		full.Annotations[v1alpha1.AnnotationFirstSeen] = text
	}
	itself, err := within(ctx, r.shelf, func() (v1alpha1.Artifact, error) { return putNote(r.shelf.tree, at, &full) })
	if err != nil {
		return false, nil // the whole is tried, which tells what is wrong
	}
	full.Annotations[v1alpha1.AnnotationDocument] = documentOf(itself, r.opts.listed())
	full.Report.Artifacts = append([]v1alpha1.Artifact{itself}, full.Report.Artifacts...)
	text, err := noteOf(have.ResourceVersion, &full)
	if err != nil {
		return false, err
	}
	other := false
	err = r.calls.retry(ctx, func(ctx context.Context) error {
		err := r.patch(ctx, want.Name, types.MergePatchType, text)
		other = apierrors.IsConflict(err) || apierrors.IsNotFound(err)
		if other {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("write ScanReport %s: %w", want.Name, err)
	}
	if other {
		return false, nil
	}
	r.known[want.Name] = knownReport{identity: want.Annotations[v1alpha1.AnnotationIdentity], outcome: v1alpha1.OutcomeScanned}
	return true, nil
}

// putNote writes the report.json of a folder whose other documents are what it says.
func putNote(t *tree.Tree, at tree.Place, full *v1alpha1.ScanReport) (itself v1alpha1.Artifact, err error) {
	err = t.Visit(at, func(k *tree.Kept) error {
		for _, of := range full.Report.Artifacts {
			a, sum, err := artifactAt(full, of.Name, t.VolumePath(at, of.Name))
			if err == nil && of.Name != engine.InventoryFile { // which was read for the scanner a moment ago
				err = k.Check(a.Name, a.SizeBytes, sum)
			}
			if err != nil {
				return err
			}
		}
		itself, err = putReport(k.Replace, t.VolumePath(at, handover.ReportFile), full)
		return err
	})
	return itself, err
}

// noteOf is the merge patch. What is absent is removed.
func noteOf(version string, full *v1alpha1.ScanReport) ([]byte, error) {
	type object = map[string]any
	annotations := object{v1alpha1.AnnotationDatabase: nil}
	for _, key := range []string{
		v1alpha1.AnnotationIdentity, v1alpha1.AnnotationDatabase, v1alpha1.AnnotationRun, v1alpha1.AnnotationDocument,
	} {
		if value, is := full.Annotations[key]; is {
			annotations[key] = value
		}
	}
	scanner := object{
		"database": object{"digest": full.Report.Scanner.Database.Digest, "updatedAt": full.Report.Scanner.Database.UpdatedAt},
		"duration": full.Report.Scanner.Duration, "bytesRead": nil,
	}
	if n := full.Report.Scanner.BytesRead; n > 0 {
		scanner["bytesRead"] = n
	}
	return json.Marshal(object{
		"metadata": object{"resourceVersion": version, "annotations": annotations},
		"report":   object{"observedAt": full.Report.ObservedAt, "scanner": scanner, "artifacts": full.Report.Artifacts},
	})
}
