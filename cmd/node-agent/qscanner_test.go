// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

// token that no text may hold, in any form.
const token = "tok-3v3ry/body+must=not/see-this.one_4711"

// doubles are built once for all tests: stand-ins for programs that tests cannot have.
var doubles = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "doubles-")
	if err != nil {
		return "", err
	}
	built = dir
	cmd := exec.Command("go", "build", "-o", dir, "../../test/qscanner-double", "../../test/trivy-double")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the doubles: %w\n%s", err, out)
	}
	return dir, nil
})

// built is where the doubles are; empty until a test needs them.
var built string

// TestMain lets this binary be the agent, for tests that need a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SIFSCAN_TEST_AGENT") != "" {
		main()
	}
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

func double(t *testing.T, name string) string {
	t.Helper()
	dir, err := doubles()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// sif makes an image of a Debian and whatever else is added to it.
func sif(t *testing.T, add ...func(*fixtures.Tree)) string {
	t.Helper()
	tree := fixtures.NewTree(filepath.Join(t.TempDir(), "tree"))
	fixtures.Debian(tree)
	for _, f := range add {
		f(tree)
	}
	squashfs, image := filepath.Join(t.TempDir(), "squashfs"), filepath.Join(t.TempDir(), "image.sif")
	if err := errors.Join(tree.Done(), fixtures.Squashfs{}.Make(tree.Root, squashfs), fixtures.NewSIF("amd64").System(squashfs).Write(image)); err != nil {
		t.Fatal(err)
	}
	return image
}

// told makes the double misbehave in an image.
func told(instructions string) func(*fixtures.Tree) {
	return func(t *fixtures.Tree) { t.File(".qscanner-double", instructions) }
}

// bench is what a scan with the double needs.
type bench struct {
	t       *testing.T
	tmp     string
	out     string
	gateway *httptest.Server
	args    []string
}

func newBench(t *testing.T, args ...string) *bench {
	t.Helper()
	t.Setenv("QUALYS_ACCESS_TOKEN", token)
	b := &bench{t: t, tmp: t.TempDir(), out: t.TempDir(), args: args}
	b.gateway = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(fmt.Sprint(r.Header), token) {
			t.Error("the gateway was shown the token")
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(b.gateway.Close)
	return b
}

// scan runs the agent with qscanner's double over an image, and checks what must hold whatever happens: nothing is left in the
// tmp directory, no process is left, and nobody is told the token.
func (b *bench) scan(image string, args ...string) (code int, printed string, report v1alpha1.Report) {
	b.t.Helper()
	all := append([]string{"scan", "--engine=qscanner", "--qscanner-binary=" + double(b.t, "qscanner-double"), "--gateway-url=" + b.gateway.URL,
		"--tmp-dir=" + b.tmp, "--output-dir=" + b.out, "--formats=json,spdx,cyclonedx", "--report-waits=1ms,1ms"}, b.args...)
	code, stdout, stderr := agent(context.Background(), append(append(all, args...), image)...)
	printed = stdout + stderr
	if left, _ := os.ReadDir(b.tmp); len(left) != 0 {
		b.t.Errorf("left in the tmp directory: %v", left)
	}
	noDoubleRuns(b.t)
	b.noToken(printed)
	names, _ := filepath.Glob(filepath.Join(b.out, "*", "report.json"))
	for _, name := range names {
		var r v1alpha1.ScanReport
		text, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			b.t.Fatal(err)
		}
		report = r.Report
	}
	return code, printed, report
}

// noToken fails when the token can be read, in any form, in what was printed or written.
func (b *bench) noToken(printed string) {
	b.t.Helper()
	texts := map[string]string{"output": printed}
	_ = filepath.WalkDir(b.out, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			text, _ := os.ReadFile(name)
			texts[name] = string(text)
		}
		return nil
	})
	for where, text := range texts {
		for _, form := range []string{token[:14], fmt.Sprintf("%x", token)[:20], base64.StdEncoding.EncodeToString([]byte("user:" + token))[8:30]} {
			if strings.Contains(text, form) {
				b.t.Errorf("%s shows the token as %q", where, form)
			}
		}
	}
}

// noDoubleRuns fails when a process of a double is alive.
func noDoubleRuns(t *testing.T) {
	t.Helper()
	for _, exe := range runningDoubles() {
		t.Errorf("%s is a double that still runs", exe)
	}
}

