// Package trivy is the scan engine that executes a trivy binary the site supplies, offline, with the vulnerability database
// that the site mirrors. Trivy's JSON carries a promise of compatibility; its Go API carries none.
package trivy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
	"github.com/sifscan/sifscan-operator/node-agent/engine/execution"
	"github.com/sifscan/sifscan-operator/node-agent/engine/osrelease"
	"github.com/sifscan/sifscan-operator/node-agent/engine/program"
	"github.com/sifscan/sifscan-operator/node-agent/sbom"
)

// Name is the engine's name in the API.
const Name = "trivy"

// Mode is what trivy does.
type Mode string

// The modes of trivy.
const (
	// GetReport matches packages with the database.
	GetReport Mode = "get-report"
	// InventoryOnly lists packages.
	InventoryOnly Mode = "inventory-only"
)

// Config says how trivy is run.
type Config struct {
	// Binary of trivy, plain or gzip, and the SHA-256 it must have (empty: any).
	Binary, SHA256 string
	// Tmp is where a gzip binary is unpacked.
	Tmp  string
	Mode Mode
	// Cache is the site's cache directory with db/ and, for JAR files, java-db/, as trivy itself downloads them. It is read only.
	Cache string
}

// Engine executes trivy. One scan runs at a time.
type Engine struct {
	config   Config
	program  *program.Program
	database *engine.Database // nil: nothing is matched
}

var _ engine.Executed = (*Engine)(nil)

// New verifies configuration, binary and database. The caller closes the engine.
func New(c Config) (*Engine, error) {
	if !slices.Contains([]Mode{GetReport, InventoryOnly}, c.Mode) {
		return nil, fmt.Errorf("mode %q: the engine trivy knows get-report and inventory-only", c.Mode)
	}
	e := &Engine{config: c}
	var err error
	if c.Cache != "" {
		if e.config.Cache, err = filepath.Abs(c.Cache); err != nil {
			return nil, err
		}
	}
	if c.Mode == GetReport {
		if e.database, err = readDatabase(e.config.Cache); err != nil {
			return nil, err
		}
	}
	if e.program, err = program.Open(c.Binary, c.SHA256, c.Tmp); err != nil {
		return nil, fmt.Errorf("trivy's binary: %w", err)
	}
	return e, nil
}

// Close releases the binary.
func (e *Engine) Close() error { return e.program.Close() }

// Unpacked is how many bytes of Config.Tmp the binary takes; 0 for one that is not compressed.
func (e *Engine) Unpacked() int64 { return e.program.Unpacked }

// Name returns "trivy".
func (e *Engine) Name() string { return Name }

// Version identifies the binary by its content; a result carries the version that trivy itself tells.
func (e *Engine) Version() string { return e.program.Digest[:len("sha256:")+12] }

// Settings are what besides image, binary and database decides what a scan finds.
func (e *Engine) Settings(time.Time) []string { return []string{"mode=" + string(e.config.Mode)} }

// Database is what packages are matched with; nil for none.
func (e *Engine) Database() *engine.Database { return e.database }

// NeedsDirectory returns true.
func (e *Engine) NeedsDirectory() bool { return true }

// Ready returns nil: everything trivy needs was there when the engine was made.
func (e *Engine) Ready(context.Context) error { return nil }

// outputFile is the name of trivy's output.
const outputFile = "trivy.json"

// Scan runs trivy over t.Directory.
func (e *Engine) Scan(ctx context.Context, t engine.Target) (*engine.Result, error) {
	dirs, err := execution.Prepare(t.Budget.Dir)
	if err != nil {
		return nil, err
	}
	if err := e.shareDatabase(dirs.Cache); err != nil {
		return nil, err
	}
	file := filepath.Join(dirs.Output, outputFile)
	out, err := execution.Run(ctx, execution.Command{
		Name: Name, Path: e.program.Path, Args: e.arguments(ctx, t, dirs.Cache, file), Dirs: dirs, Budget: t.Budget,
	})
	if err != nil {
		return nil, err
	}
	if out.ExitCode != 0 {
		return nil, failure(out, t.Budget.SetBy)
	}
	return e.read(t, file)
}

// shareDatabase puts the site's databases into a cache directory of the scan's own: trivy writes beside them.
func (e *Engine) shareDatabase(cache string) error {
	if e.config.Cache == "" {
		return nil
	}
	for _, name := range []string{"db", "java-db"} {
		if _, err := os.Stat(filepath.Join(e.config.Cache, name)); err != nil {
			continue
		}
		if err := os.Symlink(filepath.Join(e.config.Cache, name), filepath.Join(cache, name)); err != nil {
			return err
		}
	}
	return nil
}

// command of trivy: rootfs reads what is installed, fs what lock files name.
func command(t engine.Target) string {
	if t.Repository {
		return "fs"
	}
	return "rootfs"
}

// arguments is trivy's command line: nothing of it reaches for the network. With a JAR file in the image, matching without
// the Java database is fatal, and so it is without any database.
func (e *Engine) arguments(ctx context.Context, t engine.Target, cache, file string) []string {
	args := []string{
		"-q", command(t), "--cache-dir", cache, "--skip-db-update", "--skip-java-db-update", "--offline-scan",
		"--skip-version-check", "--disable-telemetry", "--timeout", timeLeft(ctx).String(),
	}
	if e.listsOnly(t) {
		// This format alone lists packages without asking for a database.
		args = append(args, "--format", "cyclonedx")
	} else {
		args = append(args, "--scanners", e.scanners(t), "--list-all-pkgs", "--format", "json")
	}
	for _, dir := range t.ExcludeDirs {
		if clean := path.Clean("/" + dir); clean != "/" {
			args = append(args, "--skip-dirs", literal(t.Directory, clean))
		}
	}
	return append(args, "-o", file, t.Directory)
}

