package sif

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

const fingerprint = "12045c8c0b1004d058de4beda20c27ee7ff7ba84"

// sample returns a SIF with an object of every kind.
func sample(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	partition, path := filepath.Join(dir, "partition"), filepath.Join(dir, "x.sif")
	if err := os.WriteFile(partition, []byte("hsqs, or so"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := fixtures.NewSIF("arm64").Definition("Bootstrap: docker\n").System(partition).
		Partition(fixtures.FSExt3, fixtures.PartOverlay, 1, partition).
		Labels(map[string]string{"a": "b"}).Signature(fingerprint).SBOM(`{"spdxVersion": "SPDX-2.3"}`).OCI("{}", "blob").Write(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openBytes(b []byte) (*Image, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func TestEveryKindOfObjectIsRead(t *testing.T) {
	img, err := openBytes(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if img.Version != "01" || img.Architecture != "arm64" || img.LaunchScript != "#!/usr/bin/env run-singularity\n" ||
		!img.Created.Equal(fixtures.Epoch) || img.ID != "66697874-7572-652d-6669-78747572652d" {
		t.Errorf("header: %+v", img)
	}
	var kinds []string
	for _, o := range img.Objects {
		kinds = append(kinds, o.Type.String())
	}
	if got := strings.Join(kinds, ", "); got != "definition file, partition, partition, labels, signature, SBOM, OCI index, OCI blob" {
		t.Errorf("objects: %s", got)
	}
	p := img.PrimarySystem()
	if p == nil || *p.Partition != (Partition{Squashfs, PrimarySystem, "arm64"}) || p.Group != 1 {
		t.Errorf("primary system: %+v", p)
	}
	if o := img.Objects[2].Partition; o.Type != Overlay || o.FileSystem != Ext3 {
		t.Errorf("overlay: %+v", o)
	}
	if s := img.First(SignatureData); s.Signature.Fingerprint != fingerprint || s.Signature.Hash != "SHA-256" || !s.ToGroup || s.Linked != 1 {
		t.Errorf("signature: %+v %+v", s, s.Signature)
	}
	if s := img.First(SBOM); s.SBOM.String() != "spdx-json" {
		t.Errorf("SBOM: %v", s.SBOM)
	}
	if o := img.First(OCIRootIndex); o.Digest != "sha256:"+strings.Repeat("a", 64) {
		t.Errorf("OCI index: %q", o.Digest)
	}
	text, err := img.Read(img.First(DefinitionFile), 1000)
	if err != nil || string(text) != "Bootstrap: docker\n" {
		t.Errorf("definition file: %q, %v", text, err)
	}
	if _, err := img.Read(img.First(DefinitionFile), 5); err == nil {
		t.Error("an object larger than the limit was read")
	}
}

// put overwrites 8 bytes, little-endian.
func put(at int, v uint64) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint64(b[at:], v) }
}

func TestAHostileHeaderIsRefusedBeforeAnythingIsAllocated(t *testing.T) {
	const total, offset = 88, 96
	const descriptor = headerSize + descriptorSize // of the system partition
	good := sample(t)
	for _, test := range []struct {
		name  string
		spoil func([]byte)
		says  string
	}{
		{"-1 descriptors", put(total, 1<<64-1), "-1 descriptors"},
		{"2^40 descriptors", put(total, 1<<40), "cannot hold"},
		{"2^63-1 descriptors", put(total, 1<<63-1), "cannot hold"},
		{"descriptors at a negative offset", put(offset, 1<<63), "said to start"},
		{"descriptors in the header", put(offset, 100), "said to start"},
		{"descriptors behind the end", put(offset, 1<<40), "said to start"},
		{"an object at a negative offset", put(descriptor+17, 1<<63), "incomplete copy"},
		{"an object in the header", put(descriptor+17, 0), "incomplete copy"},
		{"an object of negative size", put(descriptor+25, 1<<63), "incomplete copy"},
		{"an object whose end overflows", put(descriptor+25, 1<<63-1), "incomplete copy"},
		{"an object behind the end", put(descriptor+17, 1<<40), "incomplete copy"},
		{"two objects with one id", put(descriptor+5, 1|1<<32), "two objects have the id 1"},
		{"two primary systems", put(descriptor+descriptorSize+201, fixtures.FSSquashfs|fixtures.PartPrimary<<32), "two primary system"},
		{"no magic", put(MagicOffset, 0), "no SIF_MAGIC"},
		{"version 09", put(42, 0x3930), `version "09"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := bytes.Clone(good)
			test.spoil(b)
			start := time.Now()
			var err error
			bytesPerRun := allocatedBy(func() { _, err = openBytes(b) })
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error that says %q", err, test.says)
			}
			if took := time.Since(start); took > 100*time.Millisecond || bytesPerRun > 256<<10 {
				t.Errorf("took %v and %d bytes", took, bytesPerRun)
			}
		})
	}
}

// allocatedBy returns how many bytes f allocates.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAFileCutOffAnywhereIsCorrupt(t *testing.T) {
	good := sample(t)
	img, err := openBytes(good)
	if err != nil {
		t.Fatal(err)
	}
	last := img.Objects[len(img.Objects)-1]
	for n := int64(0); n < last.Offset+last.Size; n += 97 {
		_, err := openBytes(good[:n])
		var e *Error
		if !errors.As(err, &e) || e.Kind != Corrupt || !strings.Contains(err.Error(), "incomplete copy") {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestTimesNoCalendarHasAreZero(t *testing.T) {
	b := sample(t)
	put(64, 1<<62)(b)
	img, err := openBytes(b)
	if err != nil || !img.Created.IsZero() {
		t.Errorf("%v, %v", img.Created, err)
	}
}

func FuzzOpen(f *testing.F) {
	good := sample(f)
	f.Add(good)
	f.Add(good[:headerSize+3*descriptorSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := openBytes(b)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Errorf("an error that is not about the file: %v", err)
			}
			return
		}
		for i := range img.Objects {
			o := &img.Objects[i]
			if text, err := img.Read(o, 64<<10); err == nil && int64(len(text)) != o.Size {
				t.Errorf("object %d of %d bytes: %d read", o.ID, o.Size, len(text))
			}
		}
	})
}
