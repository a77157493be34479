// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
	"github.com/sifscan/sifscan-operator/node-agent/engine/qscanner"
	"github.com/sifscan/sifscan-operator/node-agent/engine/trivy"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
)

// engineFlags choose an engine and say how it is run.
type engineFlags struct {
	name, mode, database string
	// scanTypes and excludeDirs as on the command line.
	scanTypes        []string
	excludeDirs      []string
	tmpDir, tmpLimit string
	offline          bool

	qscanner qscanner.Config
	trivy    trivy.Config
	policy   policyFlags

	flags *pflag.FlagSet
}

// only are the flags that one engine alone reads.
var only = map[string][]string{
	qscanner.Name: {"qscanner-binary", "qscanner-sha256", "platform", "gateway-url", "proxy", "policy-tags", "java-db", "report-waits"},
	trivy.Name:    {"trivy-binary", "trivy-sha256"},
}

// withoutEffect refuses flags that would have no effect: who sets one expects one.
func (f *engineFlags) withoutEffect() error {
	for engine, names := range only {
		for _, name := range names {
			if engine != f.name && f.flags.Changed(name) {
				return usageError{fmt.Errorf("--%s: leave it out or name --engine %s, the only one that knows it", name, engine)}
			}
		}
	}
	switch {
	case f.name == qscanner.Name && f.flags.Changed("db"):
		return usageError{errors.New("--db: leave it out, the engine qscanner has what is vulnerable from its platform")}
	case f.name == native.Name && f.mode == "inventory-only" && f.flags.Changed("db"):
		return usageError{errors.New("--db: leave it out, or choose another --mode: inventory-only matches nothing")}
	}
	return nil
}

// add defines the flags.
func (f *engineFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	flags.StringVar(&f.name, "engine", native.Name, "engine: native, qscanner or trivy")
	flags.StringVar(&f.mode, "mode", "", "inventory-only, get-report, evaluate-policy; qscanner also scan-only [native: get-report with --db; others: get-report]")
	flags.StringVar(&f.database, "db", "", "vulnerabilities: for native a file made by 'node-agent db build' [none: packages are listed and not matched]; for trivy its cache directory")
	flags.StringSliceVar(&f.scanTypes, "scan-types", split(os.Getenv("SCAN_TYPES")), "pkg, fileinsight (trivy has none), secret (environment: SCAN_TYPES) [pkg,fileinsight]")
	flags.StringSliceVar(&f.excludeDirs, "exclude-dirs", nil, "directories of the image that are not entered")
	flags.StringVar(&f.tmpDir, "tmp-dir", os.TempDir(), "where images are extracted for qscanner and trivy, and images of registries for all")
	flags.StringVar(&f.tmpLimit, "tmp-limit", "10Gi", "most bytes below --tmp-dir for one image; native reads images in place and needs none, but for those of registries")
	flags.BoolVar(&f.offline, "offline", false, "qscanner downloads no Java database; native and trivy are always offline")

	f.policy.add(flags)

	q := &f.qscanner
	flags.StringVar(&q.Binary, "qscanner-binary", "qscanner", "qscanner's binary, plain or .gz")
	flags.StringVar(&q.SHA256, "qscanner-sha256", "", "SHA-256 that the binary must have")
	flags.StringVar(&q.Platform, "platform", os.Getenv("QUALYS_POD"), "Qualys platform, such as US2 (environment: QUALYS_POD); the token is read from QUALYS_ACCESS_TOKEN")
	flags.StringVar(&q.GatewayURL, "gateway-url", "", "URL of the platform's gateway, instead of --platform")
	flags.StringVar(&q.Proxy, "proxy", "", "URL of the proxy to the platform")
	flags.StringVar(&q.CertFile, "ca-file", "", "PEM certificates of a private CA")
	flags.StringSliceVar(&q.PolicyTags, "policy-tags", nil, "tags of the policies that evaluate-policy judges by")
	flags.StringVar(&q.JavaDB, "java-db", "", "directory with trivy-java.db, for qscanner")
	flags.DurationSliceVar(&q.ReportWaits, "report-waits", nil, "waits before qscanner is run again for a report that was not there yet")
	flags.StringVar(&f.trivy.Binary, "trivy-binary", "trivy", "trivy's binary, plain or .gz")
	flags.StringVar(&f.trivy.SHA256, "trivy-sha256", "", "SHA-256 that the binary must have")
	if err := flags.MarkHidden("report-waits"); err != nil {
		panic(err) // defined above
	}
}

// split splits the toolkit's lists; an empty one has no element.
func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// configure sets up the scanner's engine, and returns what releases it.
func (f *engineFlags) configure(s *scan.Scanner) (release func(), err error) {
	if err := f.withoutEffect(); err != nil {
		return nil, err
	}
	if s.Types, err = f.types(); err != nil {
		return nil, err
	}
	if s.Policy, err = f.policy.policy(f.name, f.mode); err != nil {
		return nil, err
	}
	s.ExcludeDirs = f.excludeDirs
	limit, err := quantity("--tmp-limit", f.tmpLimit)
	if err != nil {
		return nil, err
	}
	s.Tmp = scan.Tmp{Dir: f.tmpDir, Limit: limit}
	if f.name == native.Name {
		return f.native(s)
	}
	if err := f.checkTmp(s.SetBy); err != nil {
		return nil, err
	}
	switch f.name {
	case qscanner.Name:
		return f.useQscanner(s)
	case trivy.Name:
		return f.useTrivy(s)
	}
	return nil, usageError{fmt.Errorf("--engine %q: use native, qscanner or trivy", f.name)}
}

