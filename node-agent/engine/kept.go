package engine

import (
	"fmt"
	"slices"
)

// maxKept bounds the text of all packages, and that of all findings. 30,000 packages have some 8 MiB; of 85 MiB (trivy's report
// of 110 MiB that was all packages) the agent made documents in 1.4 GiB of memory.
const maxKept = 16 << 20

// Kept counts text that is kept of an image.
type Kept int

// Take counts more, or refuses it.
func (k *Kept) Take(texts ...string) error {
	n := int(*k)
	for _, t := range texts {
		n += len(t)
	}
	if n > maxKept {
		return fmt.Errorf("more than %d MiB of text", maxKept>>20)
	}
	*k = Kept(n)
	return nil
}

// Package counts a package.
func (k *Kept) Package(p Package) error {
	for _, texts := range [][]string{{p.Name, p.Version, p.PURL, p.SourceName, p.SourceVersion}, p.Licenses, p.Locations} {
		if err := k.Take(texts...); err != nil {
			return err
		}
	}
	return nil
}

// Finding counts a finding.
func (k *Kept) Finding(f Finding) error {
	return k.Take(append(slices.Clone(f.IDs.Advisories), f.ID, f.Package, f.Version, f.PURL, f.Path, f.Vector, f.Source, f.FixedVersion, f.Summary)...)
}
