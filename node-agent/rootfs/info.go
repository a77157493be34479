package rootfs

import "time"

// Formats of images.
const (
	FormatSIF       = "sif"
	FormatOCI       = "oci" // OCI-SIF
	FormatSquashfs  = "squashfs"
	FormatExt3      = "ext3"
	FormatSandbox   = "sandbox"   // a directory made by apptainer build --sandbox
	FormatDirectory = "directory" // any other directory
)

// Info is what an image says about itself. Nothing in it is verified, and every
// text is the image author's: escape it where it is printed.
type Info struct {
	Format       string     `json:"format"`
	Architecture string     `json:"architecture,omitempty"` // as Go names it
	Created      *time.Time `json:"created,omitempty"`
	SizeBytes    int64      `json:"sizeBytes,omitempty"`
	LaunchLine   string     `json:"launchLine,omitempty"`

	// Of the root file system, where it is SquashFS.
	Compression string `json:"compression,omitempty"`
	BlockSize   int64  `json:"blockSize,omitempty"`
	Inodes      int64  `json:"inodes,omitempty"`

	Partitions     []Partition       `json:"partitions,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Signatures     []Signature       `json:"signatures,omitempty"`
	SBOMs          []SBOM            `json:"sboms,omitempty"`
	Layers         []string          `json:"layers,omitempty"` // digests, of OCI-SIF
	DefinitionFile string            `json:"definitionFile,omitempty"`
	Notes          []string          `json:"notes,omitempty"` // what was found odd and did not matter
}

// Partition is a partition of a SIF file.
type Partition struct {
	ID           uint32 `json:"id"`
	Group        uint32 `json:"group,omitempty"`
	Type         string `json:"type"`
	FileSystem   string `json:"fileSystem"`
	Architecture string `json:"architecture,omitempty"`
	Name         string `json:"name,omitempty"`
	Offset       int64  `json:"offset"`
	SizeBytes    int64  `json:"sizeBytes"`
}

// Signature is a signature that is there. It has not been verified.
type Signature struct {
	Fingerprint string `json:"fingerprint,omitempty"` // of the key, hexadecimal
	Hash        string `json:"hash,omitempty"`
	Signs       string `json:"signs"` // "object 3", "group 1"
}

// SBOM is a list of packages that the image's author put into it.
type SBOM struct {
	ID        uint32 `json:"id"`
	Format    string `json:"format"`
	SizeBytes int64  `json:"sizeBytes"`
}
