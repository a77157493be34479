// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"path/filepath"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/registry"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// registryImage is an image in a registry. It is unpacked into the limited tmp, for every engine:
// qscanner's own command for images would download it a second time, with credentials, certificates
// and disk space of its own that nothing here bounds.
type registryImage struct {
	reference string
	client    *registry.Client
}

func (t *registryImage) place() Place {
	return Place{Volume: handover.NoVolume, Path: t.reference, Name: printable.Escape(t.reference)}
}

func (t *registryImage) about() v1alpha1.ReportTarget {
	name := printable.Escape(t.reference)
	return v1alpha1.ReportTarget{Kind: rootfs.FormatOCI, Path: name, Reference: name}
}

// askWithin bounds the question whether an image changed: a registry may answer byte by byte.
const askWithin = time.Minute

// identity is what the reference leads to now. Where the registry does not say, the scan will, with the reason.
func (t *registryImage) identity(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	digest, err := t.client.Digest(ctx, t.reference)
	if err != nil {
		return ""
	}
	return t.identityOf(digest)
}

func (t *registryImage) identityOf(digest string) string {
	return digest + ":" + t.client.Architecture()
}

func (t *registryImage) scan(ctx context.Context, s *Scanner, r *Result) error {
	image, err := t.client.Image(ctx, t.reference)
	if err != nil {
		return err
	}
	t.describe(r, image)
	work, release, err := s.workspace()
	if err != nil {
		return &rootfs.Error{Reason: rootfs.ReasonTmpTooSmall, Message: "there is no room to unpack an image of a registry: set spec.tmp.sizeLimit (--tmp-dir); " + err.Error()}
	}
	defer release()
	dir := filepath.Join(work, "rootfs")
	spent, err := image.Unpack(ctx, dir, s.Tmp.room())
	if err != nil {
		return err
	}
	img, err := rootfs.OpenDirectory(dir)
	if err != nil {
		return err
	}
	defer img.Close()
	err = s.read(ctx, opened{Image: img, architecture: image.Architecture, work: work, spent: spent,
		directory: func() (string, error) { return dir, nil }}, r)
	if err == nil {
		r.Identity = t.identityOf(image.Digest) + ":" + s.settings()
	}
	return err
}

// describe takes over what manifest and configuration say.
func (t *registryImage) describe(r *Result, image *registry.Image) {
	target := &r.Report.Target
	target.Digest, target.SizeBytes, target.Architecture = image.ManifestDigest, image.SizeBytes, printable.Escape(image.Architecture)
	r.Report.Image = &v1alpha1.ReportImage{Format: rootfs.FormatOCI, Layers: image.Layers, Labels: escaped(image.Labels)}
}
