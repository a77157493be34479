// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/sifscan/sifscan-operator/node-agent/registry"
)

// reasonOf is the reason of an error of this package.
func reasonOf(err error) string {
	var e *registry.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func TestAnImageIsFetchedOverTLSWithAPrivateCAAndAnAccount(t *testing.T) {
	s := newSite(t)
	s.user, s.password = "scanner", "s3cret"
	ref := s.push("team/app:1.0", configured(t, image(t, layer(t, file("etc/os-release", "ID=alpine\n")), layer(t, file("bin/app", "#!"))),
		func(c *v1.ConfigFile) { c.Config.Labels = map[string]string{"a": "b"} }))
	img, err := s.client(withAccount(s.host(), "scanner", "s3cret")).Image(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if len(img.Layers) != 2 || img.Digest != img.ManifestDigest || img.Architecture != "amd64" || img.SizeBytes == 0 || img.Labels["a"] != "b" {
		t.Errorf("the image is %+v", img)
	}
	dir := filepath.Join(t.TempDir(), "rootfs")
	used, err := img.Unpack(context.Background(), dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("bin/\nbin/app #!\netc/\netc/os-release ID=alpine\n", list(t, dir)); diff != "" {
		t.Error(diff)
	}
	if used != 4*4096 {
		t.Errorf("%d bytes used, want 4 blocks", used)
	}
}

func TestWhatARegistryAnswersHasAReason(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*site) (*registry.Client, string)
		want    string
		says    string
	}{
		"no account": {func(s *site) (*registry.Client, string) {
			s.user = "scanner"
			return s.client(), s.reference("app")
		}, "CredentialsRejected", "pullSecretName"},
		"a wrong password": {func(s *site) (*registry.Client, string) {
			s.user, s.password = "scanner", "right"
			return s.client(withAccount(s.host(), "scanner", "wrong")), s.reference("app")
		}, "CredentialsRejected", "pullSecretName"},
		"an account that may not read it": {func(s *site) (*registry.Client, string) {
			s.before = answer(http.StatusForbidden, "/manifests/")
			return s.client(), s.reference("app")
		}, "CredentialsRejected", "DENIED"},
		"no such image": {func(s *site) (*registry.Client, string) { return s.client(), s.reference("app:missing") }, "NoTargets", "check the reference"},
		"a registry that is down": {func(s *site) (*registry.Client, string) {
			s.before = answer(http.StatusServiceUnavailable, "/v2/")
			return s.client(), s.reference("app")
		}, "BackendUnreachable", "does not answer"},
		"nobody at the address": {func(s *site) (*registry.Client, string) {
			s.server.Close()
			return s.client(), s.reference("app")
		}, "BackendUnreachable", "the registry cannot be reached: 127.0.0.1:"},
		"no such host": {func(s *site) (*registry.Client, string) {
			return s.client(), "nowhere.invalid/app"
		}, "BackendUnreachable", "nowhere.invalid"},
		"a CA that is not trusted": {func(s *site) (*registry.Client, string) {
			return s.client(func(o *registry.Options) { o.CAFile = "" }), s.reference("app")
		}, "BackendUnreachable", "certificate"},
		"no reference": {func(s *site) (*registry.Client, string) { return s.client(), "https://Bad Reference" }, "NoTargets", "no reference"},
		"nonsense": {func(s *site) (*registry.Client, string) {
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
				_, _ = w.Write([]byte("{nonsense"))
				return true
			}
			return s.client(), s.reference("app")
		}, "CorruptImage", "manifest"},
		"an endless manifest": {func(s *site) (*registry.Client, string) {
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				for block := make([]byte, 1<<20); ; {
					if _, err := w.Write(block); err != nil {
						return true
					}
				}
			}
			return s.client(), s.reference("app")
		}, "CorruptImage", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, ref := tc.prepare(newSite(t))
			_, err := client.Image(context.Background(), ref)
			if reasonOf(err) != tc.want || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %q: %v; want %s, saying %q", reasonOf(err), err, tc.want, tc.says)
			}
			for _, secret := range []string{"wrong", "s3cret"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error repeats the password: %v", err)
				}
			}
			if reasonOf(err) == "BackendUnreachable" && strings.Contains(err.Error(), "http is not used") {
				t.Errorf("the error speaks of what nobody asked for: %v", err)
			}
		})
	}
}

func answer(status int, path string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, path) {
			return false
		}
		http.Error(w, `{"errors":[{"code":"DENIED"}]}`, status)
		return true
	}
}

// serve answers requests of a path with a body.
func serve(path string, body []byte) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, path) {
			return false
		}
		_, _ = w.Write(body)
		return true
	}
}

func TestAnAddressThatTakesConnectionsAndSaysNothingCostsBoundedTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newSite(t)
	start := time.Now()
	_, err = s.client(func(o *registry.Options) { o.Wait = 200 * time.Millisecond }).Image(context.Background(), l.Addr().String()+"/app")
	if reasonOf(err) != "BackendUnreachable" || time.Since(start) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}

