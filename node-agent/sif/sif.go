package sif

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	launchLen      = 32
	headerSize     = 128
	descriptorSize = 585
	nameAt         = 73
	nameLen        = 128
	extraAt        = nameAt + nameLen
	groupMask      = 0xf0000000

	// maxDescriptors bounds the table of contents to 9.6 MB. Apptainer makes
	// tables of 48; OCI-SIF files have one for each layer.
	maxDescriptors = 16384
)

// Magic stands behind the launch line, at offset 32.
const Magic = "SIF_MAGIC\x00"

// MagicOffset is where Magic stands.
const MagicOffset = launchLen

// Kind says what is wrong with a file.
type Kind uint8

const (
	// Corrupt: the file contradicts itself, the format or its own length.
	Corrupt Kind = iota + 1
	// Unsupported: the file may be valid, but this package does not read it.
	Unsupported
	// Shrunk: the file ended before an offset that lay inside of it when it was opened.
	Shrunk
)

// Error is a defect of a SIF file.
type Error struct {
	Kind Kind
	Msg  string
}

func (e *Error) Error() string { return "SIF: " + e.Msg }

func corrupt(format string, args ...any) error {
	return &Error{Corrupt, fmt.Sprintf(format, args...)}
}

// Image is the table of contents of a SIF file.
type Image struct {
	LaunchScript string // without padding: "#!/usr/bin/env run-singularity\n"
	Version      string // "01"
	Architecture string // of the header, as Go names it; "" when unknown
	ID           string // UUID
	Created      time.Time
	Modified     time.Time
	Objects      []Object // used descriptors, in their order

	src io.ReaderAt
}

// Object is one descriptor. Exactly one of the pointers is set where the type
// has properties of its own.
type Object struct {
	Type     DataType
	ID       uint32
	Group    uint32 // 0: none
	Linked   uint32 // id of the object it is about, or of the group; 0: none
	ToGroup  bool   // Linked is a group
	Name     string
	Offset   int64 // bytes from the start of the file, checked
	Size     int64 // bytes, checked
	Created  time.Time
	Modified time.Time

	Partition *Partition
	Signature *Signature
	SBOM      SBOMFormat // of type SBOM
	Digest    string     // of an OCI blob or index
}

// Partition is what a partition's descriptor says.
type Partition struct {
	FileSystem   FileSystem
	Type         PartitionType
	Architecture string // as Go names it; "" when unknown
}

// Signature is what a signature's descriptor says. It has not been verified.
type Signature struct {
	Hash        string
	Fingerprint string // of the key, 40 hex digits; "" when the signature names none
}

// Open reads the header and the descriptors of the file of size bytes, with two
// reads. Errors that are about the file are *Error; it is Corrupt when any
// object does not lie inside the file, which is how a cut-off copy shows.
func Open(src io.ReaderAt, size int64) (*Image, error) {
	if size < headerSize {
		return nil, corrupt("only %d bytes are there, a header alone has %d: an incomplete copy or download", max(size, 0), headerSize)
	}
	h := make([]byte, headerSize)
	if err := pread(src, h, 0); err != nil {
		return nil, err
	}
	if string(h[MagicOffset:MagicOffset+len(Magic)]) != Magic {
		return nil, corrupt("no SIF_MAGIC at offset %d", MagicOffset)
	}
	le := binary.LittleEndian
	img := &Image{
		LaunchScript: text(h[:launchLen]),
		Version:      text(h[42:45]),
		Architecture: architectures[text(h[45:48])],
		ID:           uuid(h[48:64]),
		Created:      unix(le.Uint64(h[64:])),
		Modified:     unix(le.Uint64(h[72:])),
		src:          src,
	}
	if img.Version != "01" {
		return nil, &Error{Unsupported, fmt.Sprintf("format version %q, only \"01\" is known", img.Version)}
	}
	return img, img.readDescriptors(int64(le.Uint64(h[88:])), int64(le.Uint64(h[96:])), size)
}

