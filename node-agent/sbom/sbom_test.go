package sbom

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

func subject() Subject {
	return Subject{
		Name:         "/shared/containers/a.sif",
		Architecture: "amd64",
		CreatedAt:    time.Date(2026, 11, 1, 2, 3, 4, 5, time.FixedZone("CET", 3600)),
		Scanner:      "native",
		Version:      "1.2.3",
		OS:           engine.OS{Family: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"},
		Packages: []engine.Package{
			{
				Name: "libssl3", Version: "3.0.11-1", Type: "deb", PURL: "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&source=openssl",
				SourceName: "openssl", Locations: []string{"var/lib/dpkg/status"}, FoundBy: []string{"os/dpkg"},
			},
			{
				Name: `ev\x1b[31mil`, Version: "1", Type: "pypi", PURL: "pkg:pypi/ev%1B%5B31mil@1", Licenses: []string{"BSD & friends", "GPLv3+"},
				Locations: []string{"a/METADATA", "b/METADATA"}, FoundBy: []string{"python/wheelegg"},
			},
		},
	}
}

func mustMake(t testing.TB, f func(Subject) ([]byte, error), s Subject) []byte {
	t.Helper()
	data, err := f(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCycloneDXDocumentsAreValidByTheOfficialSchema(t *testing.T) {
	empty := subject()
	empty.OS, empty.Packages, empty.Architecture = engine.OS{}, nil, ""
	unnamed := subject()
	unnamed.OS = engine.OS{Name: "Some Linux"}
	clean := subject()
	clean.Assessed = true
	schema := schemas.Compile(t, "cyclonedx", "bom-1.6.schema.json")
	for name, s := range map[string]Subject{
		"whole":                       subject(),
		"without packages and system": empty,
		"of a system without an ID":   unnamed,
		"with vulnerabilities":        vulnerable(),
		"of no known vulnerability":   clean,
	} {
		t.Run(name, func(t *testing.T) {
			if err := schema.Validate(t, mustMake(t, CycloneDX, s)); err != nil {
				t.Error(err)
			}
		})
	}
	for what, wrong := range map[string][2]string{
		"a wrong serial number":  {"urn:uuid:", "urn:no:"},
		"a severity there isn't": {`"severity": "critical"`, `"severity": "terrible"`},
	} {
		text := strings.Replace(string(mustMake(t, CycloneDX, vulnerable())), wrong[0], wrong[1], 1)
		if schema.Validate(t, []byte(text)) == nil {
			t.Errorf("the schema accepts %s", what)
		}
	}
}

func TestSPDXDocumentsAreValidByTheOfficialSchemaAndReadBackByTheSPDXLibrary(t *testing.T) {
	empty := subject()
	empty.OS, empty.Packages, empty.Architecture = engine.OS{}, nil, ""
	unnamed := subject()
	unnamed.OS = engine.OS{Name: "Some Linux"}
	strange := subject()
	for i, kind := range []string{"conda", "golang", "a type/with everything \x7f", ""} {
		strange.Packages = append(strange.Packages, engine.Package{Name: "p", Type: kind, PURL: fmt.Sprintf("pkg:%s/p@%d", kind, i), SourceVersion: "1"})
	}
	schema := schemas.Compile(t, "spdx", "spdx-schema-2.3.json")
	for name, s := range map[string]Subject{
		"whole": subject(), "without packages and system": empty, "of a system without an ID": unnamed, "with vulnerabilities": vulnerable(),
		"of packages without a version and of strange types": strange,
	} {
		t.Run(name, func(t *testing.T) {
			text := mustMake(t, SPDX, s)
			if err := schema.Validate(t, text); err != nil {
				t.Error(err)
			}
			if bytes.Contains(text, []byte("PACKAGE_MANAGER")) {
				t.Error("a category is spelled as SPDX 2.3 itself does not spell it")
			}
			doc, err := spdxjson.Read(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := spdxlib.ValidateDocument(doc); err != nil {
				t.Error(err)
			}
			// What the schema asks for it also accepts when it is empty, and it knows identifiers as text only (clauses 6 and 7).
			if doc.SPDXVersion != "SPDX-2.3" || doc.DataLicense != "CC0-1.0" || doc.SPDXIdentifier != "DOCUMENT" || doc.DocumentName == "" ||
				doc.DocumentNamespace == "" || doc.CreationInfo == nil || len(doc.CreationInfo.Creators) == 0 || doc.CreationInfo.Created == "" {
				t.Errorf("a mandatory field of the document is empty: %+v", doc)
			}
			for _, p := range doc.Packages {
				if p.PackageName == "" || p.PackageDownloadLocation == "" || !regexp.MustCompile(`^[A-Za-z0-9.-]+$`).MatchString(string(p.PackageSPDXIdentifier)) {
					t.Errorf("a mandatory field of a package is empty or wrong: %+v", p)
				}
			}
			described, err := spdxlib.GetDescribedPackageIDs(doc)
			if err != nil || len(described) != 1 || described[0] != "Image" {
				t.Errorf("the document describes %v (%v), want the image", described, err)
			}
		})
	}
	for what, wrong := range map[string][2]string{
		"a purpose there isn't":          {`"CONTAINER"`, `"SPACESHIP"`},
		"a field there isn't":            {`"downloadLocation"`, `"downloadPlace"`},
		"a relationship there isn't":     {`"CONTAINS"`, `"SWALLOWS"`},
		"a document without a namespace": {`"documentNamespace"`, `"comment"`},
	} {
		if text := strings.Replace(string(mustMake(t, SPDX, subject())), wrong[0], wrong[1], 1); schema.Validate(t, []byte(text)) == nil {
			t.Errorf("the schema accepts %s", what)
		}
	}
}

func TestEverySPDXPackageHasItsURLAndBelongsToTheImage(t *testing.T) {
	doc, err := spdxjson.Read(bytes.NewReader(mustMake(t, SPDX, subject())))
	if err != nil {
		t.Fatal(err)
	}
	if doc.CreationInfo.Created != "2026-11-01T01:03:04Z" {
		t.Errorf("created = %s", doc.CreationInfo.Created)
	}
	contained := map[string]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship == "CONTAINS" && r.RefA.ElementRefID == "Image" {
			contained[string(r.RefB.ElementRefID)] = true
		}
	}
	urls, ids := map[string]bool{}, map[common.ElementID]bool{}
	for _, p := range doc.Packages {
		if ids[p.PackageSPDXIdentifier] {
			t.Errorf("two packages are %s", p.PackageSPDXIdentifier)
		}
		ids[p.PackageSPDXIdentifier] = true
		if p.PrimaryPackagePurpose == "LIBRARY" {
			urls[p.PackageExternalReferences[0].Locator] = contained[string(p.PackageSPDXIdentifier)]
		}
	}
	for _, p := range subject().Packages {
		if !urls[p.PURL] {
			t.Errorf("%s is missing or in no relation to the image", p.PURL)
		}
	}
}

// etcd holds the document of every image, compressed.
func TestAPackageTakesFewBytesOfACompressedSPDXDocument(t *testing.T) {
	size := func(packages int) int {
		s := subject()
		s.Packages = nil
		for i := range packages {
			name, version := fmt.Sprintf("lib%d", i), fmt.Sprintf("%d.%d-1", i%7, i%11)
			s.Packages = append(s.Packages, engine.Package{
				Name: name, Version: version, Type: "deb", PURL: fmt.Sprintf("pkg:deb/debian/%s@%s?arch=amd64", name, version),
			})
		}
		var b bytes.Buffer
		zip, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := zip.Write(mustMake(t, SPDX, s)); err != nil {
			t.Fatal(err)
		}
		if err := zip.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	const packages = 1000
	if each := float64(size(packages)-size(0)) / packages; each > 32 {
		t.Errorf("a package takes %.1f bytes", each)
	}
}

func TestEveryCycloneDXComponentHasItsURL(t *testing.T) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(mustMake(t, CycloneDX, subject())), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	components := *bom.Components
	if bom.SpecVersion != cdx.SpecVersion1_6 || bom.Metadata.Component.Name != subject().Name || len(components) != 3 {
		t.Fatalf("document = %+v", bom)
	}
	if os := components[0]; os.Type != cdx.ComponentTypeOS || os.Name != "debian" || os.Version != "12" {
		t.Errorf("operating system = %+v", os)
	}
	for i, p := range subject().Packages {
		if components[i+1].PackageURL != p.PURL || components[i+1].BOMRef != p.PURL {
			t.Errorf("component %d = %+v", i, components[i+1])
		}
	}
}

func TestIdentifiersFollowTheContent(t *testing.T) {
	for name, f := range map[string]func(Subject) ([]byte, error){"SPDX": SPDX, "CycloneDX": CycloneDX} {
		if a, b := mustMake(t, f, subject()), mustMake(t, f, subject()); !bytes.Equal(a, b) {
			t.Errorf("%s: equal subjects gave different documents", name)
		}
	}
	other := subject()
	other.Packages[0].Version = "3.0.11-2"
	a, err := subject().uuid()
	if err != nil {
		t.Fatal(err)
	}
	b, err := other.uuid()
	if err != nil {
		t.Fatal(err)
	}
	if a == b || strings.Count(a, "-") != 4 || len(a) != 36 {
		t.Errorf("identifiers %s and %s", a, b)
	}
}
