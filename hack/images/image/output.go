package image

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// WriteArchive writes an index as an OCI archive, a tar file of an image layout, and replaces the file as a whole. reference is the
// name that containerd gives the image when it imports the archive.
func WriteArchive(file, reference string, index v1.ImageIndex) error {
	folder, err := os.MkdirTemp(filepath.Dir(file), ".layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	content := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: index,
		Descriptor: v1.Descriptor{Annotations: map[string]string{
			"io.containerd.image.name":          reference,
			"org.opencontainers.image.ref.name": reference,
		}},
	})
	if _, err := layout.Write(folder, content); err != nil {
		return err
	}
	archive, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	if err := errors.Join(pack(folder, archive), archive.Close()); err != nil {
		return errors.Join(err, os.Remove(file+".new"))
	}
	return os.Rename(file+".new", file)
}

// pack writes the files of a folder as a tar archive, index.json first: whoever asks what is in the archive reads no further.
func pack(folder string, archive io.Writer) error {
	writer := tar.NewWriter(archive)
	names := []string{"index.json"}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if name != names[0] {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := packFile(writer, filepath.Join(folder, name), filepath.ToSlash(name)); err != nil {
			return err
		}
	}
	return writer.Close()
}

func packFile(writer *tar.Writer, path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o644, ModTime: epoch, Typeflag: tar.TypeReg, Size: info.Size()}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(writer, file)
	return err
}

// WriteTree writes the files of an image into a new folder, for builders that copy a folder instead of reading an archive.
func WriteTree(folder string, files []File) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(folder, filepath.FromSlash(file.Path))
		write := func() error { return os.WriteFile(path, file.Data, file.Mode) }
		if file.Mode.IsDir() {
			write = func() error { return os.Mkdir(path, file.Mode.Perm()) }
		}
		// The mode again, because the umask had its say.
		if err := errors.Join(write(), os.Chmod(path, file.Mode)); err != nil {
			return err
		}
	}
	return nil
}
