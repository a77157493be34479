// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"slices"
	"sort"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// MaxBytes is the largest ScanReport body without its findings, as JSON: etcd holds thousands of them.
const MaxBytes = 16 << 10

// Bounds of single fields. An image's author chooses labels and names; a report shows enough
// of them to recognise the image.
const (
	maxWord       = 64
	maxText       = 256
	maxPath       = 2048
	maxMessage    = 1024
	maxLabels     = 32
	maxPartitions = 32
	maxSignatures = 16
	maxLayers     = 128
)

// imageReasons are the reasons a single image's outcome can have.
var imageReasons = []string{
	v1alpha1.ReasonCorruptImage, v1alpha1.ReasonUnsupported, v1alpha1.ReasonIncomplete,
	v1alpha1.ReasonPermissionDenied, v1alpha1.ReasonEmptyInventory, v1alpha1.ReasonEngineFailed,
	v1alpha1.ReasonOOMKilled, v1alpha1.ReasonEvicted, v1alpha1.ReasonDeadlineExceeded,
	v1alpha1.ReasonBackendUnreachable, v1alpha1.ReasonChanging, v1alpha1.ReasonNoTargets,
	v1alpha1.ReasonTmpTooSmall, v1alpha1.ReasonTmpExhausted, v1alpha1.ReasonOSNotFound, v1alpha1.ReasonOSNotSupported,
	v1alpha1.ReasonUploadFailed, v1alpha1.ReasonReportUnavailable, v1alpha1.ReasonCredentialsRejected,
}

// Bound cuts a report to MaxBytes and to text that is safe to print. The report was written
// by a process that read hostile images: nothing in it is taken on trust but that it is about
// the image it says.
func Bound(r *v1alpha1.Report) {
	t := &r.Target
	cut(&t.Kind, maxWord)
	cut(&t.ClaimName, maxText)
	cut(&t.Path, maxPath)
	cut(&t.Node, maxText)
	cut(&t.Reference, maxPath)
	cut(&t.Digest, maxText)
	cut(&t.Mode, maxWord)
	cut(&t.Architecture, maxWord)

	if i := r.Image; i != nil {
		cut(&i.Format, maxWord)
		cut(&i.Compression, maxWord)
		cutAll(&i.Partitions, maxPartitions, maxText)
		cutAll(&i.Signatures, maxSignatures, maxText)
		cutAll(&i.Layers, maxLayers, maxText)
		i.Labels = boundLabels(i.Labels, maxLabels)
	}
	if o := r.OS; o != nil {
		cut(&o.Family, maxWord)
		cut(&o.Version, maxWord)
		cut(&o.Name, maxText)
	}
	cut(&r.Scanner.Engine, maxWord)
	cut(&r.Scanner.Version, maxWord)
	boundOutcome(&r.Outcome)
	boundSummary(r.Summary)
	boundFindings(r)
	if d := r.Scanner.Database; d != nil {
		cut(&d.Digest, maxText)
	}
	r.RunningExamples = r.RunningExamples[:min(len(r.RunningExamples), v1alpha1.MaxRunningExamples)]
	for i := range r.RunningExamples {
		cut(&r.RunningExamples[i].Node, maxText)
		cut(&r.RunningExamples[i].SlurmJob, maxWord)
	}

	for size(r) > MaxBytes && shrink(r.Image) {
	}
}

// shrink halves the longest list that the image's author fills; false when there is none left.
func shrink(i *v1alpha1.ReportImage) bool {
	switch {
	case i == nil:
		return false
	case len(i.Labels) > 0 && len(i.Labels) >= max(len(i.Partitions), len(i.Signatures)):
		i.Labels = boundLabels(i.Labels, len(i.Labels)/2)
	case len(i.Partitions) > 0 && len(i.Partitions) >= len(i.Signatures):
		i.Partitions = i.Partitions[:len(i.Partitions)/2]
	case len(i.Signatures) > 0:
		i.Signatures = i.Signatures[:len(i.Signatures)/2]
	case len(i.Layers) > 0:
		i.Layers = i.Layers[:len(i.Layers)/2]
	default:
		return false
	}
	return true
}

func size(r *v1alpha1.Report) int {
	rest := *r
	rest.Findings = nil
	b, err := json.Marshal(rest)
	if err != nil {
		return MaxBytes + 1
	}
	return len(b)
}

func boundOutcome(o *v1alpha1.Outcome) {
	if o.Reason != "" && !slices.Contains(imageReasons, o.Reason) {
		o.Reason = v1alpha1.ReasonEngineFailed
	}
	cut(&o.Message, maxMessage)
	switch o.Coverage {
	case "", v1alpha1.CoverageComplete, v1alpha1.CoveragePartial, v1alpha1.CoverageUnreachable, v1alpha1.CoverageVanished:
	default:
		o.Coverage = v1alpha1.CoveragePartial
	}
}

func boundSummary(s *v1alpha1.Summary) {
	if s == nil {
		return
	}
	for _, n := range []*int32{s.Critical, s.High, s.Medium, s.Low, s.Unknown, s.Fixable, s.Secrets, &s.Packages, &s.NotAssessed} {
		if n != nil {
			*n = max(*n, 0)
		}
	}
}

// boundLabels keeps the first n labels in the order of their keys.
func boundLabels(in map[string]string, n int) map[string]string {
	if len(in) == 0 || n == 0 {
		return nil
	}
	keys := make([]string, 0, len(in))
	for k := range in {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	out := make(map[string]string, min(n, len(keys)))
	for _, k := range keys[:min(n, len(keys))] {
		v := in[k]
		cut(&k, maxText)
		cut(&v, maxText)
		out[k] = v
	}
	return out
}

func cutAll(list *[]string, n, limit int) {
	if len(*list) > n {
		*list = (*list)[:n]
	}
	for i := range *list {
		cut(&(*list)[i], limit)
	}
}

// Text makes s printable and at most limit bytes long. Text that is printable already stays as
// it is: the scanner escaped it, and escaping twice would double its backslashes.
func Text(s string, limit int) string {
	if !printable.Safe(s) {
		return engine.Text(s, limit)
	}
	return printable.Truncate(s, limit)
}

func cut(s *string, limit int) { *s = Text(*s, limit) }
