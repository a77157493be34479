package qscanner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
)

// Suffixes of the files that qscanner writes; an id of its own stands before them.
const (
	inventorySuffix = "-ScanResult.json"
	sarifSuffix     = "-Report.sarif.json"
	spdxSuffix      = ".spdx.json"
	cycloneSuffix   = ".cyclonedx.json"
)

var errMissing = errors.New("it was not written")

// read makes a result of the files in dir: packages from the SBOM, vulnerabilities from SARIF and nowhere else. A result that
// comes with an error holds what could be read.
func (e *Engine) read(t engine.Target, system engine.OS, dir string) (*engine.Result, error) {
	names, err := list(dir)
	if err != nil {
		return nil, unreadable("output directory", err)
	}
	r := &engine.Result{EngineVersion: e.Version(), OS: system, Documents: map[string][]byte{}}
	packages, err := e.packages(r, dir, names)
	if err != nil && t.Scans(engine.ScanPackages) {
		return nil, err
	}
	if t.Scans(engine.ScanPackages) {
		r.Packages, r.NotAssessed = packages, engine.Distinct(packages)
	}
	if len(packages) == 0 && t.Scans(engine.ScanPackages) {
		return nil, &engine.Error{Reason: v1alpha1.ReasonEmptyInventory, Message: fmt.Sprintf(
			"qscanner ended well and lists no package of %s: that is no clean image but one it did not read; the engine native may read it",
			engine.Text(t.DisplayName, 256))}
	}
	e.keep(r, t, dir, names)
	if !e.config.Mode.reports() || !t.Scans(engine.ScanPackages) {
		return r, nil // a report on secrets alone says nothing of vulnerabilities
	}
	return r, e.findings(r, dir, names)
}

// packages reads SPDX, or CycloneDX where SPDX cannot be read.
func (e *Engine) packages(r *engine.Result, dir string, names []string) ([]engine.Package, error) {
	data, err := e.open(dir, names, spdxSuffix)
	var in document.Inventory
	if err == nil {
		in, err = document.SPDX(data, Name)
	}
	if err != nil {
		first := err
		if data, err = e.open(dir, names, cycloneSuffix); err == nil {
			in, err = document.CycloneDX(data, Name)
		}
		if err != nil {
			return nil, unreadable("SPDX document", first)
		}
	}
	if in.Skipped > 0 {
		warn(r, fmt.Sprintf("%d entries of qscanner's SBOM are no packages that can be read", in.Skipped))
	}
	if version, ok := strings.CutPrefix(in.Tool, "qscanner-"); ok {
		r.EngineVersion = version
	}
	return in.Packages, nil
}

// findings reads SARIF. Without it, nothing was assessed, and that is not "no findings".
func (e *Engine) findings(r *engine.Result, dir string, names []string) error {
	data, err := e.open(dir, names, sarifSuffix)
	if errors.Is(err, errMissing) {
		return &engine.Error{Reason: v1alpha1.ReasonReportUnavailable, Message: "qscanner ended well without writing a vulnerability report (SARIF)"}
	}
	if err != nil {
		return unreadable("SARIF report", err)
	}
	v, err := readSARIF(data, r.Packages)
	if err != nil {
		return unreadable("SARIF report", err)
	}
	if v.skipped > 0 {
		warn(r, fmt.Sprintf("%d entries of qscanner's SARIF report cannot be read", v.skipped))
	}
	if v.version != "" {
		r.EngineVersion = v.version
	}
	r.Findings, r.NotAssessed = v.findings, 0
	return nil
}

// keep hands on the documents that were asked for and are sound; what is wrong with the others is a warning.
func (e *Engine) keep(r *engine.Result, t engine.Target, dir string, names []string) {
	for _, d := range []struct {
		wanted       bool
		suffix, name string
	}{
		{t.Wants(engine.FormatJSON), inventorySuffix, engine.InventoryFile},
		{t.Wants(engine.FormatSPDX), spdxSuffix, engine.SPDXFile},
		{t.Wants(engine.FormatCycloneDX), cycloneSuffix, engine.CycloneDXFile},
		{e.config.Mode.reports(), sarifSuffix, engine.SARIFFile},
	} {
		if !d.wanted {
			continue
		}
		data, err := e.open(dir, names, d.suffix)
		if err == nil {
			err = document.Sound(data)
		}
		if err == nil {
			r.Documents[d.name] = data
		} else if !errors.Is(err, errMissing) || d.suffix != sarifSuffix { // findings says so
			warn(r, fmt.Sprintf("%s is left out: qscanner's file: %v", d.name, err))
		}
	}
}

// open reads the one file with the suffix, without the token, should it hold it.
func (e *Engine) open(dir string, names []string, suffix string) ([]byte, error) {
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			data, err := document.Read(filepath.Join(dir, name), document.MaxBytes)
			return e.redact.Bytes(data), err
		}
	}
	return nil, errMissing
}

// list returns the names in dir, sorted.
func list(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	const most = 10_000
	names, err := f.Readdirnames(most)
	slices.Sort(names)
	if len(names) == 0 {
		return nil, errors.New("it is empty")
	}
	return names, err
}

func unreadable(what string, err error) *engine.Error {
	return &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: "qscanner's " + what + " cannot be read", Err: err}
}