func TestEachExitCodeOfQscannerHasItsReason(t *testing.T) {
	for code, want := range map[int]struct {
		exit     int
		reason   string
		says     string
		packages int32
	}{
		0:  {exit: 0, packages: 3, says: "2 critical, 0 high, 1 medium"},
		1:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 1)"},
		2:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "refused its command line"},
		3:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "it could not open its log"},
		5:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "reading the directory"},
		6:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 6)"},
		7:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 7)"},
		8:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 8)"},
		9:  {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 9)"},
		10: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 10)"},
		11: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 11)"},
		12: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 12)"},
		13: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 13)"},
		14: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 14)"},
		15: {exit: 1, reason: v1alpha1.ReasonOSNotFound, says: "engine native"},
		16: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 16)"},
		17: {exit: 1, reason: v1alpha1.ReasonOSNotSupported, says: "(exit code 17)"},
		18: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 18)"},
		19: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 19)"},
		20: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 20)"},
		21: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 21)"},
		30: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "writing JSON"},
		31: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 31)"},
		32: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 32)"},
		33: {exit: 1, reason: v1alpha1.ReasonUploadFailed, says: "upload the scan", packages: 3},
		34: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 34)"},
		35: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 35)"},
		36: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 36)"},
		37: {exit: 1, reason: v1alpha1.ReasonUploadFailed, says: "upload the SBOM", packages: 3},
		38: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 38)"},
		39: {exit: 1, reason: v1alpha1.ReasonUploadFailed, says: "upload the secrets", packages: 3},
		40: {exit: 1, reason: v1alpha1.ReasonReportUnavailable, says: "(tried 3 times)", packages: 3},
		41: {exit: 1, reason: v1alpha1.ReasonReportUnavailable, says: "policy result", packages: 3},
		42: {exit: 3, says: "PolicyDenied", packages: 3},
		43: {exit: 0, says: "PolicyAudit", packages: 3},
		99: {exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "(exit code 99)"},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			b := newBench(t)
			if code >= 41 && code <= 43 {
				b.args = append(b.args, "--mode=evaluate-policy", "--policy-tags=hpc,lab")
			}
			exit, printed, report := b.scan(sif(t, told(fmt.Sprintf("exit %d\n", code))))
			if exit != want.exit || !strings.Contains(printed+report.Outcome.Message, want.says) {
				t.Errorf("exit code %d, want %d with %q in\n%s\n%s", exit, want.exit, want.says, printed, report.Outcome.Message)
			}
			if report.Outcome.Reason != want.reason {
				t.Errorf("reason %q, want %q", report.Outcome.Reason, want.reason)
			}
			var packages int32
			if report.Summary != nil {
				packages = report.Summary.Packages
				if assessed := report.Summary.Critical != nil; assessed != (want.reason == "" || strings.Contains(want.reason, "Upload")) {
					t.Errorf("assessed: %v", assessed)
				}
			}
			if packages != want.packages {
				t.Errorf("%d packages, want %d", packages, want.packages)
			}
		})
	}
}

func TestAReportThatComesLaterIsFetchedFromTheSameExtraction(t *testing.T) {
	code, printed, report := newBench(t).scan(sif(t, told("exit 40 times 2\n")))
	// The double counts its runs in the image's directory: had it been extracted anew, it would never end well.
	if code != 0 || report.Outcome.Reason != "" || report.Summary.Critical == nil {
		t.Errorf("exit code %d, outcome %+v\n%s", code, report.Outcome, printed)
	}
}

func TestEachModeOfQscanner(t *testing.T) {
	for mode, assessed := range map[string]bool{"get-report": true, "scan-only": false, "inventory-only": false, "evaluate-policy": true} {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t, "--mode="+mode, "--scan-types=pkg,fileinsight,secret", "--exclude-dirs=/opt/data,proc", "--offline", "--proxy=")
			code, printed, report := b.scan(sif(t))
			if code != 0 || report.Summary == nil || report.Summary.Packages != 3 {
				t.Fatalf("exit code %d, report %+v\n%s", code, report, printed)
			}
			if got := report.Summary.Critical != nil; got != assessed {
				t.Errorf("assessed: %v, want %v", got, assessed)
			}
			if got := report.Summary.NotAssessed == 0; got != assessed {
				t.Errorf("%d packages are not assessed", report.Summary.NotAssessed)
			}
			for name, want := range map[string]bool{"inventory.json": true, "sbom.spdx.json": true, "sbom.cdx.json": true, "report.txt": false} {
				if found, _ := filepath.Glob(filepath.Join(b.out, "*", name)); (len(found) == 1) != want {
					t.Errorf("%s: found %v", name, found)
				}
			}
			documents := written(t, b.out)
			delete(documents, "sbom.cdx.json") // qscanner's own, of CycloneDX 1.5
			schemas.Check(t, documents)
			// Where qscanner writes no SARIF report, ours says why it has no findings.
			own := map[bool]string{true: "vulnerableSoftware", false: v1alpha1.ReasonNotAssessed}[assessed]
			if found, _ := filepath.Glob(filepath.Join(b.out, "*", "report.sarif")); len(found) != 1 || !contains(t, found[0], own) {
				t.Errorf("%v does not say %s", found, own)
			}
		})
	}
}

