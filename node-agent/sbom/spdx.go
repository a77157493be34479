package sbom

import (
	"bytes"
	"fmt"
	"strings"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

const (
	noAssertion = "NOASSERTION"

	spdxDocument = "DOCUMENT"
	spdxImage    = "Image"
	spdxOS       = "OperatingSystem"
)

// SPDX returns the subject as an SPDX 2.3 document in JSON: the document describes the image, the image contains its
// operating system and its packages.
func SPDX(s Subject) ([]byte, error) {
	// An inventory: it stays the same while the database learns.
	s.Assessed, s.NotAssessed, s.Findings = false, 0, nil
	id, err := s.uuid()
	if err != nil {
		return nil, err
	}
	doc := &spdx.Document{
		SPDXVersion:       spdx.Version,
		DataLicense:       spdx.DataLicense,
		SPDXIdentifier:    spdxDocument,
		DocumentName:      s.Name,
		DocumentNamespace: "https://sifscan.io/spdx/" + id,
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: fmt.Sprintf("sifscan-%s-%s", s.Scanner, s.Version)}},
			Created:  s.CreatedAt.UTC().Format(TimeFormat),
		},
		Packages:      []*spdx.Package{spdxPackage(spdxImage, s.Name, "", "CONTAINER")},
		Relationships: []*spdx.Relationship{relation(spdxDocument, common.TypeRelationshipDescribe, spdxImage)},
	}
	if s.OS.Known() {
		doc.Packages = append(doc.Packages, spdxOSPackage(s.OS))
		doc.Relationships = append(doc.Relationships, relation(spdxImage, common.TypeRelationshipContains, spdxOS))
	}
	for i, p := range s.Packages {
		x := spdxFromPackage(i+1, p)
		doc.Packages = append(doc.Packages, x)
		doc.Relationships = append(doc.Relationships,
			relation(spdxImage, common.TypeRelationshipContains, x.PackageSPDXIdentifier))
	}
	var b bytes.Buffer
	if err := spdxjson.Write(doc, &b, spdxjson.Indent(" "), spdxjson.EscapeHTML(false)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// spdxPackage returns a package with the fields SPDX 2.3 requires of every package.
func spdxPackage(id common.ElementID, name, version, purpose string) *spdx.Package {
	return &spdx.Package{
		PackageSPDXIdentifier:   id,
		PackageName:             name,
		PackageVersion:          version,
		PrimaryPackagePurpose:   purpose,
		PackageDownloadLocation: noAssertion,
		PackageLicenseConcluded: noAssertion,
		PackageLicenseDeclared:  noAssertion,
		PackageCopyrightText:    noAssertion,
		PackageSupplier:         &common.Supplier{Supplier: noAssertion},
	}
}

func spdxOSPackage(os engine.OS) *spdx.Package {
	name := os.Family
	if name == "" {
		name = os.Name
	}
	x := spdxPackage(spdxOS, name, os.Version, "OPERATING_SYSTEM")
	x.PackageDescription = os.Name
	return x
}

// spdxFromPackage identifies a package by its number: an identifier has a meaning within its document only (clause 7.2), and
// a hash, named again by the relationship, was half of what a document takes when it is compressed.
func spdxFromPackage(number int, p engine.Package) *spdx.Package {
	x := spdxPackage(common.ElementID(fmt.Sprintf("Package-%d", number)), p.Name, p.Version, "LIBRARY")
	x.PackageExternalReferences = []*spdx.PackageExternalReference{{
		Category: common.CategoryPackageManager,
		RefType:  common.TypePackageManagerPURL,
		Locator:  p.PURL,
	}}
	if len(p.Licenses) > 0 {
		// What packages declare is rarely a valid SPDX licence expression.
		x.PackageLicenseComments = "declared by the package: " + strings.Join(p.Licenses, "; ")
	}
	if p.SourceName != "" || p.SourceVersion != "" {
		x.PackageSourceInfo = strings.TrimSpace(fmt.Sprintf("built from source package %s %s", or(p.SourceName, p.Name), or(p.SourceVersion, p.Version)))
	}
	if !fromDatabase(p.Type) && len(p.Locations) > 0 {
		x.PackageFileName = p.Locations[0]
	}
	return x
}

func relation(from common.ElementID, kind string, to common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{
		RefA:         common.DocElementID{ElementRefID: from},
		RefB:         common.DocElementID{ElementRefID: to},
		Relationship: kind,
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
