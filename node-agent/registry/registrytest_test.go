// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	distribution "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/sifscan/sifscan-operator/node-agent/registry"
)

// site is a registry behind TLS with a CA of its own.
type site struct {
	t        *testing.T
	server   *httptest.Server
	caFile   string
	requests atomic.Int64
	// account that is asked for; empty: none.
	user, password string
	// before, if set, may answer a request instead of the registry.
	before func(http.ResponseWriter, *http.Request) bool
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	inner := distribution.New(distribution.Logger(log.New(io.Discard, "", 0)))
	s.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if user, password, _ := r.BasicAuth(); s.user != "" && (user != s.user || password != s.password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="site"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		if s.before == nil || !s.before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.server.Close)
	s.caFile = filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
	if err := os.WriteFile(s.caFile, certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) host() string { return strings.TrimPrefix(s.server.URL, "https://") }

func (s *site) reference(repository string) string { return s.host() + "/" + repository }

// push stores an image or an index, without a registry's checks of what is in it.
func (s *site) push(repository string, what remote.Taggable) string {
	s.t.Helper()
	ref, err := name.ParseReference(s.reference(repository))
	if err != nil {
		s.t.Fatal(err)
	}
	user, password := s.user, s.password
	s.user = "" // pushed by an administrator
	defer func() { s.user, s.password = user, password }()
	switch x := what.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, x, remote.WithTransport(s.server.Client().Transport))
	case v1.Image:
		err = remote.Write(ref, x, remote.WithTransport(s.server.Client().Transport))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return ref.String()
}

func (s *site) client(change ...func(*registry.Options)) *registry.Client {
	s.t.Helper()
	o := registry.Options{CAFile: s.caFile, Architecture: "amd64", Wait: 2 * time.Second}
	for _, fn := range change {
		fn(&o)
	}
	c, err := registry.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func withAccount(host, user, password string) func(*registry.Options) {
	return func(o *registry.Options) {
		o.Credentials, _ = json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": user, "password": password}}})
	}
}

// entry of a layer.
type entry struct {
	name string
	kind byte
	link string
	body string
	mode int64
	size int64 // of a file whose content is not all there
}

func file(name, body string) entry   { return entry{name: name, kind: tar.TypeReg, body: body} }
func dir(name string) entry          { return entry{name: name, kind: tar.TypeDir} }
func symlink(name, to string) entry  { return entry{name: name, kind: tar.TypeSymlink, link: to} }
func hardlink(name, to string) entry { return entry{name: name, kind: tar.TypeLink, link: to} }

// archive is a layer's tar.
func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		mode := e.mode
		if mode == 0 {
			mode = 0o644
		}
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: mode, Size: int64(len(e.body)), Format: tar.FormatPAX}
		if e.size > 0 {
			h.Size = e.size
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if len(entries) == 0 || entries[len(entries)-1].size == 0 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func layer(t *testing.T, entries ...entry) v1.Layer {
	t.Helper()
	return static.NewLayer(zipped(t, archive(t, entries...)), types.OCILayer)
}

// image of layers, the lowest first.
func image(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), layers...)
	if err != nil {
		t.Fatal(err)
	}
	return configured(t, img, func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", "amd64" })
}

func configured(t *testing.T, img v1.Image, change func(*v1.ConfigFile)) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	change(config)
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// list is what a directory holds: a line for each name with its type and content, in order.
func list(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		name, _ := filepath.Rel(root, p)
		switch {
		case d.IsDir():
			lines = append(lines, name+"/")
		case d.Type()&os.ModeSymlink != 0:
			to, _ := os.Readlink(p)
			lines = append(lines, name+" -> "+to)
		default:
			body, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			lines = append(lines, fmt.Sprintf("%s %s", name, body))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
