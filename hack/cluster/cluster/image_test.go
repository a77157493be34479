package cluster

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

// unpack reads a tar archive.
func unpack(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePauseImageHoldsItsProgramUnderTheReferenceThatSandboxesUse(t *testing.T) {
	data, err := pauseArchive([]byte("program"))
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, data)
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || len(manifest[0].Layers) != 1 || len(manifest[0].RepoTags) != 1 || manifest[0].RepoTags[0] != pauseImage {
		t.Fatalf("manifest %+v", manifest)
	}
	layer := files[manifest[0].Layers[0]]
	if got := string(unpack(t, layer)["pause"]); got != "program" {
		t.Errorf("the program is %q", got)
	}
	digest := sha256.Sum256(layer)
	if config := files[manifest[0].Config]; !strings.Contains(string(config), hex.EncodeToString(digest[:])) {
		t.Errorf("the configuration does not name the layer: %s", config)
	}
}

func TestAnArchiveTellsWhichImagesItHolds(t *testing.T) {
	const index = `{"schemaVersion": 2, "manifests": [
		{"digest": "sha256:aa", "annotations": {"io.containerd.image.name": "sifscan.io/x:dev"}},
		{"digest": "sha256:bb"}]}`
	data, err := archive(map[string][]byte{"blob": nil, "index.json": []byte(index)}, "blob", "index.json")
	if err != nil {
		t.Fatal(err)
	}
	images, err := imagesIn(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if want := (archived{"sifscan.io/x:dev", "sha256:aa"}); len(images) != 1 || images[0] != want {
		t.Errorf("%v, want %v", images, want)
	}
}

func TestFilesThatAreNoOCIArchiveAreRefused(t *testing.T) {
	cases := map[string]map[string][]byte{
		"no index":                {"manifest.json": []byte("[]")},
		"an index that is broken": {"index.json": []byte("{")},
		"no image with a name":    {"index.json": []byte(`{"manifests": [{"digest": "sha256:aa"}]}`)},
	}
	for name, files := range cases {
		t.Run(name, func(t *testing.T) {
			var names []string
			for file := range files {
				names = append(names, file)
			}
			data, err := archive(files, names...)
			if err != nil {
				t.Fatal(err)
			}
			if images, err := imagesIn(bytes.NewReader(data)); err == nil {
				t.Errorf("it was read as %v", images)
			}
		})
	}
}

func TestAnImageIsOnTheNodeOnlyWithTheSameDigest(t *testing.T) {
	const table = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n" +
		"sifscan.io/x:dev application/vnd.oci.image.index.v1+json sha256:aa 4.8 MiB linux/amd64 io.cri-containerd.image=managed\n" +
		"sifscan.io/y:dev application/vnd.oci.image.index.v1+json sha256:bb 4.8 MiB linux/amd64 io.cri-containerd.image=managed\n"
	x, y := archived{"sifscan.io/x:dev", "sha256:aa"}, archived{"sifscan.io/y:dev", "sha256:bb"}
	cases := map[string]struct {
		images []archived
		want   bool
	}{
		"all are there":   {[]archived{x, y}, true},
		"one has changed": {[]archived{x, {y.reference, "sha256:cc"}}, false},
		"one is missing":  {[]archived{x, {"sifscan.io/z:dev", "sha256:aa"}}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := listed(table, c.images); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}
