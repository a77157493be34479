package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// pauseImage is the reference that containerd is configured to make the sandbox of every pod from. No registry has it.
const pauseImage = "sifscan.io/pause:dev"

// pauseArchive is an image in docker-archive format with one static program and nothing else.
func pauseArchive(program []byte) ([]byte, error) {
	layer, err := archive(map[string][]byte{"pause": program}, "pause")
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": []string{"/pause"}, "User": "65535:65535"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest[:])}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{
		{"Config": "config.json", "RepoTags": []string{pauseImage}, "Layers": []string{"layer.tar"}},
	})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"layer.tar": layer, "config.json": config, "manifest.json": manifest}
	return archive(files, "layer.tar", "config.json", "manifest.json")
}

// archive makes a tar file of the named files in that order.
func archive(files map[string][]byte, names ...string) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, name := range names {
		header := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(files[name]); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return buffer.Bytes(), err
}

// importPause gives containerd the pause image unless it has it.
func (l layout) importPause(ctx context.Context, p programs) error {
	have, err := l.ctr(ctx, p, nil, "images", "list", "--quiet", "name=="+pauseImage)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(have)) == pauseImage {
		return nil
	}
	program, err := os.ReadFile(p.pause)
	if err != nil {
		return err
	}
	image, err := pauseArchive(program)
	if err != nil {
		return err
	}
	_, err = l.ctr(ctx, p, image, "images", "import", "-")
	return err
}

// ctr runs containerd's own client in the namespace of Kubernetes.
func (l layout) ctr(ctx context.Context, p programs, input []byte, arguments ...string) ([]byte, error) {
	arguments = append([]string{"--address", l.containerdSocket(), "--namespace", "k8s.io"}, arguments...)
	command := exec.CommandContext(ctx, p.containerd("ctr"), arguments...)
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ctr %s: %w: %s", strings.Join(arguments, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return output, nil
}