var pattern = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`)

// literal is a directory below root as --skip-dirs takes it: a list of comma-separated values, of which each is a pattern once
// the root is taken off it.
func literal(root, dir string) string {
	value := filepath.Join(root, pattern.Replace(dir))
	if strings.ContainsAny(value, ",\"\n") {
		value = `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
	}
	return value
}

// listsOnly tells that trivy is to list packages and nothing else.
func (e *Engine) listsOnly(t engine.Target) bool {
	return e.config.Mode == InventoryOnly && !t.Scans(engine.ScanSecrets)
}

func (e *Engine) scanners(t engine.Target) string {
	var names []string
	if e.config.Mode == GetReport && t.Scans(engine.ScanPackages) {
		names = append(names, "vuln")
	}
	if t.Scans(engine.ScanSecrets) {
		names = append(names, "secret")
	}
	return strings.Join(names, ",")
}

// timeLeft is a little less than the scan's own time; trivy's default of five minutes is too short for large images.
func timeLeft(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 24 * time.Hour
	}
	left := time.Until(deadline)
	return max(left-left/20, time.Second).Round(time.Second)
}

// failure explains an exit code, of which trivy has one: what it said last is all there is to tell them apart.
func failure(out execution.Outcome, setBy engine.Setter) error {
	message := "trivy failed"
	line, crashed := out.Said()
	if crashed {
		message = "trivy crashed"
	}
	if line != "" {
		message += "; it said: " + engine.Text(line, 300)
	}
	if strings.Contains(line, "Java DB") {
		message = "the image holds Java archives, of which trivy reads none without its Java database: put java-db/, as " +
			"'trivy image --download-java-db-only' makes it, beside db/ into the cache directory (" + setBy.TrivyDatabase() + ")"
	}
	return &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: message, ExitCode: out.ExitCode}
}

// read makes a result of trivy's output, and documents of the result.
func (e *Engine) read(t engine.Target, file string) (*engine.Result, error) {
	r := &engine.Result{EngineVersion: e.Version(), Documents: map[string][]byte{}}
	if !t.Repository {
		r.OS = osrelease.Read(t.Root)
	}
	if err := e.readOutput(r, t, file); err != nil {
		return nil, unreadable(err)
	}
	if t.Scans(engine.ScanSecrets) && r.Secrets == nil {
		r.Secrets = []engine.Secret{} // looked for, and none found
	}
	if len(r.Packages) == 0 && t.Scans(engine.ScanPackages) {
		return nil, &engine.Error{Reason: v1alpha1.ReasonEmptyInventory, Message: fmt.Sprintf(
			"trivy ended well and lists no package of %s: that is no clean image but one it did not read; the engine native may read it",
			engine.Text(t.DisplayName, 256))}
	}
	if t.Wants(engine.FormatJSON) {
		if data, err := inventory(t, file); err == nil {
			r.Documents[engine.InventoryFile] = data
		} else {
			r.Warnings = append(r.Warnings, engine.Warning{Message: fmt.Sprintf("%s is left out: trivy's file: %v", engine.InventoryFile, err)})
		}
	}
	return r, makeSBOMs(t, r)
}

func (e *Engine) readOutput(r *engine.Result, t engine.Target, file string) error {
	if e.listsOnly(t) {
		data, err := document.Read(file, document.MaxBytes)
		if err != nil {
			return err
		}
		return readInventory(r, data)
	}
	report, err := readReport(file)
	if err != nil {
		return err
	}
	database := e.database
	if !t.Scans(engine.ScanPackages) { // trivy lists them all the same, and matched none
		report.packages, report.assessed, database = nil, nil, nil
	}
	report.result(r, database)
	return nil
}

// inventory is trivy's own document as it is handed on.
func inventory(t engine.Target, file string) ([]byte, error) {
	data, err := document.Read(file, document.MaxBytes)
	if err == nil {
		err = document.Sound(data)
	}
	if err == nil && t.Scans(engine.ScanSecrets) {
		data, err = withoutSecrets(data)
	}
	return data, err
}

// makeSBOMs writes the SBOMs: trivy writes one format in one run, and its JSON holds all that they need.
func makeSBOMs(t engine.Target, r *engine.Result) (err error) {
	s := sbom.Subject{Name: engine.Text(t.DisplayName, 1024), Architecture: t.Architecture, CreatedAt: t.CreatedAt,
		Scanner: Name, Version: r.EngineVersion, OS: r.OS, Packages: r.Packages,
		Assessed: r.Assessed(), NotAssessed: r.NotAssessed, Findings: r.Findings}
	if t.Wants(engine.FormatSPDX) {
		if r.Documents[engine.SPDXFile], err = sbom.SPDX(s); err != nil {
			return err
		}
	}
	if t.Wants(engine.FormatCycloneDX) {
		r.Documents[engine.CycloneDXFile], err = sbom.CycloneDX(s)
	}
	return err
}

func unreadable(err error) *engine.Error {
	if errors.Is(err, os.ErrNotExist) {
		err = errors.New("it was not written")
	}
	return &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: "trivy's output cannot be read", Err: err}
}
