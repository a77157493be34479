package native

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
)

// Bounds of an archive. scalibr's extractors read a manifest of any length line by line into memory, so that one megabyte
// of deflated text becomes a gigabyte, and Go's zip reader makes an object of 200 bytes for every entry of the directory.
const (
	// maxDirectory bounds a zip file's central directory: 350,000 entries of the usual length. The largest JARs in use have
	// 60,000.
	maxDirectory = 16 * mib
	// maxManifest bounds a file inside an archive that is parsed.
	maxManifest = 4 * mib
	// maxNesting is scalibr's own limit for archives inside archives.
	maxNesting = 16
)

// checkJava looks for what the Java extractor would not survive, also in the archives inside the archive.
func checkJava(_ string, r io.ReaderAt, size int64) error {
	left := int64(maxArchive)
	return checkZip(r, size, 1, &left)
}

// checkPython does the same for wheels and zipped eggs; the extractor's other files are text.
func checkPython(name string, r io.ReaderAt, size int64) error {
	if strings.HasSuffix(name, ".whl") || strings.HasSuffix(name, ".egg") {
		left := int64(maxArchive)
		return checkZip(r, size, 1, &left)
	}
	if size > maxText {
		return fmt.Errorf("it has %d bytes, and the limit is %d", size, maxText)
	}
	return nil
}

func checkZip(r io.ReaderAt, size int64, depth int, left *int64) error {
	if depth > maxNesting {
		return nil // the extractor goes no deeper either, and says so
	}
	if err := checkDirectory(r, size); err != nil {
		return err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return err
	}
	for _, f := range z.File {
		// Go's reader of an entry fails when there is more in it than its header claims, so the claim is a bound.
		claim := f.UncompressedSize64
		switch {
		case isManifest(f.Name) && claim > maxManifest:
			return fmt.Errorf("%s in it unpacks to %d bytes, and the limit is %d", path.Base(f.Name), claim, maxManifest)
		case archive.IsArchive(f.Name):
			if claim > uint64(*left) {
				return fmt.Errorf("the archives in it unpack to more than %d bytes", maxArchive)
			}
			*left -= int64(claim)
			inner, err := openEntry(r, f)
			if err != nil {
				continue // the extractor meets the same error and goes on with the other entries
			}
			if err := checkZip(inner, int64(claim), depth+1, left); err != nil && !errors.Is(err, zip.ErrFormat) {
				return fmt.Errorf("%s: %w", path.Base(f.Name), err)
			}
		}
	}
	return nil
}

// isManifest tells whether an extractor parses the entry.
func isManifest(name string) bool {
	base := strings.ToLower(path.Base(name))
	switch base {
	case "manifest.mf", "pom.properties", "pom.xml", "metadata", "pkg-info":
		return true
	}
	return strings.HasSuffix(base, ".egg-info")
}

// openEntry gives access to an archive inside the archive r: in place when it is stored as it is, as in most application
// archives, else unpacked.
func openEntry(r io.ReaderAt, f *zip.File) (io.ReaderAt, error) {
	if f.Method == zip.Store {
		at, err := f.DataOffset()
		return io.NewSectionReader(r, at, int64(f.UncompressedSize64)), err
	}
	unpack, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer unpack.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(unpack)
	return bytes.NewReader(data), err
}

// Layout of the end of a zip file (APPNOTE.TXT 4.3.14–4.3.16).
const (
	endSize          = 22
	endMaxComment    = 64<<10 - 1
	locatorSize      = 20
	end64Size        = 56
	endSignature     = "PK\x05\x06"
	locatorSignature = "PK\x06\x07"
	end64Signature   = "PK\x06\x06"
)

// checkDirectory refuses a central directory that is longer than maxDirectory, judging by where it begins: Go's reader
// reads entries from there until something else comes, whatever number of them the end record claims.
func checkDirectory(r io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, endSize+endMaxComment))
	if n, err := r.ReadAt(tail, size-int64(len(tail))); n < len(tail) {
		return err
	}
	at := bytes.LastIndex(tail, []byte(endSignature))
	if at < 0 || at+endSize > len(tail) {
		return zip.ErrFormat
	}
	end := size - int64(len(tail)) + int64(at)
	length := uint64(binary.LittleEndian.Uint32(tail[at+12:]))
	begin := uint64(binary.LittleEndian.Uint32(tail[at+16:]))
	if at >= locatorSize && string(tail[at-locatorSize:][:4]) == locatorSignature {
		var end64 [end64Size]byte
		if off := binary.LittleEndian.Uint64(tail[at-locatorSize+8:]); off < uint64(size) {
			if _, err := r.ReadAt(end64[:], int64(off)); err == nil && string(end64[:4]) == end64Signature {
				length = max(length, binary.LittleEndian.Uint64(end64[40:]))
				begin = min(begin, binary.LittleEndian.Uint64(end64[48:]))
			}
		}
	}
	if length > maxDirectory || begin < uint64(end) && uint64(end)-begin > maxDirectory {
		return fmt.Errorf("its list of files is longer than %d bytes", maxDirectory)
	}
	return nil
}
