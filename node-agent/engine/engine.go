// Package engine defines what every scan engine of the agent takes and returns: a root file system goes in, packages,
// documents and an explained failure come out. The engines themselves live in the folders below; this package imports
// none of them.
package engine

import (
	"context"
	"slices"
	"time"

	scalibrfs "github.com/google/osv-scalibr/fs"
)

// Engine scans one image. An implementation is safe for concurrent use unless it says otherwise.
type Engine interface {
	// Name is the engine's name in the API: "native", "qscanner" or "trivy".
	Name() string
	// Scan returns the image's inventory. A failure is an *Error whenever the engine knows its reason, and may come with
	// a result: what was found before. When ctx ends, the error wraps ctx.Err() and the engine does not use t.Root any more.
	Scan(ctx context.Context, t Target) (*Result, error)
}

// Executed is implemented by engines that run another program. Their targets have a Directory and a Budget.
type Executed interface {
	Engine
	// NeedsDirectory tells that the engine reads Target.Directory: the image must be extracted first.
	NeedsDirectory() bool
	// Ready returns an *Error when a scan could not succeed now. It is asked before an image is extracted.
	Ready(ctx context.Context) error
}

// Rematcher is implemented by engines that list an image's packages and match them with a database of their own: a list that
// they made stays right as long as the image stays what it was.
type Rematcher interface {
	Engine
	// Rematch returns what Scan would of an image that has not changed since Scan made the inventory (InventoryFile) of it for
	// the same scan types and excluded directories. It does not use t.Root; BytesRead and FilesVisited are 0. Nothing in the
	// inventory is taken on trust. Where Rematch fails, the image has to be scanned.
	Rematch(ctx context.Context, t Target, inventory []byte) (*Result, error)
}

// MaxInventory bounds an inventory that is matched again, in bytes. One of 300 packages takes 140 KiB; the largest images of
// scientific software hold 30,000 packages.
const MaxInventory = 16 << 20

// Format is a document a scan is asked for.
type Format string

// The formats of the field spec.scanner.formats and of node-agent's flag --formats.
const (
	FormatJSON      Format = "json"
	FormatSPDX      Format = "spdx"
	FormatCycloneDX Format = "cyclonedx"
)

// Names under which documents appear in Result.Documents and in what is handed over.
const (
	InventoryFile = "inventory.json"
	SPDXFile      = "sbom.spdx.json"
	CycloneDXFile = "sbom.cdx.json"
	// SARIFFile is made by engines that write SARIF themselves.
	SARIFFile = "report.sarif"
)

// ScanType is a kind of thing to look for.
type ScanType string

// The scan types of the field spec.scanner.scanTypes.
const (
	ScanPackages    ScanType = "pkg"
	ScanFileInsight ScanType = "fileinsight"
	ScanSecrets     ScanType = "secret"
)

// Target is one image, opened for reading.
type Target struct {
	// Root is the image's root directory. It resolves the image's symbolic links inside itself and never lets one lead
	// out; its regular files implement io.ReaderAt. A name need not be UTF-8.
	Root scalibrfs.FS
	// DisplayName is the path (or reference) the user knows the image by. Documents name the image so.
	DisplayName string
	// Architecture is the image's architecture in Go's spelling ("amd64"); empty when it is not known.
	Architecture string
	// ScanTypes says what to look for; empty means packages.
	ScanTypes []ScanType
	// Formats lists the documents to make; empty means none.
	Formats []Format
	// ExcludeDirs are directories of the image that are not entered, absolute or relative to Root ("/opt/data").
	ExcludeDirs []string
	// Repository tells that the files are source code, whose packages are those that its lock files name, and not a root
	// file system.
	Repository bool
	// CreatedAt is the time documents carry. Equal targets with equal times make equal bytes.
	CreatedAt time.Time
	// Directory holds the same files as Root for engines that need a directory. Absolute, and no symbolic link.
	Directory string
	// Budget is what an executed engine may use.
	Budget Budget
	// AtHand names documents of the last scan, of all kinds, that Rematch need not make anew.
	AtHand []string
}

// Budget limits an engine that is executed. Its time is the context's.
type Budget struct {
	// Dir is a directory of this scan alone: everything the engine writes lies in it. Absolute.
	Dir string
	// Tmp is how many bytes of disk the engine may take in Dir, beside an extracted image; 0: what the file system has.
	Tmp int64
	// Memory in bytes for the engine's processes together; 0: no limit is known.
	Memory int64
	// CPUs is the number of processors it may use at a time; 0: all.
	CPUs int
	// TmpLimit and MemoryLimit are what these are parts of, as SetBy set them; 0: nothing.
	TmpLimit, MemoryLimit int64
	// SetBy is who set them.
	SetBy Setter
}

// Wants tells whether the target asks for a document of format f.
func (t Target) Wants(f Format) bool { return slices.Contains(t.Formats, f) }

