// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// squashfsOffset finds the file system in a SIF file that a fixture made, or in a plain SquashFS file.
func squashfsOffset(image string) (int64, error) {
	const (
		header, descriptor, descriptors = 128, 585, 48
		partition, primary              = 0x4004, 2
	)
	f, err := os.Open(image)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, header+descriptors*descriptor)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF { // a small image ends earlier
		return 0, err
	}
	if string(b[:4]) == "hsqs" {
		return 0, nil
	}
	for d := b[header:]; len(d) > 0; d = d[descriptor:] {
		if binary.LittleEndian.Uint32(d) == partition && binary.LittleEndian.Uint32(d[205:]) == primary {
			return int64(binary.LittleEndian.Uint64(d[17:])), nil
		}
	}
	return 0, fmt.Errorf("%s is neither a SIF file with a primary partition nor SquashFS", image)
}