// checkTmp tells whether images can be written to tmp.
func (f *engineFlags) checkTmp(setBy engine.Setter) error {
	if err := unix.Access(f.tmpDir, unix.W_OK|unix.X_OK); err != nil {
		return configError{v1alpha1.ReasonInvalidSpec, fmt.Errorf("%s (--tmp-dir %s): the scan's user may not write there: %w", setBy.Tmp(), f.tmpDir, err)}
	}
	return nil
}

// defaultScanTypes are those of a SIFScan. They are part of a report's name.
var defaultScanTypes = []string{"pkg", "fileinsight"}

func (f *engineFlags) types() ([]engine.ScanType, error) {
	names := f.scanTypes
	if len(names) == 0 {
		names = defaultScanTypes
	}
	known := []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight, engine.ScanSecrets}
	var types []engine.ScanType
	for _, name := range names {
		t := engine.ScanType(strings.ToLower(strings.TrimSpace(name)))
		if !slices.Contains(known, t) {
			return nil, usageError{fmt.Errorf("--scan-types %q: use pkg, fileinsight or secret", name)}
		}
		types = append(types, t)
	}
	return types, nil
}

func (f *engineFlags) native(s *scan.Scanner) (func(), error) {
	switch f.mode {
	case "":
	case "get-report", evaluatePolicy:
		if f.database == "" {
			return nil, usageError{fmt.Errorf("--mode %s: name a database with --db", f.mode)}
		}
	case "inventory-only": // has no database
	default:
		return nil, usageError{fmt.Errorf("--mode %q: the engine native knows inventory-only, get-report and evaluate-policy", f.mode)}
	}
	e, err := native.New()
	if err != nil {
		return nil, err
	}
	s.Engine, s.EngineVersion = e, native.Version
	if f.database == "" {
		return func() {}, nil
	}
	db, err := osvdb.Open(f.database)
	if err != nil {
		return nil, configError{v1alpha1.ReasonInvalidSpec, fmt.Errorf("the vulnerability database (%s): %w", s.SetBy.NativeDatabase(), err)}
	}
	s.Engine, s.Database = e.WithDatabase(db), db.Info().Digest
	return func() { db.Close() }, nil
}

func (f *engineFlags) useQscanner(s *scan.Scanner) (func(), error) {
	c := f.qscanner
	c.Mode, c.Offline, c.Tmp = qscanner.Mode(f.mode), f.offline, f.tmpDir
	c.Token = os.Getenv("QUALYS_ACCESS_TOKEN")
	var err error
	if c.Binary, err = lookUp(c.Binary); err != nil {
		return nil, configError{v1alpha1.ReasonInvalidSpec, fmt.Errorf("--qscanner-binary: %w", err)}
	}
	e, err := qscanner.New(c)
	if err != nil {
		reason := v1alpha1.ReasonInvalidSpec
		if errors.Is(err, qscanner.ErrCredentials) {
			reason = v1alpha1.ReasonCredentialsMissing
		}
		return nil, configError{reason, fmt.Errorf("--engine qscanner: %w", err)}
	}
	if err := takeTmp(s, e.Unpacked()); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	s.Engine, s.EngineVersion, s.Settings = e, e.Version(), e.Settings
	return func() { e.Close() }, nil
}

func (f *engineFlags) useTrivy(s *scan.Scanner) (func(), error) {
	if len(s.Types) > 0 && !slices.Contains(s.Types, engine.ScanPackages) && !slices.Contains(s.Types, engine.ScanSecrets) {
		return nil, usageError{errors.New("--scan-types: the engine trivy looks for pkg and secret")}
	}
	c := f.trivy
	c.Cache, c.Tmp = f.database, f.tmpDir
	switch f.mode {
	case "", "get-report", evaluatePolicy: // it is the agent that judges
		c.Mode = trivy.GetReport
	case "inventory-only":
		c.Mode = trivy.InventoryOnly
	default:
		return nil, usageError{fmt.Errorf("--mode %q: the engine trivy knows inventory-only, get-report and evaluate-policy", f.mode)}
	}
	var err error
	if c.Binary, err = lookUp(c.Binary); err != nil {
		return nil, configError{v1alpha1.ReasonInvalidSpec, fmt.Errorf("--trivy-binary: %w", err)}
	}
	e, err := trivy.New(c)
	if err != nil {
		return nil, configError{v1alpha1.ReasonInvalidSpec, fmt.Errorf("--engine trivy: %w", err)}
	}
	if err := takeTmp(s, e.Unpacked()); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	s.Engine, s.EngineVersion, s.Settings = e, e.Version(), e.Settings
	if db := e.Database(); db != nil {
		s.Database = db.Digest
	}
	return func() { e.Close() }, nil
}

// takeTmp leaves every image what an unpacked binary does not take of tmp.
func takeTmp(s *scan.Scanner, bytes int64) error {
	if s.Tmp.Limit == 0 || bytes == 0 {
		return nil
	}
	if s.Tmp.Program = bytes; bytes >= s.Tmp.Limit {
		return configError{v1alpha1.ReasonTmpTooSmall, fmt.Errorf("the engine's binary alone unpacks to %d MiB: %s", bytes>>20, s.SetBy.RaiseTmp())}
	}
	return nil
}

// lookUp finds a program by its name alone, as a shell does. A path stays as it is: that of a gzip file is no program yet.
func lookUp(binary string) (string, error) {
	if strings.Contains(binary, "/") {
		return binary, nil
	}
	return exec.LookPath(binary)
}

// configError is a usage error that a pod leaves behind with its reason.
type configError struct {
	reason string
	error
}