// Scans tells whether the target asks for scan type s.
func (t Target) Scans(s ScanType) bool {
	if len(t.ScanTypes) == 0 {
		return s == ScanPackages
	}
	return slices.Contains(t.ScanTypes, s)
}

// OS is the operating system an image says it is, from its os-release file. All strings are printable.
type OS struct {
	// Family is ID of os-release ("debian", "rhel"); empty when the image names no operating system.
	Family string `json:"family,omitempty"`
	// Version is VERSION_ID ("12"), or BUILD_ID for distributions that only roll.
	Version string `json:"version,omitempty"`
	// Name is PRETTY_NAME, or NAME and Version.
	Name string `json:"name,omitempty"`
	// Codename is VERSION_CODENAME ("bookworm").
	Codename string `json:"codename,omitempty"`
	// CPE is CPE_NAME.
	CPE string `json:"cpe,omitempty"`
}

// Known tells whether the image names an operating system.
func (o OS) Known() bool { return o.Family != "" || o.Name != "" }

// Package is one installed package. All strings are printable; lists are sorted.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Type is the package URL's type ("deb", "pypi", "golang").
	Type string `json:"type"`
	// PURL is the package URL with qualifiers; never empty.
	PURL string `json:"purl"`
	// Ecosystem is OSV's name of the package's ecosystem ("Debian:12", "PyPI"); empty where OSV has none.
	Ecosystem string `json:"ecosystem,omitempty"`
	// SourceName and SourceVersion name the source package a binary package was built from, where it differs from the
	// package itself: Debian's, Ubuntu's and Alpine's advisories speak of source packages.
	SourceName    string `json:"sourceName,omitempty"`
	SourceVersion string `json:"sourceVersion,omitempty"`
	// Epoch is an RPM's epoch when it is not 0; it is no part of Version.
	Epoch string `json:"epoch,omitempty"`
	// Architecture as the package's own database spells it ("amd64", "x86_64").
	Architecture string `json:"architecture,omitempty"`
	// Licenses as the package declares them, not normalised; at most 16.
	Licenses []string `json:"licenses,omitempty"`
	// Locations are the files that told of the package, relative to the image's root; at most 16.
	Locations []string `json:"locations"`
	// FoundBy names the extractors that found it.
	FoundBy []string `json:"foundBy"`
}

// Secret is a place where a credential lies. The credential itself is kept nowhere.
type Secret struct {
	// Rule names the kind of credential ("github-token").
	Rule string `json:"rule"`
	// Path is relative to the image's root. Printable.
	Path string `json:"path"`
	// Line counts from 1; 0 when the whole file is the credential.
	Line int `json:"line,omitempty"`
}

// Warning is a part of the image the engine could not assess, and why.
type Warning struct {
	// Path is relative to the image's root; empty when the warning is about the whole image.
	Path string `json:"path,omitempty"`
	// Message says what could not be read and why. Printable, at most 512 bytes.
	Message string `json:"message"`
}

// Result is what a finished scan found.
type Result struct {
	// EngineVersion is the version of the engine itself.
	EngineVersion string
	OS            OS
	// Packages are sorted by type, name, version and package URL; a package URL appears once.
	Packages []Package
	// Findings are sorted: most severe first, then by vulnerability and package; a vulnerability is named once for an
	// unqualified package URL. Nil with Database nil means that nothing was matched, not that nothing was found.
	Findings []Finding
	// NotAssessed counts packages (Distinct) no advisory could be matched with: of an ecosystem the database has no data on, or of a
	// version that says nothing. It counts all packages when Database is nil.
	NotAssessed int
	// Database is what Findings were matched with; nil when there is none.
	Database *Database
	// Policy is the verdict of the engine's own policy: v1alpha1.ReasonPolicyDenied or ReasonPolicyAudit; empty when it
	// passed or none was asked for.
	Policy string
	// Secrets are sorted by path and line; at most 1,000. Nil means that nobody looked for them.
	Secrets []Secret
	// Documents maps a file name (InventoryFile, SPDXFile, …) to its content.
	Documents map[string][]byte
	// Unchanged names the documents of Target.AtHand that would be the same, but for the times and the database that they name.
	// They are not made.
	Unchanged []string
	// Warnings are sorted by path; at most MaxWarnings. A result with warnings about paths is partial.
	Warnings []Warning
	// DroppedWarnings counts the warnings beyond MaxWarnings.
	DroppedWarnings int
	// BytesRead counts bytes of file content read from the image.
	BytesRead int64
	// FilesVisited counts directory entries seen.
	FilesVisited int64
}

// Assessed tells whether packages were matched, at least one of them: no finding means that none is known only then.
func (r *Result) Assessed() bool {
	if len(r.Findings) > 0 {
		return true
	}
	packages := Distinct(r.Packages)
	return (r.Database != nil || r.Findings != nil) && (packages == 0 || r.NotAssessed < packages)
}

// MaxWarnings is the number of warnings a result keeps. A broken image has thousands of the same kind; fifty show what is
// wrong, and a report must stay small.
const MaxWarnings = 50
