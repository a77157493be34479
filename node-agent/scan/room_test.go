// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
)

// taken is what a directory takes on disk, as kubelet counts it.
func taken(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return bytes, err
}

func TestResultsThatWaitForASlowReporterNeverFillTheirVolume(t *testing.T) {
	const limit, document, results = 1 << 20, 250 << 10, 20
	dir, state := t.TempDir(), t.TempDir()
	reporter, err := handover.OpenReporter(dir, state)
	if err != nil {
		t.Fatal(err)
	}
	defer reporter.Close()
	hand, err := handover.OpenScanner(dir, state)
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close()

	// It stores what waits when the scanner has told nothing for some looks: it waits for room then.
	const looks = 10
	var waiting []string
	var most int64
	stored, quiet := 0, 0
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	over := make(chan error, 1)
	go func() {
		over <- reporter.Follow(ctx, func(e handover.Event) error {
			if e.Folder != "" {
				waiting, quiet = append(waiting, e.Folder), 0
			}
			return nil
		}, func() error {
			now, err := taken(dir)
			most = max(most, now)
			if quiet++; quiet < looks {
				return err
			}
			for _, folder := range waiting {
				err = errors.Join(err, reporter.Ack(handover.Ack{Folder: folder}))
			}
			stored, waiting, quiet = stored+len(waiting), nil, 0
			return err
		})
	}()

	sink := &scan.HandoverSink{Hand: hand, Dir: dir, StoreTimeout: time.Minute, Limit: limit, Log: logr.Discard()}
	for i := range results {
		r := &scan.Result{Place: scan.Place{Name: fmt.Sprintf("%d.sif", i)}, Documents: map[string][]byte{"sbom.spdx.json": make([]byte, document)}}
		if err := sink.Deliver(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	end()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if most > limit || most < 2*document {
		t.Errorf("%d bytes waited, want some results and at most %d", most, limit)
	}
	if stored < results-limit/document {
		t.Errorf("%d results were stored", stored)
	}
}

func TestDocumentsThatNoVolumeOfResultsHoldsFailTheirImageAlone(t *testing.T) {
	files := newShelf(t).image("a.sif")
	for _, c := range []struct {
		limit int64
		fails bool
	}{{8 << 10, true}, {64 << 10, false}, {0, false}} {
		scanner, to := newScanner(t), newSink()
		scanner.ResultsLimit = c.limit
		if _, err := run(t, files, scanner, nil, to); err != nil {
			t.Fatal(err)
		}
		r := to.results["a.sif"]
		if o := r.Report.Outcome; (o.Reason == v1alpha1.ReasonEngineFailed && strings.Contains(o.Message, "reportFormats") && len(r.Documents) == 0) != c.fails {
			t.Errorf("limit %d: %+v with %d documents", c.limit, o, len(r.Documents))
		}
		if !c.fails && len(r.Documents) == 0 {
			t.Errorf("limit %d: no documents", c.limit)
		}
	}
}
