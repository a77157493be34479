// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// maxPlainEntries is how many bytes of entries a ScanInventory shows as they are: some hundred,
	// for people and jsonpath. Ten thousand entries of a night take 3 MB of etcd plain, and 300 KB packed.
	maxPlainEntries = 64 << 10
	// maxUnpackedEntries bounds what entriesGz may hold: 2,000 entries with 512 KiB of paths, in
	// which JSON doubles every backslash, take less. An account that may write ScanInventories
	// could otherwise have their readers unpack a thousandfold.
	maxUnpackedEntries = 4 << 20
)

// SetEntries stores entries: as they are where they are few, else packed.
func (in *ScanInventory) SetEntries(entries []InventoryEntry) error {
	in.Entries, in.EntriesGz = entries, nil
	text, err := json.Marshal(entries)
	if err != nil || len(text) <= maxPlainEntries {
		return err
	}
	if len(text) > maxUnpackedEntries {
		return fmt.Errorf("ScanInventory %s: entries of %d bytes are more than the %d that are read", in.Name, len(text), maxUnpackedEntries)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	in.Entries, in.EntriesGz = nil, packed.Bytes()
	return nil
}

// AllEntries returns the entries, whichever way they are stored. What cannot be unpacked within
// bounds is an error, never an empty list.
func (in *ScanInventory) AllEntries() ([]InventoryEntry, error) {
	if len(in.EntriesGz) == 0 {
		return in.Entries, nil
	}
	if len(in.Entries) > 0 {
		return nil, fmt.Errorf("ScanInventory %s has both entries and entriesGz", in.Name)
	}
	entries, err := unpack(in.EntriesGz)
	if err != nil {
		return nil, fmt.Errorf("ScanInventory %s: entriesGz: %w", in.Name, err)
	}
	return entries, nil
}

// unpack reads entry by entry: 4 MiB hold more than a million empty ones, which take 100 MB.
func unpack(packed []byte) (entries []InventoryEntry, err error) {
	text, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	list := json.NewDecoder(io.LimitReader(text, maxUnpackedEntries))
	if start, err := list.Token(); err != nil || start != json.Delim('[') {
		return nil, errors.Join(errors.New("it holds no list"), err)
	}
	for list.More() {
		if len(entries) == MaxInventoryEntries {
			return nil, fmt.Errorf("it holds more than %d entries", MaxInventoryEntries)
		}
		var e InventoryEntry
		if err := list.Decode(&e); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if _, err := list.Token(); err != nil {
		return nil, fmt.Errorf("it does not end within %d bytes: %w", maxUnpackedEntries, err)
	}
	return entries, nil
}