func contains(t *testing.T, file, text string) bool {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(content), text)
}

func TestInventoryOnlyNeedsNeitherTokenNorPlatformNorNetwork(t *testing.T) {
	b := newBench(t, "--mode=inventory-only", "--gateway-url=")
	t.Setenv("QUALYS_ACCESS_TOKEN", "")
	b.gateway.Close()
	if code, printed, report := b.scan(sif(t)); code != 0 || report.Summary.Packages != 3 {
		t.Errorf("exit code %d\n%s", code, printed)
	}
}

func TestAnExcludedDirectoryIsExcludedThoughTheRootIsElsewhere(t *testing.T) {
	_, _, report := newBench(t, "--exclude-dirs=/var/lib/dpkg").scan(sif(t))
	if report.Outcome.Reason != v1alpha1.ReasonEmptyInventory {
		t.Errorf("the packages' database was excluded and was read all the same: %+v", report.Outcome)
	}
}

func TestAFindingCarriesItsNumberItsPackageAndItsCVEs(t *testing.T) {
	_, _, report := newBench(t).scan(sif(t))
	if len(report.Findings) != 3 {
		t.Fatalf("findings: %+v", report.Findings)
	}
	f := report.Findings[0]
	if f.IDs.CVE != "CVE-2099-0001" || f.IDs.QID != "900001" || f.Severity != "critical" || f.PURL != "pkg:deb/debian/openssl@3.0.11-1~deb12u2" || f.FixedVersion != "99.0" {
		t.Errorf("the first finding is %+v", f)
	}
	if last := report.Findings[2]; last.IDs.QID != "900002" || last.IDs.CVE != "" || last.Severity != "medium" || last.FixedVersion != "" {
		t.Errorf("the last finding is %+v", last)
	}
}

