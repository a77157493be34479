// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/reporter/tree"
)

// Volume is a folder of a claim, mounted for the reporter alone, that documents are kept in.
type Volume struct {
	// Dir is where the claim's root is mounted.
	Dir string
	// ClaimUID of the claim: one made anew is another volume.
	ClaimUID string
	// SubPath is the folder.
	SubPath string
}

// store names where documents are kept. Reports that name another place, or none, are of images
// whose documents are missed here.
func (o *Options) store() string {
	if o.Artifacts != v1alpha1.ArtifactsVolume {
		return string(o.Artifacts)
	}
	const enough = 12 // characters, of the few places of a namespace
	return string(o.Artifacts) + ":" + report.Hash(enough, o.Volume.ClaimUID, path.Clean("/"+o.Volume.SubPath))
}

// staging is this worker's name on a volume for documents. Every pod of the worker has it, and no
// other worker, of whatever namespace: one export can be a volume of several, and Jobs of equal
// SIFScans have equal names.
func (o *Options) staging() string {
	const enough = 12
	return fmt.Sprintf("%s-w%d-%s", o.Job, o.Worker, report.Hash(enough, o.ScanUID))
}

// notKept adds to a report's message what was not kept of the image, and why.
func notKept(r *v1alpha1.ScanReport, what string) {
	const most = 512
	note := v1alpha1.ReasonArtifactsNotKept + ": " + printable.Truncate(what, most)
	if r.Report.Outcome.Message != "" {
		note = r.Report.Outcome.Message + "; " + note
	}
	r.Report.Outcome.Message = note
	r.Annotations[v1alpha1.AnnotationNotKept] = "true"
}

// result is all that there is to keep of an image.
type result struct {
	files *handover.Result
	// want is the ScanReport as it will be stored.
	want *v1alpha1.ScanReport
	// all is the same with every finding. It is not changed once it is here: who writes it to the
	// volume may be at work still when nobody waits for it any more.
	all *v1alpha1.ScanReport
	// before is the report of the last scan, nil where there is none, and unchanged names the documents of it that stay.
	before    *v1alpha1.ScanReport
	unchanged []string
	// place of the image's folder on a volume.
	place tree.Place
}

// keepOnVolume puts the image's folder on the volume, and tells in want what is in it. Without
// the volume the ScanReport is stored nevertheless: it says why there are no documents, and the
// next run opens the image again.
func (r *Reporter) keepOnVolume(ctx context.Context, res *result) {
	kept, err := within(ctx, r.shelf, func() (kept, error) { return res.putOn(r.shelf.tree) })
	if err != nil || kept.missed {
		delete(res.want.Annotations, v1alpha1.AnnotationStore)
	}
	if err != nil {
		notKept(res.want, "on the volume of spec.reports.volume: "+reasonOf(err))
		r.log.Error(err, "documents are not kept", "place", res.place.String())
		return
	}
	res.want.Report.Artifacts = kept.artifacts
	if len(kept.dropped) == 0 {
		res.want.Annotations[v1alpha1.AnnotationDocument] = documentOf(kept.artifacts[0], r.opts.listed())
	} else {
		notKept(res.want, fmt.Sprint(kept.dropped))
	}
}

// kept is what the volume has of an image, and what it has not.
type kept struct {
	artifacts []v1alpha1.Artifact
	dropped   []string
	// missed: of the documents dropped, one can be had by opening the image.
	missed bool
}

// putOn writes the folder: the documents, then the report, which names them.
func (res *result) putOn(t *tree.Tree) (k kept, err error) {
	err = t.Put(res.place, func(f *tree.Folder) error {
		k = kept{} // of a try before
		for _, d := range documents {
			if err := res.putDocument(t, f, &k, d.name, d.mediaType); err != nil {
				return err
			}
		}
		itself, err := res.putReport(t, f, k)
		k.artifacts = append([]v1alpha1.Artifact{itself}, k.artifacts...)
		return err
	})
	return k, err
}

func (res *result) putDocument(t *tree.Tree, f *tree.Folder, k *kept, name, mediaType string) error {
	if _, err := res.files.Size(name); errors.Is(err, fs.ErrNotExist) {
		return res.keepDocument(t, f, k, name)
	}
	in, err := res.files.File(name, maxDocument)
	if err != nil {
		k.dropped = append(k.dropped, fmt.Sprintf("%s (%v)", name, err))
		return nil
	}
	defer in.Close()
	a, err := putFile(f.File, t.VolumePath(res.place, name), mediaType, func(w io.Writer) error { _, err := tree.Copy(w, in); return err })
	k.artifacts = append(k.artifacts, a)
	return err
}

