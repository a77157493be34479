// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// The report of an image that is gone is deleted when two complete runs missed the image while
// they saw the directory that it was in. A volume that is not mounted, a directory that may not be
// read for a while, a SIFScan of another part of the volume must cost nobody a report: what is in
// doubt stays.
const (
	// vanishShare: more than a fifth of the images at once is no clean-up, it is a volume that shows
	// something else.
	vanishShare = 5
	// maxVanished bounds the reports that one run looks into, for each is read: some seconds. The others are
	// looked into by later runs.
	maxVanished = 1000
)

// scope names what a SIFScan looks for on a volume, and with what, as every report says under which it was
// written: only a run of the same scope may say that the image is missing. Empty for what is no
// search of a volume: a line of a list that leads nowhere is a failed target, and not missing.
func (s *settings) scope() string {
	if s.ClaimName == "" || s.List != nil || s.Directory != nil || s.Image != nil {
		return ""
	}
	text, err := json.Marshal([]any{s.Engine, asSet(s.ScanTypes), s.SubPath, s.MountPath, asSet(s.Paths), asSet(s.Exclude), asSet(s.FileNames)})
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// missing collects the reports of a run's scope whose image the run did not see.
type missing struct {
	scope string
	tally *tally
	// all reports of the scope.
	all int
	// gone are not mentioned by the run; back are, and were missed by an earlier one.
	gone, back []*metav1.PartialObjectMetadata
}

func newMissing(s settings, t *tally) *missing {
	return &missing{scope: s.scope(), tally: t}
}

func (m *missing) add(report *metav1.PartialObjectMetadata) {
	if m.scope == "" || report.Annotations[v1alpha1.AnnotationScope] != m.scope {
		return
	}
	m.all++
	_, covered := m.tally.reports[report.Name]
	_, failed := m.tally.failures[report.Name]
	switch {
	case !covered && !failed:
		m.gone = append(m.gone, report.DeepCopy())
	case report.Annotations[v1alpha1.AnnotationMissedBy] != "":
		m.back = append(m.back, report.DeepCopy())
	}
}

// tooMany reports whether more vanished than somebody removes in a day.
func (m *missing) tooMany() bool { return len(m.gone)*vanishShare > m.all }

// clearVanished marks the reports of images that this run missed, and deletes those of images that
// a run before it missed as well. A failure is logged and not returned: the next run comes here again.
func (r *Reconciler) clearVanished(ctx context.Context, p *pass, m *missing) {
	logger := log.FromContext(ctx)
	for _, report := range m.back {
		if err := r.noteMissed(ctx, report, ""); err != nil {
			logger.Error(err, "the report of an image that is back still says that it was missed", "report", report.Name)
		}
	}
	switch {
	case len(m.gone) == 0:
		return
	case m.tooMany():
		logger.Info("more than a fifth of the images vanished at once: their reports stay", "vanished", len(m.gone), "of", m.all)
		return
	}
	writer := string(p.scan.UID) + "/" + p.run
	gone, err := r.reallyGone(ctx, p, lookedInto(m.gone, writer))
	if err != nil {
		logger.Error(err, "the reports of vanished images stay until the next run")
		return
	}
	for _, report := range gone {
		if err := r.missed(ctx, report, writer); err != nil {
			logger.Error(err, "the report of a vanished image stays until the next run", "report", report.Name)
		}
	}
}

// lookedInto are the reports that a run looks into. Of many a run cannot decide, each night of the same: those of images that may not be read,
// of directories that are empty now. So that these keep none of the others from their turn, each run begins at a place of its own.
func lookedInto(gone []*metav1.PartialObjectMetadata, run string) []*metav1.PartialObjectMetadata {
	slices.SortFunc(gone, func(a, b *metav1.PartialObjectMetadata) int { return strings.Compare(a.Name, b.Name) })
	if len(gone) <= maxVanished {
		return gone
	}
	sum := sha256.Sum256([]byte(run))
	first := int(binary.BigEndian.Uint32(sum[:]) % uint32(len(gone)))
	return slices.Concat(gone[first:], gone[:first])[:maxVanished]
}

// missed notes that a run missed an image, or deletes its report where another run noted it before.
func (r *Reconciler) missed(ctx context.Context, report *metav1.PartialObjectMetadata, writer string) error {
	switch before := report.Annotations[v1alpha1.AnnotationMissedBy]; before {
	case "":
		return r.noteMissed(ctx, report, writer)
	case writer: // by a look at this run whose status was not written
		return nil
	default:
		log.FromContext(ctx).Info("the image is gone: deleting its report", "report", report.Name, "missedBy", before)
		return client.IgnoreNotFound(r.Client.Delete(ctx, report,
			client.Preconditions{UID: &report.UID, ResourceVersion: &report.ResourceVersion}))
	}
}

func (r *Reconciler) noteMissed(ctx context.Context, report *metav1.PartialObjectMetadata, writer string) error {
	before := report.DeepCopy()
	if writer == "" {
		delete(report.Annotations, v1alpha1.AnnotationMissedBy)
	} else {
		metav1.SetMetaDataAnnotation(&report.ObjectMeta, v1alpha1.AnnotationMissedBy, writer)
	}
	return client.IgnoreNotFound(r.Client.Patch(ctx, report, client.MergeFrom(before)))
}

// reallyGone are those reports whose image's directory the run saw, and not the image.
func (r *Reconciler) reallyGone(ctx context.Context, p *pass, reports []*metav1.PartialObjectMetadata) ([]*metav1.PartialObjectMetadata, error) {
	s := resolve(&p.scan.Spec)
	claim, err := r.claim(ctx, p.scan.Namespace, s.ClaimName, "spec.target.volume.claimName")
	if err != nil {
		return nil, err
	}
	sight := newSight()
	paths := map[*metav1.PartialObjectMetadata]string{}
	for _, report := range reports {
		if len(report.OwnerReferences) != 1 || report.OwnerReferences[0].UID != claim {
			continue // of a claim that had this name before
		}
		inside, err := r.pathOf(ctx, report, s.MountPath)
		if err != nil {
			return nil, err
		}
		if inside != "" {
			paths[report] = inside
			sight.ask(inside)
		}
	}
	err = r.eachInventory(ctx, p, func(inventory *v1alpha1.ScanInventory) {
		entries, _ := inventory.AllEntries() // the tally has read them
		for i := range entries {
			sight.see(&entries[i])
		}
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(reports), func(report *metav1.PartialObjectMetadata) bool {
		inside, known := paths[report]
		return !known || !sight.missed(inside)
	}), nil
}

// pathOf returns the path of a report's image in its volume, escaped; empty where the report does
// not tell, as below a mountPath with characters that are escaped.
func (r *Reconciler) pathOf(ctx context.Context, report *metav1.PartialObjectMetadata, mountPath string) (string, error) {
	full := &v1alpha1.ScanReport{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: report.Namespace, Name: report.Name}, full)
	if err != nil {
		return "", client.IgnoreNotFound(err)
	}
	inside, ok := strings.CutPrefix(full.Report.Target.Path, strings.TrimSuffix(mountPath, "/")+"/")
	if !ok || path.IsAbs(inside) || path.Clean(inside) != inside {
		return "", nil
	}
	return inside, nil
}

// sight tells whether a run that saw some entries saw the directory of a path, and not the path.
type sight struct {
	// paths asked for that have an entry, whatever came of it.
	paths map[string]bool
	// listed directories of the paths asked for: an entry lies in them. A directory that holds
	// nothing any more is not told from one that is not there.
	listed map[string]bool
	// blind are directories with an outcome of their own: they could not be searched.
	blind map[string]bool
}

func newSight() *sight {
	return &sight{paths: map[string]bool{}, listed: map[string]bool{}, blind: map[string]bool{}}
}

// ask adds a path, before anything is seen.
func (s *sight) ask(inside string) {
	s.paths[inside] = false
	s.listed[path.Dir(inside)] = false
	for dir := path.Dir(inside); ; dir = path.Dir(dir) {
		s.blind[dir] = false
		if dir == "." {
			return
		}
	}
}

func (s *sight) see(entry *v1alpha1.InventoryEntry) {
	if _, asked := s.paths[entry.Path]; asked {
		s.paths[entry.Path] = true
	}
	if _, above := s.blind[entry.Path]; above {
		s.blind[entry.Path] = true
	}
	if entry.Outcome != v1alpha1.EntryScanned && entry.Outcome != v1alpha1.EntryUnchanged {
		return
	}
	if _, asked := s.listed[path.Dir(entry.Path)]; asked {
		s.listed[path.Dir(entry.Path)] = true
	}
}

func (s *sight) missed(inside string) bool {
	if s.paths[inside] || !s.listed[path.Dir(inside)] {
		return false
	}
	for dir := path.Dir(inside); ; dir = path.Dir(dir) {
		if s.blind[dir] {
			return false
		}
		if dir == "." {
			return true
		}
	}
}
