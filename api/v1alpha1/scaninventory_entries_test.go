// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func someEntries(n int) []InventoryEntry {
	list := make([]InventoryEntry, n)
	for i := range list {
		list[i] = InventoryEntry{Path: fmt.Sprintf(`projects/%d/\xff.sif`, i), Outcome: EntryScanned, Report: "sr-a",
			CheckedAt: metav1.NewTime(time.Unix(1772328600, 0))}
	}
	return list
}

func packed(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

func TestEntriesComeBackHoweverTheyAreStored(t *testing.T) {
	for _, tc := range []struct {
		name   string
		n      int
		packed bool
	}{{"none", 0, false}, {"a few stay readable", 100, false}, {"many are packed", MaxInventoryEntries, true}} {
		t.Run(tc.name, func(t *testing.T) {
			want := someEntries(tc.n)
			var in ScanInventory
			if err := in.SetEntries(want); err != nil {
				t.Fatal(err)
			}
			if got := len(in.EntriesGz) > 0; got != tc.packed || got && in.Entries != nil {
				t.Errorf("packed %v, and %d plain entries", got, len(in.Entries))
			}
			got, err := in.AllEntries()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsPackedBadlyIsAnErrorAndNeverAnEmptyList(t *testing.T) {
	whole := packed(`[{"path":"a.sif","outcome":"scanned"}]`)
	for name, in := range map[string]ScanInventory{
		"no gzip":           {EntriesGz: []byte("[]")},
		"cut":               {EntriesGz: whole[:len(whole)/2]},
		"no JSON":           {EntriesGz: packed("a.sif")},
		"no list":           {EntriesGz: packed(`{"path":"a.sif"}`)},
		"a list that stops": {EntriesGz: packed(`[{"path":"a.sif"},`)},
		"both":              {EntriesGz: whole, Entries: someEntries(1)},
		"an entry too many": {EntriesGz: packed("[" + strings.Repeat("{},", MaxInventoryEntries) + "{}]")},
		"a bomb":            {EntriesGz: packed("[" + strings.Repeat(" ", 1<<24))},
		"one endless path":  {EntriesGz: packed(`[{"path":"` + strings.Repeat("a", 8<<20))},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			entries, err := in.AllEntries()
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%d entries", len(entries))
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 8*maxUnpackedEntries {
				t.Errorf("%d MB were allocated for it", took>>20)
			}
		})
	}
}

func TestEntriesThatNobodyCouldReadAreNotStored(t *testing.T) {
	list := someEntries(MaxInventoryEntries)
	list[0].Path = strings.Repeat("a", maxUnpackedEntries)
	if err := new(ScanInventory).SetEntries(list); err == nil {
		t.Error("stored")
	}
}