// keepDocument takes a document over from the last scan, if it is one that stays: the one that its report names.
func (res *result) keepDocument(t *tree.Tree, f *tree.Folder, k *kept, name string) error {
	if !slices.Contains(res.unchanged, name) {
		return nil // not asked for
	}
	a, sum, err := artifactAt(res.before, name, t.VolumePath(res.place, name))
	if err == nil {
		err = f.Keep(name, a.SizeBytes, sum)
	}
	switch {
	case err == nil:
		k.artifacts = append(k.artifacts, a)
	case passing(err):
		return err
	default:
		k.dropped, k.missed = append(k.dropped, fmt.Sprintf("%s (%s)", name, reasonOf(err))), true
	}
	return nil
}

// artifactAt is what a report says of a document at a place, and its SHA-256.
func artifactAt(of *v1alpha1.ScanReport, name, volumePath string) (a v1alpha1.Artifact, sum [sha256.Size]byte, err error) {
	if of == nil {
		return a, sum, errors.New("no earlier scan is known")
	}
	i := slices.IndexFunc(of.Report.Artifacts, func(a v1alpha1.Artifact) bool { return a.Name == name && a.VolumePath == volumePath })
	if i < 0 {
		return a, sum, fmt.Errorf("ScanReport %s names no %s", of.Name, name)
	}
	a = of.Report.Artifacts[i]
	digest, err := hex.DecodeString(a.SHA256)
	if err != nil || len(digest) != len(sum) {
		return a, sum, fmt.Errorf("ScanReport %s does not say what its %s is", of.Name, name)
	}
	return a, [sha256.Size]byte(digest), nil
}

// putReport writes the report.
func (res *result) putReport(t *tree.Tree, f *tree.Folder, k kept) (v1alpha1.Artifact, error) {
	full := *res.all
	full.Annotations = maps.Clone(full.Annotations)
	full.Report.Artifacts = slices.Clone(k.artifacts)
	if len(k.dropped) > 0 {
		notKept(&full, fmt.Sprint(k.dropped))
	}
	return putReport(f.File, t.VolumePath(res.place, handover.ReportFile), &full)
}

func putReport(put func(name string, write func(io.Writer) error) error, volumePath string, full *v1alpha1.ScanReport) (v1alpha1.Artifact, error) {
	return putFile(put, volumePath, reportType, func(w io.Writer) error { return report.Write(w, full) })
}

// reportType is the media type of a report.json.
const reportType = "application/json"

// putFile writes a file of the folder, by put, and describes it.
func putFile(put func(name string, write func(io.Writer) error) error, volumePath, mediaType string, write func(io.Writer) error) (v1alpha1.Artifact, error) {
	sum, size := sha256.New(), counter(0)
	name := path.Base(volumePath)
	err := put(name, func(w io.Writer) error { return write(io.MultiWriter(w, sum, &size)) })
	return v1alpha1.Artifact{
		Name: name, MediaType: mediaType, VolumePath: volumePath, SHA256: hex.EncodeToString(sum.Sum(nil)), SizeBytes: int64(size),
	}, err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// tidy removes what writers that died left on the volume. An error is no reason to end: each
// image's report will tell what is wrong.
func (r *Reporter) tidy(ctx context.Context) {
	if _, err := within(ctx, r.shelf, func() (struct{}, error) { return struct{}{}, r.shelf.tree.Tidy() }); err != nil {
		r.log.Error(err, "the volume for documents cannot be prepared")
	}
}

// leave removes the reporter's own directory for what is being written.
func (r *Reporter) leave(ctx context.Context) {
	if _, err := within(ctx, r.shelf, func() (struct{}, error) { return struct{}{}, r.shelf.tree.Leave() }); err != nil {
		r.log.Error(err, "an empty directory stays on the volume for documents")
	}
}

// seen is when the image's findings were first seen: as its ScanReport tells, and the report.json
// on the volume, which lists all of them.
func (r *Reporter) seen(ctx context.Context, have *v1alpha1.ScanReport, place tree.Place) report.Seen {
	seen := report.Seen{}
	if have != nil {
		seen.Learn(have)
	}
	if r.shelf == nil || have != nil && have == r.whole {
		return seen
	}
	before, err := within(ctx, r.shelf, func() (before *v1alpha1.ScanReport, err error) {
		err = r.shelf.tree.Visit(place, func(k *tree.Kept) error {
			f, err := k.Open(handover.ReportFile, report.MaxFile)
			if err != nil {
				return err
			}
			defer f.Close()
			before, err = report.Read(f)
			return err
		})
		return before, err
	})
	switch {
	case err == nil:
		seen.Learn(before)
	case !errors.Is(err, fs.ErrNotExist):
		r.log.Error(err, "the image's report on the volume cannot be read: findings may look younger than they are", "place", place.String())
	}
	return seen
}
