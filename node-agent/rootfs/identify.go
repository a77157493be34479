package rootfs

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sifscan/sifscan-operator/node-agent/sif"
	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

const (
	// probeSize holds the magic numbers, at most a launch line away from the start.
	probeSize = 4096

	// Apptainer's launch line is 31 bytes; kernels read no longer one than 256.
	maxLaunchLine = 256

	ext3MagicOffset = 1080
	ext3Magic       = 0xef53
	luksMagic       = "LUKS\xba\xbe"

	// Text objects of a SIF that are kept. Larger ones are named in Notes.
	maxTextObject = 256 << 10
	maxLabels     = 1000
	maxNotes      = 10
)

// identify recognises the image by its content and fills in everything but the
// root file system's structure.
func (img *Image) identify(size int64) error {
	img.info.SizeBytes = size
	if size == 0 {
		return corrupt("the file is empty: an incomplete copy or download")
	}
	probe := make([]byte, min(size, probeSize))
	if n, err := img.src.ReadAt(probe, 0); n < len(probe) {
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the image's first bytes: %w", err)
		}
		return &Error{Reason: ReasonChanging, Message: "the file became shorter while it was opened"}
	}
	if hasAt(probe, sif.MagicOffset, sif.Magic) {
		return img.openSIF(size)
	}
	line := launchLine(probe)
	img.info.LaunchLine = strings.TrimRight(string(line), "\n")
	start := int64(len(line))
	switch rest := probe[start:]; {
	case hasAt(rest, 0, squashfs.Magic), hasAt(rest, 0, "sqsh"):
		img.info.Format = FormatSquashfs
		return img.openSquashfs(start, size-start)
	case isExt(rest):
		img.info.Format = FormatExt3
		img.unreadable = unsupported("an ext3 image: mounting it would let its author attack the kernel (CVE-2023-30549); rebuild it as SIF with \"apptainer build new.sif old.img\"")
		return nil
	}
	return notAnImage(probe)
}

func hasAt(b []byte, off int, magic string) bool {
	return len(b) >= off+len(magic) && string(b[off:off+len(magic)]) == magic
}

func isExt(b []byte) bool {
	return len(b) >= ext3MagicOffset+2 && binary.LittleEndian.Uint16(b[ext3MagicOffset:]) == ext3Magic
}

// launchLine returns the line by which images of Singularity 2 start themselves, or nothing.
func launchLine(b []byte) []byte {
	if !bytes.HasPrefix(b, []byte("#!")) {
		return nil
	}
	end := bytes.IndexByte(b[:min(len(b), maxLaunchLine)], '\n')
	if end < 0 || !bytes.Contains(b[:end], []byte("run-singularity")) {
		return nil
	}
	return b[:end+1]
}

// notAnImage names what else a file is, as far as its owner may have confused it.
func notAnImage(b []byte) error {
	for _, known := range []struct {
		off   int
		magic string
		what  string
	}{
		{0, "\x1f\x8b", "a gzip file, perhaps an image archive"},
		{257, "ustar", "a tar archive, perhaps of an OCI or Docker image"},
		{0, "PK\x03\x04", "a zip file"},
		{0, "\x7fELF", "an executable"},
		{0, luksMagic, "an encrypted (LUKS) volume"},
		{0, "\xfd7zXZ", "an xz file"},
		{0, "\x28\xb5\x2f\xfd", "a zstd file"},
		{0, "version https://git-lfs", "a Git LFS pointer: the image itself was not checked out"},
		{0, "<!DOCTYPE", "an HTML page, perhaps of a failed download"},
		{0, "<html", "an HTML page, perhaps of a failed download"},
		{0, "#!", "a script"},
	} {
		if hasAt(b, known.off, known.magic) {
			return unsupported("not a container image but %s", known.what)
		}
	}
	if len(bytes.Trim(b, "\x00")) == 0 {
		return corrupt("the file begins with %d zero bytes: an incomplete copy or download", len(b))
	}
	if utf8.Valid(b[:min(len(b), 64)]) {
		return unsupported("not a container image: begins with the text %q", b[:min(len(b), 32)])
	}
	return unsupported("not a container image: neither SIF nor SquashFS, begins with the bytes % x", b[:min(len(b), 8)])
}

// openSquashfs opens the root file system of size bytes at off.
func (img *Image) openSquashfs(off, size int64) error {
	r, err := squashfs.New(io.NewSectionReader(img.src, off, size), size)
	var defect *squashfs.Error
	if errors.As(err, &defect) && defect.Kind == squashfs.Unsupported {
		img.unreadable = translate(err).(*Error)
		return nil
	}
	if err != nil {
		return err
	}
	sb := r.Superblock()
	img.sqfs = r
	img.info.Compression = sb.Compression.String()
	img.info.BlockSize = int64(sb.BlockSize)
	img.info.Inodes = int64(sb.InodeCount)
	if img.info.Created == nil {
		img.info.Created = optionalTime(sb.MakeTime)
	}
	return nil
}

