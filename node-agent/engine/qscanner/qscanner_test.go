package qscanner

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/execution"
)

func TestEveryExitCodeHasAMeaning(t *testing.T) {
	failed := v1alpha1.ReasonEngineFailed
	want := map[int]meaning{
		0:  {},
		15: {reason: v1alpha1.ReasonOSNotFound}, 17: {reason: v1alpha1.ReasonOSNotSupported},
		33: {reason: v1alpha1.ReasonUploadFailed, partial: true}, 37: {reason: v1alpha1.ReasonUploadFailed, partial: true},
		39: {reason: v1alpha1.ReasonUploadFailed, partial: true},
		40: {reason: v1alpha1.ReasonReportUnavailable, partial: true, again: true},
		41: {reason: v1alpha1.ReasonReportUnavailable, partial: true, again: true},
		42: {verdict: v1alpha1.ReasonPolicyDenied, partial: true}, 43: {verdict: v1alpha1.ReasonPolicyAudit, partial: true},
	}
	for code := range 256 {
		w, special := want[code]
		if !special {
			w = meaning{reason: failed}
		}
		got := meaningOf(code)
		if (got.message == "") != (got.reason == "") {
			t.Errorf("exit code %d: message %q for reason %q", code, got.message, got.reason)
		}
		got.message = ""
		if got != w {
			t.Errorf("exit code %d: got %+v, want %+v", code, got, w)
		}
	}
}

var target = engine.Target{
	Directory: "/tmp/w/rootfs", DisplayName: "/shared/a b.sif", Architecture: "arm64",
	ScanTypes: []engine.ScanType{engine.ScanPackages, engine.ScanSecrets}, Formats: []engine.Format{engine.FormatCycloneDX},
	ExcludeDirs: []string{"/opt/data", "proc", "../../up", "/", "a,b"},
}

var debian = engine.OS{Family: "debian", Name: "Debian GNU/Linux 12 (bookworm)"}

