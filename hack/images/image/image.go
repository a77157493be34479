package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of everything in an image: one that depends on when it was built is never built twice.
var epoch = time.Unix(0, 0).UTC()

// Image describes an image for several architectures.
type Image struct {
	Name    string // last part of the reference
	Program string // name of the program, at the root of the image
	Title   string
}

// All lists the images of the project.
var All = []Image{
	{Name: "sifscan-operator", Program: "manager", Title: "SIFScan Operator"},
	{Name: "sifscan-node-agent", Program: "node-agent", Title: "SIFScan node agent"},
}

// Reference is the name that pods use. It has no registry that answers, so a missing image is never fetched from a stranger.
func (i Image) Reference(tag string) string { return "sifscan.io/" + i.Name + ":" + tag }

// DigestReference is a name that only this content can have.
func (i Image) DigestReference(digest v1.Hash) string {
	return "sifscan.io/" + i.Name + "@" + digest.String()
}

// Index makes an image for each architecture, from its static program (by GOARCH), and an index of them in the order given.
func (i Image) Index(base []File, architectures []string, programs map[string][]byte) (v1.ImageIndex, error) {
	var shared []v1.Layer
	if len(base) > 0 {
		l, err := layer(base)
		if err != nil {
			return nil, err
		}
		shared = append(shared, l)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range architectures {
		program := programs[architecture]
		if err := checkProgram(program, architecture); err != nil {
			return nil, fmt.Errorf("%s for %s: %w", i.Program, architecture, err)
		}
		own, err := layer([]File{{Path: i.Program, Mode: 0o755, Data: program}})
		if err != nil {
			return nil, err
		}
		image, err := i.image(architecture, append(slices.Clone(shared), own)...)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	return index, nil
}

// image makes the image for one architecture.
func (i Image) image(architecture string, layers ...v1.Layer) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var additions []mutate.Addendum
	for _, l := range layers {
		additions = append(additions, mutate.Addendum{
			Layer: l, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "hack/images"},
		})
	}
	image, err := mutate.Append(image, additions...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", architecture, v1.Time{Time: epoch}
	config.Config = v1.Config{
		User:       user,
		Entrypoint: []string{"/" + i.Program},
		Env:        []string{"PATH=/"},
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    i.Title,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(image, config)
}

// layer makes an OCI layer.
func layer(files []File) (v1.Layer, error) {
	content, err := layerTar(files)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
}

// layerTar writes files in the order given, all of them root's and as old as the epoch.
func layerTar(files []File) ([]byte, error) {
	var content bytes.Buffer
	writer := tar.NewWriter(&content)
	for _, file := range files {
		header := &tar.Header{
			Name: file.Path, Mode: tarMode(file.Mode), ModTime: epoch, Format: tar.FormatPAX,
			Typeflag: tar.TypeReg, Size: int64(len(file.Data)),
		}
		if file.Mode.IsDir() {
			header.Typeflag, header.Name = tar.TypeDir, file.Path+"/"
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(file.Data); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return content.Bytes(), err
}

// tarMode is the mode as tar and Unix write it: Go keeps the sticky bit elsewhere.
func tarMode(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