func (img *Image) openSIF(size int64) error {
	s, err := sif.Open(img.src, size)
	if err != nil {
		return err
	}
	img.info.Format = FormatSIF
	img.info.Architecture = s.Architecture
	img.info.Created = optionalTime(s.Created)
	img.info.LaunchLine = strings.TrimRight(s.LaunchScript, "\n")
	for i := range s.Objects {
		if err := img.describe(s, &s.Objects[i]); err != nil {
			return err
		}
	}
	primary := s.PrimarySystem()
	if primary == nil {
		img.refuseWithoutSystem(s)
		return nil
	}
	if a := primary.Partition.Architecture; a != "" {
		img.info.Architecture = a
	}
	img.findOverlays(s, primary)
	switch fs := primary.Partition.FileSystem; fs {
	case sif.Squashfs:
		return img.openSquashfs(primary.Offset, primary.Size)
	case sif.EncryptedSquashfs, sif.GocryptfsSquashfs:
		img.unreadable = unsupported("the system partition is encrypted (%s): its packages can be seen by whoever has the key; scan the image before it is encrypted", fs)
	case sif.Ext3:
		img.unreadable = unsupported("the system partition is ext3: rebuild the image with \"apptainer build\", which makes SquashFS")
	default:
		img.unreadable = unsupported("the system partition holds %s, only squashfs is read", fs)
	}
	return nil
}

// describe takes what inspect and reports show of an object.
func (img *Image) describe(s *sif.Image, o *sif.Object) error {
	switch o.Type {
	case sif.PartitionData:
		img.info.Partitions = append(img.info.Partitions, Partition{ID: o.ID, Group: o.Group, Type: o.Partition.Type.String(),
			FileSystem: o.Partition.FileSystem.String(), Architecture: o.Partition.Architecture, Name: o.Name, Offset: o.Offset, SizeBytes: o.Size})
	case sif.SignatureData:
		signs := fmt.Sprintf("object %d", o.Linked)
		if o.ToGroup {
			signs = fmt.Sprintf("group %d", o.Linked)
		}
		img.info.Signatures = append(img.info.Signatures, Signature{Fingerprint: o.Signature.Fingerprint, Hash: o.Signature.Hash, Signs: signs})
	case sif.SBOM:
		img.info.SBOMs = append(img.info.SBOMs, SBOM{ID: o.ID, Format: o.SBOM.String(), SizeBytes: o.Size})
	case sif.OCIBlob, sif.OCIRootIndex:
		img.info.Layers = append(img.info.Layers, o.Digest)
	case sif.DefinitionFile, sif.Labels:
		if o != s.First(o.Type) { // thousands of descriptors can name one large text
			img.note("a further %s with id %d is not shown", o.Type, o.ID)
			return nil
		}
		text, err := s.Read(o, maxTextObject)
		var defect *sif.Error
		if errors.As(err, &defect) && defect.Kind == sif.Unsupported {
			img.note("%s", defect.Msg)
			return nil
		}
		if err != nil {
			return err
		}
		if o.Type == sif.DefinitionFile {
			img.info.DefinitionFile = string(bytes.TrimRight(text, "\x00"))
		} else {
			img.addLabels(bytes.TrimRight(text, "\x00"))
		}
	}
	return nil
}

// note keeps what is odd and does not matter, the first few times.
func (img *Image) note(format string, args ...any) {
	if len(img.info.Notes) < maxNotes {
		img.info.Notes = append(img.info.Notes, fmt.Sprintf(format, args...))
	}
}

// addLabels reads a flat JSON object. Values that are not text keep their JSON.
func (img *Image) addLabels(text []byte) {
	var labels map[string]json.RawMessage
	if err := json.Unmarshal(text, &labels); err != nil {
		img.note("the labels are not a JSON object: %v", err)
		return
	}
	if len(labels) > maxLabels {
		img.note("%d labels, more than %d: left out", len(labels), maxLabels)
		return
	}
	if img.info.Labels == nil {
		img.info.Labels = make(map[string]string, len(labels))
	}
	for k, raw := range labels {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		img.info.Labels[k] = s
	}
}

func (img *Image) refuseWithoutSystem(s *sif.Image) {
	if s.First(sif.OCIRootIndex) != nil {
		img.info.Format = FormatOCI
		img.unreadable = unsupported("an OCI-SIF (made by SingularityCE --oci), which holds layers and no system partition; build a SIF from the same source, or scan the OCI image")
		return
	}
	img.unreadable = unsupported("a SIF without a primary system partition: nothing in it can run as a container")
}

// findOverlays sets incomplete where an overlay in the image changes what runs.
// Only partitions of the same group as the system are mounted with it.
func (img *Image) findOverlays(s *sif.Image, primary *sif.Object) {
	for i := range s.Objects {
		o := &s.Objects[i]
		if o.Partition == nil || o.Partition.Type != sif.Overlay || o.Group != primary.Group {
			continue
		}
		img.incomplete = &Error{Reason: ReasonIncomplete, Message: fmt.Sprintf(
			"the overlay partition with id %d (%s, %d bytes) is not read: packages it adds, changes or removes are not seen; rebuild the image with these changes in its definition file",
			o.ID, o.Partition.FileSystem, o.Size)}
		return
	}
}
