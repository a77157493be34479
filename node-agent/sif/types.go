package sif

import "fmt"

// DataType is what an object holds.
type DataType int32

// Data types of pkg/sif/sif.go.
const (
	DefinitionFile DataType = iota + 0x4001
	Environment
	Labels
	PartitionData
	SignatureData
	GenericJSON
	Generic
	CryptoMessage
	SBOM
	OCIRootIndex
	OCIBlob
)

func (t DataType) String() string {
	return name(int32(t), int32(DefinitionFile), "data type", "definition file", "environment", "labels", "partition", "signature",
		"JSON", "data", "cryptographic message", "SBOM", "OCI index", "OCI blob")
}

// FileSystem is the content of a partition.
type FileSystem int32

// File systems; the last one is Apptainer's own.
const (
	Squashfs FileSystem = iota + 1
	Ext3
	Archive
	Raw
	EncryptedSquashfs
	GocryptfsSquashfs
)

func (f FileSystem) String() string {
	return name(int32(f), 1, "file system", "squashfs", "ext3", "archive", "raw", "encrypted squashfs", "gocryptfs squashfs")
}

// PartitionType is what a partition is for.
type PartitionType int32

// Partition types. PrimarySystem is the one that runs.
const (
	System PartitionType = iota + 1
	PrimarySystem
	Data
	Overlay
)

func (p PartitionType) String() string {
	return name(int32(p), 1, "partition type", "system", "primary system", "data", "overlay")
}

// SBOMFormat is the format of an embedded SBOM. Its author made it, not we.
type SBOMFormat int32

func (f SBOMFormat) String() string {
	return name(int32(f), 1, "SBOM format", "cyclonedx-json", "cyclonedx-xml", "github-json", "spdx-json", "spdx-rdf", "spdx-tag-value", "spdx-yaml", "syft-json")
}

// name returns the name of value v, where the first name is that of value first.
func name(v, first int32, what string, names ...string) string {
	if i := int64(v) - int64(first); i >= 0 && i < int64(len(names)) {
		return names[i]
	}
	return fmt.Sprintf("unknown %s %d", what, v)
}

// architectures are Go's names for the two digits of the format.
var architectures = map[string]string{
	"01": "386", "02": "amd64", "03": "arm", "04": "arm64", "05": "ppc64", "06": "ppc64le", "07": "mips", "08": "mipsle",
	"09": "mips64", "10": "mips64le", "11": "s390x", "12": "riscv64", "13": "loong64",
}

// hashes are the names of the hash functions signatures use.
var hashes = [...]string{1: "SHA-256", 2: "SHA-384", 3: "SHA-512", 4: "BLAKE2s-256", 5: "BLAKE2b-256"}