func TestAMisbehavingQscannerIsStoppedAndExplained(t *testing.T) {
	for name, c := range map[string]struct {
		told   string
		args   []string
		reason string
		says   string
	}{
		"it hangs":                     {"hang\n", []string{"--timeout=1s"}, v1alpha1.ReasonDeadlineExceeded, "raise spec.scanner.timeout (--timeout), for instance to 2s"},
		"it leaves processes behind":   {"leak\n", nil, "", ""},
		"it leaves processes and dies": {"leak\nexit 12\n", nil, v1alpha1.ReasonEngineFailed, "exit code 12"},
		"it fills the disk slowly":     {"fill 1000000000\n", []string{"--tmp-limit=32Mi"}, v1alpha1.ReasonTmpExhausted, "spec.tmp.sizeLimit"},
		"it writes one large file":     {"grow 1000000000\n", []string{"--tmp-limit=32Mi"}, v1alpha1.ReasonTmpExhausted, "spec.tmp.sizeLimit"},
		"it crashes":                   {"crash\n", nil, v1alpha1.ReasonEngineFailed, "qscanner crashed; it said: panic: the double crashes"},
		"it is killed":                 {"die\n", nil, v1alpha1.ReasonEngineFailed, "ended by signal killed"},
		"it shows the token and fails": {"print-token\nexit 12\n", nil, v1alpha1.ReasonEngineFailed, "exit code 12"},
		"it shows the token and ends":  {"print-token\n", nil, "", ""},
		"it finds nothing":             {"no-packages\n", nil, v1alpha1.ReasonEmptyInventory, "no clean image"},
		"the limit is below the image": {"", []string{"--tmp-limit=8Ki"}, v1alpha1.ReasonTmpTooSmall, "raise spec.tmp.sizeLimit (--tmp-limit) to at least 65Mi"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, printed, report := newBench(t, c.args...).scan(sif(t, told(c.told)))
			if report.Outcome.Reason != c.reason || !strings.Contains(report.Outcome.Message, c.says) {
				t.Errorf("outcome %+v, want %q with %q\n%s", report.Outcome, c.reason, c.says, printed)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Who sets what the message says has the image scanned.
func TestTheLimitThatIsNamedWhereTmpIsExhaustedIsEnough(t *testing.T) {
	advice := regexp.MustCompile(`for instance to (\S+)$`)
	for _, what := range []string{"fill", "grow"} {
		image := sif(t, told(what+" 20000000\n"))
		_, printed, report := newBench(t).scan(image, "--tmp-limit=16Mi")
		next := advice.FindStringSubmatch(report.Outcome.Message)
		if report.Outcome.Reason != v1alpha1.ReasonTmpExhausted || next == nil {
			t.Fatalf("%s: outcome %+v, want a value to try\n%s", what, report.Outcome, printed)
		}
		if code, printed, report := newBench(t).scan(image, "--tmp-limit="+next[1]); code != exitDone || report.Summary == nil {
			t.Errorf("%s: with %s: exit code %d: %+v\n%s", what, next[1], code, report.Outcome, printed)
		}
	}
}

func TestHostileOutputsOfQscannerAreExplained(t *testing.T) {
	for name, c := range map[string]struct{ told, reason, says string }{
		"an SBOM of 100 MB":                    {"output spdx huge\noutput cyclonedx huge\n", v1alpha1.ReasonEngineFailed, "SPDX document cannot be read: it has 100 MiB"},
		"an SBOM nested a million deep":        {"output spdx deep\noutput cyclonedx deep\n", v1alpha1.ReasonEngineFailed, "max depth"},
		"an SBOM of other types":               {"output spdx wrong-types\n", v1alpha1.ReasonEmptyInventory, "no package"},
		"an SBOM of a million packages":        {"output spdx elements\noutput cyclonedx missing\n", v1alpha1.ReasonEngineFailed, "more than 250000"},
		"an SBOM that is not UTF-8":            {"output spdx invalid-utf8\n", "", "not UTF-8"},
		"an empty SBOM":                        {"output spdx empty\noutput cyclonedx empty\n", v1alpha1.ReasonEngineFailed, "cannot be read"},
		"no SBOM":                              {"output spdx missing\noutput cyclonedx missing\n", v1alpha1.ReasonEngineFailed, "not written"},
		"no SPDX, but CycloneDX":               {"output spdx missing\n", "", "sbom.spdx.json is left out"},
		"a FIFO for an SBOM":                   {"output spdx fifo\noutput cyclonedx fifo\n", v1alpha1.ReasonEngineFailed, "no regular file"},
		"a directory for an SBOM":              {"output spdx directory\noutput cyclonedx directory\n", v1alpha1.ReasonEngineFailed, "no regular file"},
		"an SBOM that is cut":                  {"output spdx cut\noutput cyclonedx cut\n", v1alpha1.ReasonEngineFailed, "EOF"},
		"a link for an SBOM":                   {"output spdx link\noutput cyclonedx link\n", v1alpha1.ReasonEngineFailed, "symbolic link"},
		"a package name of terminal escapes":   {"output spdx escapes\noutput sarif escapes\n", "", ""},
		"a SARIF report of 100 MB":             {"output sarif huge\n", v1alpha1.ReasonEngineFailed, "SARIF report cannot be read: it has 100 MiB"},
		"a SARIF report nested a million deep": {"output sarif deep\n", v1alpha1.ReasonEngineFailed, "SARIF report cannot be read"},
		"a SARIF report of other types":        {"output sarif wrong-types\n", "", "cannot be read"},
		"a million SARIF results":              {"output sarif elements\n", v1alpha1.ReasonEngineFailed, "more than 250000"},
		"a FIFO for a SARIF report":            {"output sarif fifo\n", v1alpha1.ReasonEngineFailed, "no regular file"},
		"a link for a SARIF report":            {"output sarif link\n", v1alpha1.ReasonEngineFailed, "symbolic link"},
		"a SARIF report that is not UTF-8":     {"output sarif invalid-utf8\n", "", "not UTF-8"},
		"200 MB on its streams, and an end":    {"shout 100\n", "", ""},
		"200 MB on its streams, and an error":  {"shout 100\nexit 12\n", v1alpha1.ReasonEngineFailed, "exit code 12"},
		"no SARIF report":                      {"output sarif missing\n", v1alpha1.ReasonReportUnavailable, "without writing"},
		"an inventory nested a million deep":   {"output json deep\n", "", "inventory.json is left out"},
		"an inventory of 100 MB":               {"output json huge\n", "", "inventory.json is left out"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "--report-formats=sarif,table")
			_, printed, report := b.scan(sif(t, told(c.told)))
			if report.Outcome.Reason != c.reason || !strings.Contains(report.Outcome.Message, c.says) {
				t.Errorf("outcome %+v, want %q with %q\n%s", report.Outcome, c.reason, c.says, printed)
			}
			nothingRaw(t, printed, b.out, "inventory.json", "sbom.spdx.json", "sbom.cdx.json", "report.sarif")
			if report.Outcome.Reason == "" && report.Summary.Critical == nil {
				t.Error("a report of no assessment passes for a good one")
			}
		})
	}
}

// nothingRaw fails when what the engine wrote stands as it was in what was printed or in the agent's own documents: a terminal's
// escape, text that turns its direction, or bytes that are no UTF-8. Documents of the engine's are handed on, as JSON.
func nothingRaw(t *testing.T, printed, out string, handedOn ...string) {
	t.Helper()
	texts := map[string]string{"what was printed": printed}
	names, _ := filepath.Glob(filepath.Join(out, "*", "*"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(handedOn, filepath.Base(name)) {
			texts[name] = string(text)
		}
	}
	for where, text := range texts {
		if strings.ContainsAny(text, "\x1b\u202e\a") || strings.Contains(text, `\u001b`) || strings.Contains(text, `\u202e`) || !utf8.ValidString(text) {
			t.Errorf("%s holds what the engine wrote as it was: %.2000q", where, text)
		}
	}
}

func TestASilentGatewayIsFoundOutBeforeAnythingIsExtracted(t *testing.T) {
	b := newBench(t)
	b.gateway.Close()
	began := time.Now()
	_, _, report := b.scan(sif(t, told("hang\n")))
	if report.Outcome.Reason != v1alpha1.ReasonBackendUnreachable || time.Since(began) > 10*time.Second {
		t.Errorf("after %s: %+v", time.Since(began), report.Outcome)
	}
}

func TestASandboxIsScannedWhereItIs(t *testing.T) {
	tree := fixtures.NewTree(filepath.Join(t.TempDir(), "sandbox")).With(fixtures.Debian).Dir(".singularity.d")
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	if code, printed, report := newBench(t).scan(tree.Root); code != 0 || report.Summary.Packages != 3 {
		t.Errorf("exit code %d\n%s", code, printed)
	}
}

func TestQscannersBinaryIsTheOneThatWasNamed(t *testing.T) {
	good := double(t, "qscanner-double")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want int
		says string
	}{
		"another digest":    {[]string{"--qscanner-binary=" + good, "--mode=inventory-only", "--qscanner-sha256=" + strings.Repeat("0", 64)}, 2, "tampered with"},
		"no program":        {[]string{"--qscanner-binary=" + text, "--mode=inventory-only"}, 2, "no Linux program"},
		"not there":         {[]string{"--qscanner-binary=/nowhere/qscanner", "--mode=inventory-only"}, 2, "no such file"},
		"no token":          {[]string{"--qscanner-binary=" + good, "--platform=US2"}, 2, "QUALYS_ACCESS_TOKEN"},
		"an unknown mode":   {[]string{"--qscanner-binary=" + good, "--mode=guess"}, 2, "inventory-only"},
		"an unknown type":   {[]string{"--scan-types=everything"}, 2, "use pkg, fileinsight or secret"},
		"a wrong platform":  {[]string{"--qscanner-binary=" + good, "--mode=inventory-only", "--platform=https://evil"}, 2, "such as US2"},
		"a limit of no use": {[]string{"--tmp-limit=much"}, 2, "such as 10Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("QUALYS_ACCESS_TOKEN", "")
			code, stdout, stderr := agent(context.Background(), append([]string{"scan", "--engine=qscanner", "--output-dir=" + t.TempDir(), "x.sif"}, c.args...)...)
			if code != c.want || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("exit code %d, want %d with %q\n%s", code, c.want, c.says, stderr)
			}
		})
	}
}
