// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// layout is where the file systems of an image are.
type layout struct {
	// FileSystem of the root: squashfs or ext3.
	FileSystem string
	// Offset of the root, and of an overlay of the image's own; 0: there is no overlay.
	Offset, Overlay int64
}

// layoutOf finds the file systems in a SIF file that a fixture made, or in a plain SquashFS or ext3 file.
func layoutOf(image string) (l layout, err error) {
	const (
		header, descriptor, descriptors = 128, 585, 48
		partition, primary, overlay     = 0x4004, 2, 4
		ext3                            = 2
		extMagicAt, extMagic            = 1080, 0xef53
	)
	f, err := os.Open(image)
	if err != nil {
		return l, err
	}
	defer f.Close()
	b := make([]byte, header+descriptors*descriptor)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF { // a small image ends earlier
		return l, err
	}
	switch {
	case string(b[:4]) == "hsqs":
		return layout{FileSystem: "squashfs"}, nil
	case binary.LittleEndian.Uint16(b[extMagicAt:]) == extMagic:
		return layout{FileSystem: "ext3"}, nil
	}
	for d := b[header:]; len(d) > 0; d = d[descriptor:] {
		if binary.LittleEndian.Uint32(d) != partition {
			continue
		}
		offset := int64(binary.LittleEndian.Uint64(d[17:]))
		switch binary.LittleEndian.Uint32(d[205:]) {
		case primary:
			l.FileSystem, l.Offset = "squashfs", offset
			if binary.LittleEndian.Uint32(d[201:]) == ext3 {
				l.FileSystem = "ext3"
			}
		case overlay:
			l.Overlay = offset
		}
	}
	if l.FileSystem == "" {
		return l, fmt.Errorf("%s is neither a SIF file with a primary partition nor SquashFS nor ext3", image)
	}
	return l, nil
}
