// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report turns what a scan found into a ScanReport: its name, its bounds, its annotations.
package report

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// NamePrefix begins the name of every ScanReport.
const NamePrefix = "sr-"

// nameLength is the number of base32 characters of a report's name: 60 bits. Short names keep
// kubectl's table within a terminal; the reporter refuses to overwrite a report of another
// path, so that a collision is an error and never a mix-up.
const nameLength = 12

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Subject is what a report is about: the same subject always has the same name.
type Subject struct {
	// ClaimUID is the UID of the PersistentVolumeClaim: a claim made anew is another volume. Empty
	// for what is on no claim.
	ClaimUID string
	// Path within the claim (not within a subPath of it), escaped by printable.Escape. Without a
	// claim, what names the target: the reference of a registry image.
	Path string
	// Live names the file that a live container was started from, wherever it is mounted; Path is
	// then no part of the name. Empty for what is not found by its containers.
	Live   string
	Engine string
	// ScanTypes, sorted.
	ScanTypes []string
}

// Name returns the name of the subject's report.
func (s Subject) Name() string {
	if s.Live != "" {
		return NamePrefix + Hash(nameLength, "live", s.Live, s.Engine, strings.Join(s.ScanTypes, ","))
	}
	return NamePrefix + Hash(nameLength, s.ClaimUID, s.Path, s.Engine, strings.Join(s.ScanTypes, ","))
}

// Hash returns the first length base32 characters of a hash that no shifting of bytes from
// one part into the next can repeat.
func Hash(length int, parts ...string) string {
	const most = 512 // bytes of what is mostly hashed: the key of a finding
	text := make([]byte, 0, most)
	for _, p := range parts {
		text = append(binary.BigEndian.AppendUint64(text, uint64(len(p))), p...)
	}
	sum := sha256.Sum256(text)
	var out [(sha256.Size*8 + 4) / 5]byte
	lowerBase32.Encode(out[:], sum[:])
	return string(out[:length])
}
