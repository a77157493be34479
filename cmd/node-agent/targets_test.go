// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	distribution "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// outcomes are the reports below a directory: path → reason, or "packages: n".
func outcomes(t *testing.T, out string) map[string]v1alpha1.Report {
	t.Helper()
	found := map[string]v1alpha1.Report{}
	files, err := filepath.Glob(filepath.Join(out, "*", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r v1alpha1.ScanReport
		if err := json.Unmarshal(body, &r); err != nil {
			t.Fatal(err)
		}
		found[r.Report.Target.Path] = r.Report
	}
	return found
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAListOfTargetsIsScannedLineByLine(t *testing.T) {
	image, out := sif(t), t.TempDir()
	list := write(t, t.TempDir(), "targets.txt", "\xef\xbb\xbf# our images\r\n\r\n"+image+"\r\nsif:"+image+"\r\n/nowhere/gone.sif\r\n#/commented/out.sif\r\n")
	code, _, stderr := agent(context.Background(), "scan", "--targets-file="+list, "--output-dir="+out)
	if code != exitFailed || !strings.Contains(stderr, "/nowhere/gone.sif") || strings.Contains(stderr, "commented") {
		t.Errorf("exit code %d, said %q", code, stderr)
	}
	if got := outcomes(t, out); len(got) != 1 || got[image].Summary == nil {
		t.Errorf("reports %v", got)
	}

	_, stdout, _ := agentReading(strings.NewReader(image+"\n"), "scan", "--targets-file=-", "--output-dir="+t.TempDir())
	if !strings.Contains(stdout, image) {
		t.Errorf("the list on the standard input was not read: %q", stdout)
	}
	for list, want := range map[string]int{"# nothing\n": exitFailed, "\x00": exitUsage} {
		if code, _, _ := agent(context.Background(), "scan", "--targets-file="+write(t, t.TempDir(), "l", list), "--output-dir="+t.TempDir()); code != want {
			t.Errorf("the list %q ends with %d, want %d", list, code, want)
		}
	}
}

// agentReading runs the agent with a standard input.
func agentReading(stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	cmd := agentProcess(args...)
	var o, e bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &o, &e
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// source is a repository with some lock files, an installed module that ships its own, and a file of the machine behind a link.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/m\n\ngo 1.26\n\nrequire example.com/dep v1.2.3\n")
	write(t, dir, "requirements.txt", "numpy==1.26.4\n")
	write(t, dir, "web/package-lock.json", `{"lockfileVersion":3,"packages":{"":{"name":"web"},"node_modules/left-pad":{"version":"1.3.0"}}}`)
	write(t, dir, "web/node_modules/left-pad/package-lock.json", `{"lockfileVersion":3,"packages":{"node_modules/tap":{"version":"9.9.9"}}}`)
	write(t, dir, "Cargo.lock", "version = 3\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.200\"\n")
	write(t, dir, "app/pom.xml", `<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version><dependencies><dependency><groupId>org.slf4j</groupId><artifactId>slf4j-api</artifactId><version>2.0.9</version></dependency></dependencies></project>`)
	write(t, dir, "gradle.lockfile", "org.apache.commons:commons-lang3:3.14.0=runtimeClasspath\n")
	write(t, dir, "composer.lock", `{"packages":[{"name":"monolog/monolog","version":"3.5.0","type":"library"}]}`)
	write(t, dir, "etc/os-release", "ID=sample\n")
	outside := write(t, t.TempDir(), "requirements.txt", "stolen==1.0\n")
	if err := os.Symlink(outside, filepath.Join(dir, "constraints-requirements.txt")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestARepositoryIsWhatItsLockFilesName(t *testing.T) {
	dir, out := source(t), t.TempDir()
	code, stdout, stderr := agent(context.Background(), "scan", "--kind=repo", "--output-dir="+out, "--formats=json", dir)
	if code != exitDone {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	report := outcomes(t, out)[dir]
	if report.Target.Kind != "repo" || report.OS != nil || report.Outcome.Coverage != v1alpha1.CoverageComplete {
		t.Errorf("target %+v, os %v, outcome %+v", report.Target, report.OS, report.Outcome)
	}
	want := []string{
		"pkg:cargo/serde@1.0.200", "pkg:composer/monolog/monolog@3.5.0", "pkg:golang/example.com/dep@1.2.3", "pkg:golang/stdlib@1.26",
		"pkg:maven/org.apache.commons/commons-lang3@3.14.0", "pkg:maven/org.slf4j/slf4j-api@2.0.9", "pkg:npm/left-pad@1.3.0", "pkg:pypi/numpy@1.26.4",
	}
	if diff := cmp.Diff(want, purlsIn(t, out)); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

// purlsIn are the package URLs of the only inventory.json below a directory.
func purlsIn(t *testing.T, out string) (purls []string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(out, "*", "inventory.json"))
	if len(files) != 1 {
		t.Fatalf("inventories %v", files)
	}
	body, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var inventory struct {
		Packages []struct {
			PURL string `json:"purl"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(body, &inventory); err != nil {
		t.Fatal(err)
	}
	for _, p := range inventory.Packages {
		purls = append(purls, p.PURL)
	}
	return purls
}

func TestADirectoryIsARootFilesystemWithoutAnImagesMark(t *testing.T) {
	tree := fixtures.NewTree(filepath.Join(t.TempDir(), "root"))
	fixtures.Alpine(tree)
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	code, stdout, stderr := agent(context.Background(), "scan", "--kind=rootfs", "--output-dir="+out, tree.Root)
	report := outcomes(t, out)[tree.Root]
	if code != exitDone || report.Target.Kind != "directory" || report.Summary == nil || report.Summary.Packages != 3 || report.OS == nil || report.OS.Family != "alpine" {
		t.Errorf("exit code %d, report %+v\n%s%s", code, report, stdout, stderr)
	}
}

func TestADirectoryWithNothingInItIsNoCleanOne(t *testing.T) {
	for _, kind := range []string{"rootfs", "repo"} {
		out := t.TempDir()
		dir := filepath.Dir(write(t, t.TempDir(), "README", "hello"))
		code, _, _ := agent(context.Background(), "scan", "--kind="+kind, "--output-dir="+out, dir)
		if got := outcomes(t, out)[dir].Outcome.Reason; code != exitFailed || got != v1alpha1.ReasonEmptyInventory {
			t.Errorf("%s: exit code %d, reason %q", kind, code, got)
		}
	}
	if code, _, stderr := agent(context.Background(), "scan", "--kind=folder", "x"); code != exitUsage || !strings.Contains(stderr, "rootfs or repo") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestExecutedEnginesScanRepositoriesWithCommandsOfTheirOwn(t *testing.T) {
	for name, args := range map[string][]string{
		"qscanner": {"--engine=qscanner", "--mode=inventory-only", "--qscanner-binary=" + double(t, "qscanner-double")},
		"trivy":    {"--engine=trivy", "--trivy-binary=" + double(t, "trivy-double"), "--db=" + trivyCache(t, false)},
	} {
		out, dir := t.TempDir(), source(t)
		code, stdout, stderr := agent(context.Background(), append(args, "scan", "--tmp-dir="+t.TempDir(), "--output-dir="+out, "--kind=repo", dir)...)
		report := outcomes(t, out)[dir]
		if code != exitDone || report.Summary == nil || report.Summary.Packages != 1 || report.OS != nil {
			t.Errorf("%s: exit code %d, report %+v\n%s%s", name, code, report, stdout, stderr)
		}
	}
}

// hub is a registry behind TLS with one image, a Debian, that needs an account.
type hub struct {
	*httptest.Server
	caFile, authFile, reference string
	blobs                       atomic.Int64 // that were asked for
}

func newHub(t *testing.T) *hub {
	t.Helper()
	tree := fixtures.NewTree(filepath.Join(t.TempDir(), "root"))
	fixtures.Debian(tree)
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := errors.Join(w.AddFS(os.DirFS(tree.Root).(fs.ReadLinkFS)), w.Close()); err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), static.NewLayer(layer.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{}
	open := true
	inner := distribution.New(distribution.Logger(log.New(io.Discard, "", 0)))
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); !open && (user != "scanner" || password != token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="hub"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			h.blobs.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(h.Close)
	host := strings.TrimPrefix(h.URL, "https://")
	h.reference = host + "/team/debian:12"
	ref, err := name.ParseReference(h.reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithTransport(h.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	open = false
	h.blobs.Store(0)
	dir := t.TempDir()
	h.caFile = write(t, dir, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})))
	auth, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": "scanner", "password": token}}})
	if err != nil {
		t.Fatal(err)
	}
	h.authFile = write(t, dir, "auth.json", string(auth))
	return h
}

func TestAnImageInARegistryIsScannedWithEveryEngine(t *testing.T) {
	h := newHub(t)
	for name, args := range map[string][]string{
		"native":   {"--engine=native"},
		"qscanner": {"--engine=qscanner", "--mode=inventory-only", "--qscanner-binary=" + double(t, "qscanner-double")},
		"trivy":    {"--engine=trivy", "--trivy-binary=" + double(t, "trivy-double"), "--db=" + trivyCache(t, false)},
	} {
		t.Run(name, func(t *testing.T) {
			out, tmp := t.TempDir(), t.TempDir()
			code, stdout, stderr := agent(context.Background(), append(args, "scan", "--authfile="+h.authFile, "--ca-file="+h.caFile,
				"--tmp-dir="+tmp, "--output-dir="+out, "docker://"+h.reference)...)
			report := outcomes(t, out)[h.reference]
			if code != exitDone || report.Summary == nil || report.Summary.Packages == 0 || report.OS == nil || report.OS.Family != "debian" {
				t.Fatalf("exit code %d, report %+v\n%s%s", code, report, stdout, stderr)
			}
			target := report.Target
			if target.Kind != "oci" || target.Reference != h.reference || !strings.HasPrefix(target.Digest, "sha256:") || target.ClaimName != "" {
				t.Errorf("target %+v", target)
			}
			if report.Image == nil || len(report.Image.Layers) != 1 {
				t.Errorf("image %+v", report.Image)
			}
			if left, _ := os.ReadDir(tmp); len(left) != 0 {
				t.Errorf("left in tmp: %v", left)
			}
			for _, text := range []string{stdout, stderr} {
				if strings.Contains(text, token) {
					t.Error("the password was printed")
				}
			}
		})
	}
}

func TestAnImageInARegistryThatCannotBeScanned(t *testing.T) {
	h := newHub(t)
	for name, tc := range map[string]struct {
		args   []string
		reason string
	}{
		"without an account":    {[]string{"--ca-file=" + h.caFile, "image:" + h.reference}, v1alpha1.ReasonCredentialsRejected},
		"without its CA":        {[]string{"--authfile=" + h.authFile, "image:" + h.reference}, v1alpha1.ReasonBackendUnreachable},
		"of another name":       {[]string{"--ca-file=" + h.caFile, "--authfile=" + h.authFile, "image:" + h.reference + "9"}, v1alpha1.ReasonNoTargets},
		"larger than tmp":       {[]string{"--ca-file=" + h.caFile, "--authfile=" + h.authFile, "--tmp-limit=8Ki", "image:" + h.reference}, v1alpha1.ReasonTmpTooSmall},
		"and there is no tmp":   {[]string{"--ca-file=" + h.caFile, "--authfile=" + h.authFile, "--tmp-dir=/proc/nowhere", "image:" + h.reference}, v1alpha1.ReasonTmpTooSmall},
		"by a broken reference": {[]string{"image:UPPER CASE"}, v1alpha1.ReasonNoTargets},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			code, stdout, stderr := agent(context.Background(), append([]string{"scan", "--output-dir=" + out}, tc.args...)...)
			for _, report := range outcomes(t, out) {
				if code == exitFailed && report.Outcome.Reason == tc.reason && report.Outcome.Message != "" {
					return
				}
			}
			t.Errorf("exit code %d, reports %v; want %s\n%s%s", code, outcomes(t, out), tc.reason, stdout, stderr)
		})
	}
}

func TestAPodLeavesBehindWhyItsTargetsCannotBeRead(t *testing.T) {
	list := write(t, t.TempDir(), "targets.txt", "image:registry.example/app\n")
	for name, tc := range map[string]struct {
		auth, reason, says string
		args               []string
	}{
		"a list without its key":          {"", v1alpha1.ReasonInvalidSpec, "no key gone.txt", []string{"--targets-file=/nowhere/gone.txt"}},
		"a list that is none":             {"", v1alpha1.ReasonInvalidSpec, "NUL byte", []string{"--targets-file=" + write(t, t.TempDir(), "l", "\x00")}},
		"a Secret of another type":        {"password: s3cret", v1alpha1.ReasonCredentialsMissing, "kubernetes.io/dockerconfigjson", []string{"--targets-file=" + list}},
		"a CA's ConfigMap that is absent": {"", v1alpha1.ReasonCredentialsMissing, "--registry-ca-configmap", []string{"--registry-ca-file=/nowhere/ca.crt", "--targets-file=" + list}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(registryAuth, tc.auth)
			left := write(t, t.TempDir(), "termination-log", "")
			args := append([]string{"scan", "--results-dir=" + t.TempDir(), "--state-dir=" + t.TempDir(), "--termination-log=" + left}, tc.args...)
			code, _, stderr := agent(context.Background(), args...)
			text, err := os.ReadFile(left)
			if err != nil {
				t.Fatal(err)
			}
			var said struct{ Reason, Message string }
			if err := json.Unmarshal(text, &said); code != exitUsage || err != nil || said.Reason != tc.reason || !strings.Contains(said.Message, tc.says) || strings.Contains(string(text), "s3cret") {
				t.Errorf("exit code %d, left %s (%v), want %s: …%s…\n%s", code, text, err, tc.reason, tc.says, stderr)
			}
		})
	}
}
