package cluster

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// importTimeout bounds the import of one archive; hundreds of megabytes take seconds.
const importTimeout = 5 * time.Minute

// Load gives the images in OCI archives to the node of a cluster, each for the node's architecture and under the name that the
// archive carries. What the node has already is not imported again.
func Load(ctx context.Context, name, checkout string, archives []string, say Say) error {
	l, err := load(name)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", name, err)
	}
	p, err := ensurePrograms(ctx, checkout, say)
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := l.loadArchive(ctx, p, archive, say); err != nil {
			return fmt.Errorf("importing %s into cluster %s: %w", archive, name, err)
		}
	}
	return nil
}

func (l layout) loadArchive(ctx context.Context, p programs, archive string, say Say) error {
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	images, err := imagesIn(file)
	if err != nil {
		return err
	}
	have, err := l.ctr(ctx, p, nil, "images", "list")
	if err != nil {
		return err
	}
	if listed(string(have), images) {
		return nil
	}
	path, err := filepath.Abs(archive)
	if err != nil {
		return err
	}
	if _, err := l.ctr(ctx, p, nil, "images", "import", "--platform", "linux/"+runtime.GOARCH, path); err != nil {
		return err
	}
	for _, image := range images {
		say("imported %s", image.reference)
	}
	return nil
}

// archived is an image in an archive.
type archived struct{ reference, digest string }

// imagesIn reads the index of an OCI archive, where images/image puts it first.
func imagesIn(archive io.Reader) ([]archived, error) {
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it holds no index.json: not an OCI archive")
		}
		if err != nil {
			return nil, err
		}
		if header.Name == "index.json" {
			return parseIndex(io.LimitReader(reader, 1<<20))
		}
	}
}

func parseIndex(reader io.Reader) ([]archived, error) {
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.NewDecoder(reader).Decode(&index); err != nil {
		return nil, fmt.Errorf("reading its index.json: %w", err)
	}
	var images []archived
	for _, manifest := range index.Manifests {
		if name := manifest.Annotations["io.containerd.image.name"]; name != "" {
			images = append(images, archived{name, manifest.Digest})
		}
	}
	if len(images) == 0 {
		return nil, errors.New("no image in it has a name")
	}
	return images, nil
}

// listed reports whether "ctr images list" has all images under their names with their digests: columns REF TYPE DIGEST …
func listed(table string, images []archived) bool {
	have := map[archived]bool{}
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 2 {
			have[archived{fields[0], fields[2]}] = true
		}
	}
	for _, image := range images {
		if !have[image] {
			return false
		}
	}
	return true
}
