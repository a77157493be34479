// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Unpack writes the image's root file system to dir, which it makes, and returns how many bytes
// of disk it takes, in blocks of 4 KiB. limit is how many it may take; 0: what the file system has.
// Layers are unpacked while they come in, and stored nowhere else. Errors are of type *Error, but
// for the end of ctx; dir is then not complete.
//
// As with images that are extracted, everything belongs to the caller, who can read all of it;
// device nodes, FIFOs and sockets are left out.
func (i *Image) Unpack(ctx context.Context, dir string, limit int64) (int64, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, fmt.Errorf("make a place to unpack to: %w", err)
	}
	if limit == 0 {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			return 0, fmt.Errorf("look for free space in %s: %w", dir, err)
		}
		limit = int64(min(fs.Bavail, 1<<40)) * fs.Bsize
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	t := newTree(root, limit)
	defer t.close()
	for n, layer := range i.layers {
		if err := t.layer(ctx, layer); err != nil {
			if ctx.Err() != nil {
				return t.used, context.Cause(ctx)
			}
			return t.used, inLayer(n, len(i.layers), err)
		}
	}
	return t.used, nil
}

// inLayer says in which layer something is wrong.
func inLayer(n, of int, err error) error {
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Reason: v1alpha1.ReasonCorruptImage, Message: err.Error()}
	}
	where := *known
	where.Message = fmt.Sprintf("layer %d of %d: %s", n+1, of, known.Message)
	return &where
}

// layer applies one layer to what the lower ones left.
func (t *tree) layer(ctx context.Context, layer v1.Layer) error {
	t.begin()
	content, err := layer.Compressed()
	if err != nil {
		return explain(ctx, "a layer", err)
	}
	defer content.Close()
	from := &source{ctx: ctx, r: content}
	if err := t.untar(ctx, from); err != nil {
		return errors.Join(from.failure(), err)
	}
	// What follows the archive is part of the digest, which is checked at the end.
	if _, err := io.Copy(io.Discard, from); err != nil {
		return from.failure()
	}
	return nil
}

// untar applies the entries of an archive.
func (t *tree) untar(ctx context.Context, compressed io.Reader) error {
	plain, done, err := decompress(compressed)
	if err != nil {
		return err
	}
	defer done()
	archive := tar.NewReader(&ended{ctx, plain})
	for {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return corrupt("its archive: %v", err)
		}
		if err := t.apply(header, archive); err != nil {
			return err
		}
	}
}

// maxWindow of zstd: what `zstd --long` uses, and the most that its frames are decoded with.
const maxWindow = 128 << 20

// decompress recognises the compression by content: media types are often wrong.
func decompress(r io.Reader) (plain io.Reader, done func(), err error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, corrupt("its compression: %v", err)
		}
		return z, func() { z.Close() }, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, corrupt("its compression: %v", err)
		}
		return z, z.Close, nil
	}
	return buffered, func() {}, nil
}

// source is a layer as it comes from the registry. It remembers why it ended: to a decompressor
// a connection that breaks looks like an archive that is cut off.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// failure is why the layer did not come whole; nil when it did as far as it was read.
func (s *source) failure() error {
	switch {
	case s.err == nil:
		return nil
	case errors.Is(s.err, io.ErrUnexpectedEOF), isNetwork(s.err):
		return &Error{Reason: v1alpha1.ReasonBackendUnreachable, Message: "the registry's answer broke off", Err: s.err}
	}
	// go-containerregistry compares size and digest at the end.
	return corrupt("its content is not what its digest says: %v", s.err)
}

// ended stops at the end of a scan: a few bytes may decompress for hours.
type ended struct {
	ctx context.Context
	r   io.Reader
}

func (e *ended) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.r.Read(p)
}
