// Package qscanner is the scan engine that executes Qualys' qscanner: a licensed binary that the site supplies. It reads an
// extracted image, lists its packages, uploads them to the Qualys platform and fetches what is vulnerable.
//
// No reference of its command line, exit codes and outputs is public; what is used here is what its users' scripts agree on.
package qscanner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/execution"
	"github.com/sifscan/sifscan-operator/node-agent/engine/osrelease"
	"github.com/sifscan/sifscan-operator/node-agent/engine/program"
)

// Name is the engine's name in the API.
const Name = "qscanner"

// tokenVariable is where qscanner looks for its token.
const tokenVariable = "QUALYS_ACCESS_TOKEN"

// Engine executes qscanner. One scan runs at a time.
type Engine struct {
	config  Config
	program *program.Program
	redact  *execution.Redactor
	// silent is why the gateway could not be reached, until a time.
	silent error
	until  time.Time
}

var _ engine.Executed = (*Engine)(nil)

// New verifies configuration and binary. The caller closes the engine.
func New(c Config) (*Engine, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	p, err := program.Open(c.Binary, c.SHA256, c.Tmp)
	if err != nil {
		return nil, fmt.Errorf("qscanner's binary: %w", err)
	}
	return &Engine{config: c, program: p, redact: execution.NewRedactor(c.Token, password(c.Proxy))}, nil
}

// Close releases the binary.
func (e *Engine) Close() error { return e.program.Close() }

// Unpacked is how many bytes of Config.Tmp the binary takes; 0 for one that is not compressed.
func (e *Engine) Unpacked() int64 { return e.program.Unpacked }

// Name returns "qscanner".
func (e *Engine) Name() string { return Name }

// Version identifies the binary by its content: it has no documented command that tells its version.
func (e *Engine) Version() string { return e.program.Digest[:len("sha256:")+12] }

// Settings are what besides the image and the binary decides what a scan finds. The platform learns of vulnerabilities every
// day: what it said yesterday does not answer for today.
func (e *Engine) Settings(now time.Time) []string {
	s := []string{"mode=" + string(e.config.Mode)}
	if e.config.Mode.reports() {
		s = append(s, "platform="+e.config.Platform+e.config.GatewayURL, "tags="+strings.Join(e.config.PolicyTags, ","),
			"day="+now.UTC().Format(time.DateOnly))
	}
	return s
}

// NeedsDirectory returns true: qscanner reads no image formats of HPC.
func (e *Engine) NeedsDirectory() bool { return true }

// silentFor is how long a gateway that did not answer is not asked again: a thousand images must not wait for it one by one.
const silentFor = time.Minute

// Ready tells within ten seconds whether the platform can be reached, before an image is extracted for it.
func (e *Engine) Ready(ctx context.Context) error {
	switch {
	case !e.config.Mode.online():
		return nil
	case time.Now().Before(e.until):
		return e.silent
	}
	err := e.config.reach(ctx)
	if err != nil && ctx.Err() == nil {
		e.silent, e.until = err, time.Now().Add(silentFor)
	}
	return err
}

// Scan runs qscanner over t.Directory; where the platform has no report yet, it runs it again after a while, on the same
// directory. The result may come with a failure: ReportUnavailable and UploadFailed keep the packages.
func (e *Engine) Scan(ctx context.Context, t engine.Target) (*engine.Result, error) {
	var system engine.OS
	if !t.Repository {
		system = osrelease.Read(t.Root)
	}
	if info, err := os.Lstat(t.Directory); err != nil || !info.IsDir() {
		// It would list nothing below a link and call that a success.
		return nil, &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: "the image's directory is no real directory: " + t.Directory, Err: err}
	}
	for try := 0; ; try++ {
		result, again, err := e.once(ctx, t, system)
		if !again || try >= len(e.config.ReportWaits) || !wait(ctx, e.config.ReportWaits[try]) {
			if again && err != nil {
				err = tried(err, try+1)
			}
			return result, err
		}
	}
}

// wait waits, and tells whether there is time left for another try.
func wait(ctx context.Context, d time.Duration) bool {
	const least = 10 * time.Second // no scan is shorter with a platform in it
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d+min(least, d) {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func tried(err error, times int) error {
	var e *engine.Error
	if errors.As(err, &e) {
		e.Message += fmt.Sprintf(" (tried %d times)", times)
	}
	return err
}

// once runs qscanner once. again tells that another run may have the answer.
func (e *Engine) once(ctx context.Context, t engine.Target, system engine.OS) (result *engine.Result, again bool, err error) {
	dirs, err := execution.Prepare(t.Budget.Dir)
	if err != nil {
		return nil, false, err
	}
	if err := e.shareJavaDB(dirs); err != nil {
		return nil, false, err
	}
	out, err := execution.Run(ctx, execution.Command{
		Name: Name, Path: e.program.Path,
		Args:   e.config.arguments(t, system, dirs, scanTimeout(ctx)),
		Env:    e.environment(),
		Dirs:   dirs,
		Budget: t.Budget,
		Redact: e.redact,
	})
	if err != nil {
		return nil, false, err
	}
	m := meaningOf(out.ExitCode)
	if m.reason != "" && !m.partial {
		return nil, false, failure(m, out)
	}
	result, err = e.read(t, system, dirs.Output)
	switch {
	case m.reason != "":
		// What the exit code says explains more than what is missing because of it.
		return result, m.again, failure(m, out)
	case result != nil:
		result.Policy = m.verdict
	}
	return result, false, err
}

// environment of qscanner besides what every engine gets.
func (e *Engine) environment() (env []string) {
	if e.config.Token != "" {
		env = append(env, tokenVariable+"="+e.config.Token)
	}
	if e.config.CertFile != "" {
		// What downloads the Java database knows nothing of --cert-path; this is Go's own variable.
		env = append(env, "SSL_CERT_FILE="+e.config.CertFile)
	}
	return env
}

// scanTimeout is shorter than the scan's own time, so that qscanner can still say what it was doing.
func scanTimeout(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 24 * time.Hour // its default of five minutes is too short for large images
	}
	left := time.Until(deadline)
	return max(left-max(left/20, 5*time.Second), time.Second).Round(time.Second)
}

// shareJavaDB puts the site's Java database where qscanner looks for it.
func (e *Engine) shareJavaDB(d execution.Dirs) error {
	if e.config.JavaDB == "" {
		return nil
	}
	err := os.Symlink(e.config.JavaDB, filepath.Join(d.Cache, "java-db"))
	if errors.Is(err, os.ErrExist) {
		return nil // of the try before
	}
	return err
}

// failure says what an exit code means, and the last thing qscanner said.
func failure(m meaning, out execution.Outcome) error {
	message := m.message
	line, crashed := out.Said()
	if crashed { // with the exit code of a wrong command line
		message = "qscanner crashed"
	}
	if line != "" {
		message += "; it said: " + engine.Text(line, maxSaid)
	}
	return &engine.Error{Reason: m.reason, Message: message, ExitCode: out.ExitCode}
}

// maxSaid bounds what is quoted of qscanner's output.
const maxSaid = 300

func warn(r *engine.Result, message string) {
	if len(r.Warnings) >= engine.MaxWarnings {
		r.DroppedWarnings++
		return
	}
	r.Warnings = append(r.Warnings, engine.Warning{Message: engine.Text(message, 512)})
}
