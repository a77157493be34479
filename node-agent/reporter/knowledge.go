// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// pageSize of lists: a page of ScanReport metadata is about half a MiB.
const pageSize = 500

// knownReport is what the metadata of a report of this scan's targets tells.
type knownReport struct {
	identity  string
	outcome   string
	artifacts string
	store     string // where its documents are
	run       string // that wrote it
	document  string // what its report.json is (v1alpha1.AnnotationDocument)
	// version of the report, where its metadata holds nothing that reporters do not write but these annotations.
	version string
	others  map[string]string
}

// budget is what a namespace's artifacts take of etcd.
type budget struct{ used int64 }

// maxArtifactBytes is the budget of a namespace. Etcd's default quota is 2 GiB for the whole
// cluster; peers grew it by 800 MiB with reports alone.
const maxArtifactBytes = 64 << 20

func (b budget) allows(n int64) bool { return b.used+n <= maxArtifactBytes }

// learn reads what the API knows of this scan's targets, and what earlier pods of this worker
// have done. Only metadata of reports is read: identity and artifacts are annotations.
func (r *Reporter) learn(ctx context.Context) error {
	err := r.calls.retry(ctx, func(ctx context.Context) error {
		r.known, r.budget = map[string]knownReport{}, budget{}
		for _, which := range r.opts.concerned() {
			err := pages(ctx, r, func() client.ObjectList {
				list := &metav1.PartialObjectMetadataList{}
				list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ScanReportList"))
				return list
			}, which, func(page client.ObjectList) {
				items := page.(*metav1.PartialObjectMetadataList).Items
				for i := range items {
					r.learnReport(&items[i])
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.calls.retry(ctx, func(ctx context.Context) error {
		r.inventory = newInventory(r.opts)
		ours := r.inventory.labels()
		delete(ours, v1alpha1.LabelWorkers) // a reporter before it was told their number wrote none
		return pages(ctx, r, func() client.ObjectList { return &v1alpha1.ScanInventoryList{} },
			labels.SelectorFromSet(ours), func(page client.ObjectList) {
				items := page.(*v1alpha1.ScanInventoryList).Items
				for i := range items {
					r.resume(&items[i])
				}
			})
	})
}

// resume takes over what an earlier pod of this worker stored. Entries that nobody can read any
// more are of no use: their images are looked at again.
func (r *Reporter) resume(old *v1alpha1.ScanInventory) {
	entries, err := old.AllEntries()
	if err != nil {
		r.log.Error(err, "what an earlier pod has done is not known", "inventory", old.Name)
	}
	old.Entries, old.EntriesGz = entries, nil
	r.inventory.resume(old)
}

// pages lists all of a kind in the namespace, page by page. Each page is decoded into a list
// made anew: decoding into a used one would keep what the new page leaves out.
func pages(ctx context.Context, r *Reporter, newList func() client.ObjectList, which labels.Selector, each func(client.ObjectList)) error {
	for token := ""; ; {
		list := newList()
		which := client.MatchingLabelsSelector{Selector: which}
		if err := r.api.List(ctx, list, client.InNamespace(r.opts.Namespace), client.Limit(pageSize), client.Continue(token), which); err != nil {
			return err
		}
		each(list)
		if token = list.GetContinue(); token == "" {
			return nil
		}
	}
}

// concerned selects the reports that are read at the start: all of the namespace where they share a budget, else those of
// this scan's claims and those of no claim.
func (o *Options) concerned() []labels.Selector {
	if o.Artifacts == v1alpha1.ArtifactsConfigMap {
		return []labels.Selector{labels.Everything()}
	}
	var claims []string
	for _, claim := range o.Claims {
		claims = append(claims, v1alpha1.LabelValue(claim.Name))
	}
	var all []labels.Selector
	for op, values := range map[selection.Operator][]string{selection.In: claims, selection.DoesNotExist: nil} {
		if is, err := labels.NewRequirement(v1alpha1.LabelClaim, op, values); err == nil { // no claim, nothing of claims
			all = append(all, labels.NewSelector().Add(*is))
		}
	}
	return all
}

func (r *Reporter) learnReport(m *metav1.PartialObjectMetadata) {
	a := m.Annotations
	name, bytes := splitArtifacts(a[v1alpha1.AnnotationArtifacts])
	r.budget.used += bytes
	if !r.concerns(m.OwnerReferences) {
		return
	}
	k := knownReport{
		identity:  a[v1alpha1.AnnotationIdentity],
		outcome:   a[v1alpha1.AnnotationOutcome],
		artifacts: name,
		store:     a[v1alpha1.AnnotationStore],
		run:       a[v1alpha1.AnnotationRun],
		document:  a[v1alpha1.AnnotationDocument],
	}
	if plain(m) {
		k.version = m.ResourceVersion
		for key, value := range a {
			if key != v1alpha1.AnnotationRun && !slices.Contains(report.AnnotationKeys, key) {
				k.others = withAll(k.others, map[string]string{key: value})
			}
		}
	}
	r.known[m.Name] = k
}

// plain says whether a report's metadata, but for annotations, holds what reporters write and nothing else: it can be written
// again without being read.
func plain(m *metav1.PartialObjectMetadata) bool {
	for key := range m.Labels {
		if !slices.Contains(labelKeys, key) {
			return false
		}
	}
	return len(m.Finalizers) == 0 && len(m.OwnerReferences) == 1
}

// labelKeys of a report.
var labelKeys = []string{v1alpha1.LabelClaim, v1alpha1.LabelOwnerUID, v1alpha1.LabelEngine, v1alpha1.LabelManagedBy}

// concerns says whether the owners of a report make it one of this scan's targets: one of its
// claims, or any SIFScan, whose reports are of what is on no claim and are shared by name.
func (r *Reporter) concerns(owners []metav1.OwnerReference) bool {
	for _, claim := range r.opts.Claims {
		if ownedBy(owners, types.UID(claim.UID)) {
			return true
		}
	}
	return len(owners) > 0 && owners[0].Kind == sifscanKind
}

func ownedBy(refs []metav1.OwnerReference, uid types.UID) bool {
	for _, ref := range refs {
		if ref.UID == uid {
			return true
		}
	}
	return false
}

// splitArtifacts parses the annotation: name/bytes.
func splitArtifacts(v string) (name string, bytes int64) {
	name, size, _ := strings.Cut(v, "/")
	bytes, err := strconv.ParseInt(size, 10, 64)
	if err != nil || bytes < 0 {
		return name, 0
	}
	return name, bytes
}

// tellKnown yields what the scanner needs to know before it begins.
func (r *Reporter) tellKnown(yield func(handover.Known) error) error {
	o := r.opts
	var lines []handover.Known
	for _, c := range o.Claims {
		lines = append(lines, handover.Known{Volume: &handover.KnownVolume{ClaimName: c.Name, ClaimUID: c.UID, SubPath: c.SubPath}})
	}
	lines = append(lines, handover.Known{Death: r.inventory.death})
	if r.recalls() {
		lines = append(lines, handover.Known{Recalls: true})
	}
	for path, attempts := range r.inventory.attempts {
		lines = append(lines, handover.Known{InFlight: &v1alpha1.InFlight{Path: path, Attempts: attempts}})
	}
	for _, it := range r.inventory.items {
		if e := it.entry; e != nil {
			lines = append(lines, handover.Known{Entry: &handover.KnownEntry{Path: e.Path, Outcome: e.Outcome}})
		}
	}
	for _, line := range lines {
		if err := yield(line); err != nil {
			return err
		}
	}
	if o.Rescan == v1alpha1.RescanAlways {
		return nil
	}
	for name, k := range r.known {
		if k.outcome != v1alpha1.OutcomeScanned || k.identity == "" {
			continue // a failure is tried again: what refused it may have changed outside of the file
		}
		if k.store != o.store() {
			continue // its documents are elsewhere
		}
		if k.run == o.writer() {
			continue // written by an earlier pod: done if it is in the inventory, else its artifacts may be missing
		}
		if err := yield(handover.Known{Report: &handover.KnownReport{Name: name, Identity: k.identity}}); err != nil {
			return err
		}
	}
	return nil
}