func TestTheCommandLine(t *testing.T) {
	dirs := execution.Dirs{Output: "/tmp/w/output", Cache: "/tmp/w/cache"}
	common := []string{
		"--scan-types", "pkg,secret", "--format", "json,spdx,cyclonedx", "--output-dir", "/tmp/w/output", "--cache-dir", "/tmp/w/cache",
		"--scan-timeout", "29m0s", "--log-level", "info",
		"--shell-commands", "uname -a=Linux Debian GNU/Linux 12 (bookworm) aarch64 GNU/Linux",
		"--scan-target-info", "asset_name=/shared/a b.sif",
	}
	excluded := []string{"--exclude-dirs", "/tmp/w/rootfs/opt/data,/tmp/w/rootfs/proc,/tmp/w/rootfs/up"}
	retries := []string{"--max-network-retries", "5", "--network-retry-wait-min", "10s", "--network-retry-wait-max", "15s"}
	for name, c := range map[string]struct {
		config Config
		want   []string
	}{
		"inventory-only talks to nobody": {
			Config{Mode: InventoryOnly, Platform: "US2", Offline: true},
			slices.Concat([]string{"--mode", "inventory-only"}, common, excluded, []string{"--offline-scan=true", "--skip-java-db-update=true"}),
		},
		"get-report asks a platform for SARIF": {
			Config{Mode: GetReport, Platform: "EU1", PolicyTags: []string{"unused"}},
			slices.Concat([]string{"--mode", "get-report"}, common, []string{"--report-format", "sarif"}, retries, []string{"--pod", "EU1"}, excluded),
		},
		"evaluate-policy through a proxy to a private gateway": {
			Config{Mode: EvaluatePolicy, Platform: "EU1", GatewayURL: "https://gw", Proxy: "http://p:3128", CertFile: "/ca.pem", PolicyTags: []string{"a", "b"}, JavaDB: "/db"},
			slices.Concat([]string{"--mode", "evaluate-policy"}, common, []string{"--report-format", "sarif"}, retries,
				[]string{"--gateway-url", "https://gw", "--proxy", "http://p:3128", "--cert-path", "/ca.pem"}, excluded,
				[]string{"--policy-tags", "a,b", "--skip-java-db-update=true"}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.config.arguments(target, debian, dirs, 29*time.Minute)
			if diff := cmp.Diff(append(c.want, "rootfs", "/tmp/w/rootfs"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnameIsWhatTheImageSaysAndNothingThatCouldBeExecuted(t *testing.T) {
	for name, c := range map[string]struct{ os, arch, want string }{
		"a system that says who it is":     {"Debian GNU/Linux 12 (bookworm)", "amd64", "Linux Debian GNU/Linux 12 (bookworm) x86_64 GNU/Linux"},
		"a system of an unknown machine":   {"Rocky Linux 9.3", "", "Linux Rocky Linux 9.3 GNU/Linux"},
		"a name that is a shell command":   {`x"; $(rm -rf /), --pod=evil` + "\n`id`", "amd64", "Linux x__ _(rm -rf /)_ --pod_evil__id_ x86_64 GNU/Linux"},
		"a name of ten thousand letters":   {strings.Repeat("a", 10000), "arm64", "Linux " + strings.Repeat("a", 128) + " aarch64 GNU/Linux"},
		"no name at all, of no machine":    {"", "", "Linux GNU/Linux"},
		"a name in letters of other lands": {"Дебиан 12", "amd64", "Linux ______ 12 x86_64 GNU/Linux"},
	} {
		t.Run(name, func(t *testing.T) {
			got := uname(engine.OS{Name: c.os}, c.arch)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestConfigurationIsCheckedBeforeAnythingIsExtracted(t *testing.T) {
	good := Config{Token: "a-token-of-some-length", Platform: "US2"}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"nothing to say":          {func(*Config) {}, ""},
		"a small platform":        {func(c *Config) { c.Platform = "eu2" }, ""},
		"an unknown mode":         {func(c *Config) { c.Mode = "all" }, "use get-report"},
		"no token":                {func(c *Config) { c.Token = "" }, "QUALYS_ACCESS_TOKEN"},
		"a token with its line":   {func(c *Config) { c.Token += "\n" }, "line break"},
		"no platform":             {func(c *Config) { c.Platform = "" }, "QUALYS_POD"},
		"a gateway of another":    {func(c *Config) { c.GatewayURL = "file:///etc/passwd" }, "https://host:port"},
		"a proxy that is none":    {func(c *Config) { c.Proxy = "proxy" }, "https://host:port"},
		"a tag that is two":       {func(c *Config) { c.PolicyTags = []string{"a,b"} }, "comma"},
		"inventory needs nothing": {func(c *Config) { *c = Config{Mode: InventoryOnly} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			c.change(&config)
			_, err := config.checked()
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	if c, err := (Config{Mode: InventoryOnly, Token: good.Token}).checked(); err != nil || c.Token != "" {
		t.Errorf("inventory-only keeps the token: %v", err)
	}
}

func TestTheGatewayIsAskedAsQscannerWillAskIt(t *testing.T) {
	answers := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	private := httptest.NewTLSServer(answers(http.StatusForbidden))
	defer private.Close()
	away := httptest.NewServer(answers(http.StatusServiceUnavailable))
	defer away.Close()
	proxy := httptest.NewServer(answers(http.StatusNoContent))
	defer proxy.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config Config
		reason string
	}{
		"of a private CA that is known":           {Config{GatewayURL: private.URL, CertFile: ca}, ""},
		"of a private CA that is not":             {Config{GatewayURL: private.URL}, v1alpha1.ReasonBackendUnreachable},
		"with a CA file that is none":             {Config{GatewayURL: private.URL, CertFile: "/dev/null"}, v1alpha1.ReasonEngineFailed},
		"that says it is away":                    {Config{GatewayURL: away.URL}, v1alpha1.ReasonBackendUnreachable},
		"through a proxy, by a name nobody knows": {Config{GatewayURL: "http://gateway.invalid", Proxy: proxy.URL}, ""},
		"by a name nobody knows":                  {Config{GatewayURL: "http://gateway.invalid"}, v1alpha1.ReasonBackendUnreachable},
		"through a proxy that is not there":       {Config{GatewayURL: away.URL, Proxy: "http://user:hidden-password@127.0.0.1:1"}, v1alpha1.ReasonBackendUnreachable},
		"of a platform without a certain address": {Config{Platform: "KSA1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.config.reach(context.Background())
			if got := reasonOf(err); got != c.reason {
				t.Errorf("got %v, want %q", err, c.reason)
			}
			if err != nil && strings.Contains(err.Error(), "hidden-password") {
				t.Errorf("the proxy's password is shown: %v", err)
			}
		})
	}
}

func TestASilentGatewayIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := (Config{GatewayURL: silent.URL}).reach(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if gatewayWithin >= 10*time.Second {
		t.Errorf("it is asked for %s", gatewayWithin)
	}
}

func TestAGatewayThatDoesNotAnswerIsNotAskedForEachImage(t *testing.T) {
	asked := 0
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer away.Close()
	e := &Engine{config: Config{Mode: GetReport, GatewayURL: away.URL}}
	for range 3 {
		if err := e.Ready(context.Background()); reasonOf(err) != v1alpha1.ReasonBackendUnreachable {
			t.Errorf("got %v", err)
		}
	}
	e.until = time.Now()
	if _ = e.Ready(context.Background()); asked != 2 {
		t.Errorf("asked %d times, want once, and once more after a while", asked)
	}
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return engine.ReasonOf(err)
}

// sarifOf is a SARIF document of one rule and one result.
func sarifOf(rule, properties string) []byte {
	return fmt.Appendf(nil, `{"runs": [{"results": [{"ruleId": "1", "properties": %s}],
"tool": {"driver": {"version": "4.8.0", "rules": [{"id": "1", %s}]}}}]}`, properties, rule)
}

func TestSARIFIsReadHoweverItIsWritten(t *testing.T) {
	const zlib = `{"QID": 38170, "vulnerableSoftware": [{"name": "zlib", "installedVersion": "1.2", "fixedVersion": "1.3"}]}`
	packages := []engine.Package{{Name: "zlib", Version: "1.2", PURL: "pkg:deb/debian/zlib@1.2?arch=amd64"}}
	for name, c := range map[string]struct {
		rule, properties string
		ids              []string
		severity         engine.Severity
		purl             string
	}{
		"a QID of two CVEs":            {`"properties": {"severity": 5, "cve-ids": ["CVE-2024-1", "cve-2024-1002", "CVE-2024-1002", "CVE-2024-1003"]}`, zlib, []string{"CVE-2024-1002", "CVE-2024-1003"}, engine.SeverityCritical, ""},
		"a QID without a CVE":          {`"properties": {"severity": "4"}`, zlib, []string{"QID-38170"}, engine.SeverityHigh, ""},
		"the customer's severity":      {`"properties": {"severity": 5, "customerSeverity": "2"}`, zlib, []string{"QID-38170"}, engine.SeverityLow, ""},
		"a score for a severity":       {`"properties": {"security-severity": "7.5"}`, zlib, []string{"QID-38170"}, engine.SeverityHigh, ""},
		"a level for a severity":       {`"defaultConfiguration": {"level": "warning"}`, zlib, []string{"QID-38170"}, engine.SeverityMedium, ""},
		"a severity beyond the scale":  {`"properties": {"severity": 9}`, zlib, []string{"QID-38170"}, engine.SeverityUnknown, ""},
		"one CVE without its list":     {`"properties": {"cve-ids": "CVE-2024-1002"}`, zlib, []string{"CVE-2024-1002"}, engine.SeverityUnknown, ""},
		"one package without its list": {`"properties": {}`, `{"QID": "7", "vulnerableSoftware": {"name": "zlib", "installedVersion": "1.2"}}`, []string{"QID-7"}, engine.SeverityUnknown, ""},
		"a package that no SBOM has":   {`"properties": {}`, `{"QID": 7, "vulnerableSoftware": [{"name": "a/b c", "installedVersion": 3}]}`, []string{"QID-7"}, engine.SeverityUnknown, "pkg:generic/a%2Fb%20c@3"},
		"no QID but the rule's number": {`"properties": []`, `{"vulnerableSoftware": [{"name": "zlib", "installedVersion": "1.2"}]}`, []string{"QID-1"}, engine.SeverityUnknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := readSARIF(sarifOf(c.rule, c.properties), packages)
			if err != nil || v.skipped != 0 || v.version != "4.8.0" {
				t.Fatalf("%+v, %v", v, err)
			}
			var ids []string
			for _, f := range v.findings {
				ids = append(ids, f.ID)
				want := packages[0].PURL
				if c.purl != "" {
					want = c.purl
				}
				if f.Severity != c.severity || f.PURL != want {
					t.Errorf("finding %+v", f)
				}
			}
			if diff := cmp.Diff(c.ids, ids); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAResultOfSeveralPackagesIsAFindingForEach(t *testing.T) {
	packages := []engine.Package{
		{Name: "libssl3", Version: "3.0", PURL: "pkg:deb/debian/libssl3@3.0?arch=amd64"},
		{Name: "libssl3", Version: "3.0", PURL: "pkg:deb/debian/libssl3@3.0?arch=i386"},
		{Name: "openssl", Version: "3.0", PURL: "pkg:deb/debian/openssl@3.0?arch=amd64"},
	}
	const three = `{"QID": 7, "vulnerableSoftware": [{"name": "openssl", "installedVersion": "3.0", "fixedVersion": "3.1"},
{"name": "libssl3", "installedVersion": "3.0", "fixedVersion": "3.2"}, {"name": "libssl3", "installedVersion": "3.0"}, {"name": "other", "installedVersion": "1"}]}`
	for level, want := range map[string]engine.Severity{
		"1": engine.SeverityLow, "2": engine.SeverityLow, "3": engine.SeverityMedium, "4": engine.SeverityHigh, "5": engine.SeverityCritical,
	} {
		t.Run("severity "+level, func(t *testing.T) {
			v, err := readSARIF(sarifOf(`"properties": {"severity": `+level+`, "cve-ids": ["CVE-2024-1002", "CVE-2024-1003"]}`, three), packages)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range v.findings {
				if f.Severity != want || f.IDs.QID != "7" || f.IDs.CVE != f.ID || f.Source != "Qualys" {
					t.Errorf("finding %+v, want severity %s", f, want)
				}
				got = append(got, f.ID+" "+f.PURL+" "+f.FixedVersion)
			}
			if diff := cmp.Diff([]string{
				"CVE-2024-1002 pkg:deb/debian/libssl3@3.0?arch=amd64 3.2", "CVE-2024-1002 pkg:deb/debian/openssl@3.0?arch=amd64 3.1", "CVE-2024-1002 pkg:generic/other@1 ",
				"CVE-2024-1003 pkg:deb/debian/libssl3@3.0?arch=amd64 3.2", "CVE-2024-1003 pkg:deb/debian/openssl@3.0?arch=amd64 3.1", "CVE-2024-1003 pkg:generic/other@1 ",
			}, got); diff != "" {
				t.Errorf("each vulnerability once for a package, whatever its architectures (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReportWithoutFindingsIsOneAndADocumentWithoutRunsIsNone(t *testing.T) {
	v, err := readSARIF([]byte(`{"runs": [{"results": []}]}`), nil)
	if err != nil || v.findings == nil || len(v.findings) != 0 {
		t.Errorf("no findings: %+v, %v", v, err)
	}
	for _, text := range []string{``, `{}`, `[]`, `{"runs": []}`, `{"runs": 5}`, `{"runs": [{]}`, `"runs"`} {
		if v, err := readSARIF([]byte(text), nil); err == nil {
			t.Errorf("%s passes for a report of %d findings", text, len(v.findings))
		}
	}
}

func TestAnImageIsScannedAnewEachDayWhenThePlatformJudgesIt(t *testing.T) {
	day := time.Date(2026, 11, 1, 23, 0, 0, 0, time.UTC)
	for mode, changes := range map[Mode]bool{GetReport: true, EvaluatePolicy: true, ScanOnly: false, InventoryOnly: false} {
		e := &Engine{config: Config{Mode: mode}}
		if got := !slices.Equal(e.Settings(day), e.Settings(day.Add(2*time.Hour))); got != changes {
			t.Errorf("%s: scanned anew the next day: %v, want %v", mode, got, changes)
		}
	}
}
