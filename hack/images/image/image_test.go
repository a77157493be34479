package image

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// program compiles a program for an architecture.
func program(t *testing.T, architecture string) []byte {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example\n\ngo 1.26.0\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("go", "build", "-trimpath", "-o", "program", ".")
	command.Dir = folder
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	data, err := os.ReadFile(filepath.Join(folder, "program"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// zones is a time zone database with one zone.
func zones(t *testing.T) []byte {
	t.Helper()
	var data bytes.Buffer
	writer := zip.NewWriter(&data)
	file, err := writer.Create("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("TZif")); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

func base(t *testing.T) []File {
	t.Helper()
	files, err := Base(zones(t))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func find(t *testing.T, files []File, path string) File {
	t.Helper()
	index := slices.IndexFunc(files, func(f File) bool { return f.Path == path })
	if index < 0 {
		t.Fatalf("%s is missing", path)
	}
	return files[index]
}

func TestAnImageHoldsWhatProgramsExpectOfASystem(t *testing.T) {
	files := base(t)
	if got := string(find(t, files, "usr/share/zoneinfo/Europe/Berlin").Data); got != "TZif" {
		t.Errorf("the time zone is %q", got)
	}
	if mode := find(t, files, "tmp").Mode; mode != fs.ModeDir|fs.ModeSticky|0o777 {
		t.Errorf("tmp has mode %v", mode)
	}
	pool := x509.NewCertPool()
	bundle := find(t, files, "etc/ssl/certs/ca-certificates.crt").Data
	if !pool.AppendCertsFromPEM(bundle) || bytes.Count(bundle, []byte("BEGIN CERTIFICATE")) < 50 {
		t.Error("there are too few authorities")
	}
	for rest := bundle; len(rest) > 0; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Errorf("an authority cannot be read: %v", err)
		}
	}
}

func TestDirectoriesComeBeforeWhatIsInThem(t *testing.T) {
	seen := map[string]bool{".": true}
	for _, file := range base(t) {
		if parent := filepath.Dir(file.Path); !seen[parent] {
			t.Errorf("%s comes before %s", file.Path, parent)
		}
		seen[file.Path] = true
	}
}

func TestTheSameProgramsMakeTheSameImage(t *testing.T) {
	programs := map[string][]byte{"amd64": program(t, "amd64"), "arm64": program(t, "arm64")}
	make := func() (archive [sha256.Size]byte) {
		index, err := All[0].Index(base(t), Architectures(), programs)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := WriteArchive(file, "sifscan.io/x:dev", index); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(data)
	}
	first := make()
	if second := make(); second != first {
		t.Error("two archives differ")
	}
}

func TestAnArchiveIsAValidLayoutOfTheImageUnderItsReference(t *testing.T) {
	programs := map[string][]byte{"amd64": program(t, "amd64")}
	index, err := All[0].Index(base(t), []string{"amd64"}, programs)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := WriteArchive(file, "sifscan.io/x:dev", index); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if output, err := exec.Command("tar", "-xf", file, "-C", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	content, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(content); err != nil {
		t.Error(err)
	}
	manifest, err := content.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Manifests[0]; got.Digest != digest || got.Annotations["io.containerd.image.name"] != "sifscan.io/x:dev" {
		t.Errorf("the archive holds %+v, want %s", got, digest)
	}
}

func TestEachArchitectureGetsItsProgramAndRunsWithoutPrivileges(t *testing.T) {
	programs := map[string][]byte{"amd64": program(t, "amd64"), "arm64": program(t, "arm64")}
	index, err := All[1].Index(base(t), Architectures(), programs)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 2 {
		t.Fatalf("%d images", len(manifest.Manifests))
	}
	for _, descriptor := range manifest.Manifests {
		image, err := index.Image(descriptor.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != descriptor.Platform.Architecture || config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/node-agent"}) {
			t.Errorf("configuration %+v of %s", config, descriptor.Platform)
		}
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		content, err := layers[len(layers)-1].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		reader := tar.NewReader(content)
		header, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(reader)
		if err != nil || header.Name != "node-agent" || header.Mode != 0o755 || !bytes.Equal(data, programs[config.Architecture]) {
			t.Errorf("%s with mode %o and %d bytes for %s, error %v", header.Name, header.Mode, len(data), config.Architecture, err)
		}
	}
}

func TestAnImageOfAProgramAloneHoldsNothingElse(t *testing.T) {
	architecture := hostArchitecture(t)
	engine := Image{Name: "engine", Program: "engine"}
	index, err := engine.Index(nil, []string{architecture}, map[string][]byte{architecture: program(t, architecture)})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	made, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := made.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	reader := tar.NewReader(content)
	if header, err := reader.Next(); err != nil || header.Name != "engine" {
		t.Errorf("first is %v, %v", header, err)
	}
	if _, err := reader.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("there is more: %v", err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := engine.DigestReference(digest), "sifscan.io/engine@"+digest.String(); got != want {
		t.Errorf("reference %s, want %s", got, want)
	}
}

func TestProgramsThatWouldNotRunInTheImageAreRefused(t *testing.T) {
	dynamic, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip("there is no dynamically linked program here")
	}
	amd64 := program(t, "amd64")
	cases := map[string]struct {
		program      []byte
		architecture string
		want         string
	}{
		"of another architecture":     {amd64, "arm64", "set GOARCH"},
		"for an unknown one":          {amd64, "mips", "unknown"},
		"that needs a dynamic linker": {dynamic, hostArchitecture(t), "CGO_ENABLED=0"},
		"that is a script":            {[]byte("#!/bin/sh\n"), "amd64", "not a Linux program"},
		"that is empty":               {nil, "amd64", "not a Linux program"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := All[0].Index(nil, []string{c.architecture}, map[string][]byte{c.architecture: c.program})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func hostArchitecture(t *testing.T) string {
	t.Helper()
	output, err := exec.Command("go", "env", "GOHOSTARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

func TestAFolderGetsTheFilesOfTheImage(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "root")
	files := append(base(t), File{Path: "manager", Mode: 0o755, Data: []byte("program")})
	if err := WriteTree(folder, files); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(filepath.Join(folder, file.Path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != file.Mode {
			t.Errorf("%s has mode %v, want %v", file.Path, info.Mode(), file.Mode)
		}
	}
	if err := WriteTree(folder, files); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that was there: error %v", err)
	}
}