func (img *Image) readDescriptors(total, offset, size int64) error {
	switch {
	case total < 0:
		return corrupt("the header claims %d descriptors", total)
	case offset < headerSize || offset > size:
		return corrupt("the descriptors are said to start at %d of %d bytes", offset, size)
	case total > (size-offset)/descriptorSize:
		return corrupt("the header claims %d descriptors at %d, which the file's %d bytes cannot hold: an incomplete copy or download", total, offset, size)
	case total > maxDescriptors:
		return &Error{Unsupported, fmt.Sprintf("%d descriptors, more than %d", total, maxDescriptors)}
	}
	table := make([]byte, total*descriptorSize)
	if err := pread(img.src, table, offset); err != nil {
		return err
	}
	ids := make(map[uint32]bool)
	primary := 0
	for ; len(table) > 0; table = table[descriptorSize:] {
		if table[4] == 0 { // not used
			continue
		}
		o := parseDescriptor(table[:descriptorSize])
		if o.Offset < headerSize || o.Size < 0 || o.Offset > size || o.Size > size-o.Offset {
			return corrupt("the %s with id %d has %d bytes at offset %d, but the file ends at %d: an incomplete copy or download",
				o.Type, o.ID, o.Size, o.Offset, size)
		}
		if ids[o.ID] {
			return corrupt("two objects have the id %d", o.ID)
		}
		ids[o.ID] = true
		if o.Partition != nil && o.Partition.Type == PrimarySystem {
			if primary++; primary > 1 {
				return corrupt("two primary system partitions")
			}
		}
		img.Objects = append(img.Objects, o)
	}
	return nil
}

func parseDescriptor(d []byte) Object {
	le := binary.LittleEndian
	o := Object{
		Type:     DataType(le.Uint32(d)),
		ID:       le.Uint32(d[5:]),
		Group:    le.Uint32(d[9:]) &^ groupMask,
		Linked:   le.Uint32(d[13:]) &^ groupMask,
		ToGroup:  le.Uint32(d[13:])&groupMask != 0,
		Offset:   int64(le.Uint64(d[17:])),
		Size:     int64(le.Uint64(d[25:])),
		Created:  unix(le.Uint64(d[41:])),
		Modified: unix(le.Uint64(d[49:])),
		Name:     text(d[nameAt : nameAt+nameLen]),
	}
	extra := d[extraAt:]
	switch o.Type {
	case PartitionData:
		o.Partition = &Partition{
			FileSystem:   FileSystem(le.Uint32(extra)),
			Type:         PartitionType(le.Uint32(extra[4:])),
			Architecture: architectures[text(extra[8:11])],
		}
	case SignatureData:
		o.Signature = parseSignature(extra)
	case SBOM:
		o.SBOM = SBOMFormat(le.Uint32(extra))
	case OCIRootIndex, OCIBlob:
		o.Digest = text(extra)
	}
	return o
}

func parseSignature(extra []byte) *Signature {
	const fingerprintLen = 20 // of an OpenPGP v4 key
	s := &Signature{}
	if h := binary.LittleEndian.Uint32(extra); int(h) < len(hashes) {
		s.Hash = hashes[h]
	}
	entity := extra[4 : 4+fingerprintLen]
	if !bytes.Equal(entity, make([]byte, fingerprintLen)) {
		s.Fingerprint = hex.EncodeToString(entity)
	}
	return s
}

// PrimarySystem returns the partition that runs, or nil: OCI-SIF files have none.
func (img *Image) PrimarySystem() *Object {
	for i := range img.Objects {
		if p := img.Objects[i].Partition; p != nil && p.Type == PrimarySystem {
			return &img.Objects[i]
		}
	}
	return nil
}

// First returns the first object of a type, or nil.
func (img *Image) First(t DataType) *Object {
	for i := range img.Objects {
		if img.Objects[i].Type == t {
			return &img.Objects[i]
		}
	}
	return nil
}

// Read returns the content of a small object. More than limit bytes is an error.
func (img *Image) Read(o *Object, limit int64) ([]byte, error) {
	if o.Size > limit {
		return nil, &Error{Unsupported, fmt.Sprintf("the %s with id %d has %d bytes, more than %d", o.Type, o.ID, o.Size, limit)}
	}
	b := make([]byte, o.Size)
	return b, pread(img.src, b, o.Offset)
}

func pread(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Shrunk, fmt.Sprintf("the file became shorter while it was read: %d bytes at offset %d are gone", len(p)-n, off+int64(n))}
	}
	return fmt.Errorf("SIF: read %d bytes at offset %d: %w", len(p), off, err)
}

// text is a field of fixed length up to its first NUL.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// unix returns the zero time for what no calendar can print: encoding/json
// refuses a whole document for one year above 9999.
func unix(seconds uint64) time.Time {
	const year10000 = 253402300800
	if seconds == 0 || seconds >= year10000 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

func uuid(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