// A private address is asked with http by go-containerregistry where https does not answer at once.
func TestNothingIsSentInTheClear(t *testing.T) {
	asked := 0
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer plain.Close()
	s := newSite(t)
	host := strings.TrimPrefix(plain.URL, "http://")
	_, err := s.client(withAccount(host, "u", "p")).Image(context.Background(), host+"/app")
	if reasonOf(err) != "BackendUnreachable" || asked != 0 {
		t.Errorf("%d requests without TLS, error %v", asked, err)
	}
}

func TestALayerThatStopsHalfwayIsTheRegistrysFault(t *testing.T) {
	for name, stall := range map[string]bool{"the connection breaks": false, "the registry falls silent": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			ref := s.push("app", image(t, layer(t, file("a", strings.Repeat("x", 1<<20)))))
			img, err := s.client(func(o *registry.Options) { o.Wait = 300 * time.Millisecond }).Image(context.Background(), ref)
			if err != nil {
				t.Fatal(err)
			}
			release := make(chan struct{})
			defer close(release)
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				_, _ = w.Write([]byte{0x1f, 0x8b, 8, 0, 0})
				w.(http.Flusher).Flush()
				if stall {
					<-release
				}
				panic(http.ErrAbortHandler)
			}
			_, err = img.Unpack(context.Background(), filepath.Join(t.TempDir(), "r"), 1<<30)
			if reasonOf(err) != "BackendUnreachable" {
				t.Errorf("got %q: %v", reasonOf(err), err)
			}
		})
	}
}

func TestTheImageForThePlatformIsChosen(t *testing.T) {
	s := newSite(t)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: image(t, layer(t, file("arch", "attestation"))), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: image(t, layer(t, file("arch", "arm64"))), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: image(t, layer(t, file("arch", "amd64"))), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
	)
	ref := s.push("multi", index)
	img, err := s.client().Image(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r")
	if _, err := img.Unpack(context.Background(), dir, 0); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, dir); got != "arch amd64" || img.Digest != digest.String() || img.ManifestDigest == img.Digest {
		t.Errorf("found %s; digests %s and %s", got, img.Digest, img.ManifestDigest)
	}
	_, err = s.client(func(o *registry.Options) { o.Architecture = "s390x" }).Image(context.Background(), ref)
	if reasonOf(err) != "Unsupported" || !strings.Contains(err.Error(), "linux/arm64, linux/amd64") {
		t.Errorf("for an architecture that it does not come in: %v", err)
	}
}

func TestADigestThatIsKnownCostsOneRequest(t *testing.T) {
	s := newSite(t)
	ref := s.push("app", image(t, layer(t, file("a", "b"))))
	client := s.client()
	before := s.requests.Load()
	if _, err := client.Digest(context.Background(), ref); err != nil {
		t.Fatal(err)
	}
	if n := s.requests.Load() - before; n != 2 { // /v2/, which tells how to authenticate, and the manifest
		t.Errorf("%d requests", n)
	}
}

func TestWhatIsNoRootFilesystemIsNotSupported(t *testing.T) {
	for name, tc := range map[string]struct {
		img  func(*testing.T) v1.Image
		says string
	}{
		"a Helm chart": {func(t *testing.T) v1.Image {
			return mutate.ConfigMediaType(image(t), "application/vnd.cncf.helm.config.v1+json")
		}, "artifact"},
		"an encrypted image": {func(t *testing.T) v1.Image {
			return image(t, static.NewLayer([]byte("x"), types.OCILayer+"+encrypted"))
		}, "encrypted"},
		"a SIF in a layer": {func(t *testing.T) v1.Image {
			return image(t, static.NewLayer([]byte("x"), "application/vnd.sylabs.sif.layer.v1.sif"))
		}, "sif"},
		"an image of Windows": {func(t *testing.T) v1.Image {
			return configured(t, image(t, layer(t, file("a", "b"))), func(c *v1.ConfigFile) { c.OS = "windows" })
		}, "windows"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			_, err := s.client().Image(context.Background(), s.push("app", tc.img(t)))
			if reasonOf(err) != "Unsupported" || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want Unsupported with %q", err, tc.says)
			}
		})
	}
}

func TestTheEndOfAScanEndsItsDownload(t *testing.T) {
	s := newSite(t)
	ref := s.push("app", image(t, layer(t, file("a", "b"))))
	img, err := s.client().Image(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := errors.New("time is up")
	cancel(ended)
	if _, err := img.Unpack(ctx, filepath.Join(t.TempDir(), "r"), 0); !errors.Is(err, ended) {
		t.Errorf("got %v", err)
	}
	if _, err := s.client().Image(ctx, ref); !errors.Is(err, ended) {
		t.Errorf("got %v", err)
	}
}

func TestConfigurationThatCannotBeReadIsRefused(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(notPEM, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]registry.Options{
		"no certificates":    {CAFile: notPEM},
		"no such file":       {CAFile: notPEM + "x"},
		"no JSON":            {Credentials: []byte("s3cret")},
		"auth is no base64":  {Credentials: []byte(`{"auths":{"a":{"auth":"s3cret"}}}`)},
		"auth without colon": {Credentials: []byte(`{"auths":{"a":{"auth":"czNjcmV0"}}}`)},
	} {
		if _, err := registry.New(o); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
