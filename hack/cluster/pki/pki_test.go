package pki

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func server() Request {
	return Request{
		CommonName: "kube-apiserver", DNSNames: []string{"kubernetes"}, IPs: []net.IP{net.IPv4(10, 213, 0, 2)}, Server: true,
	}
}

func authority(t *testing.T, dir string) *Authority {
	t.Helper()
	a, err := EnsureAuthority(dir, "test", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ensure(t *testing.T, a *Authority, dir string, r Request, at time.Time) Pair {
	t.Helper()
	pair, err := a.Ensure(dir, "leaf", r, at)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestACertificateIsAcceptedByThoseWhoTrustTheAuthority(t *testing.T) {
	dir := t.TempDir()
	a := authority(t, dir)
	cert, _, err := parsePair(ensure(t, a, dir, server(), now))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.PEM)
	for _, name := range []string{"kubernetes", "10.213.0.2"} {
		options := x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		if _, err := cert.Verify(options); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
}

func TestAClientCertificateDoesNotServe(t *testing.T) {
	dir := t.TempDir()
	a := authority(t, dir)
	cert, _, err := parsePair(ensure(t, a, dir, Request{CommonName: "admin", Organizations: []string{"system:masters"}}, now))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.PEM)
	options := x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if _, err := cert.Verify(options); err == nil {
		t.Error("it was accepted as a server's")
	}
}

func TestACertificateIsMadeAgainOnlyWhenItMustBe(t *testing.T) {
	cut := func(t *testing.T, file string) {
		if err := os.Truncate(file, 40); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		damage  func(t *testing.T, dir string)
		request func(*Request)
		at      time.Time
		again   bool
	}{
		"it is kept when nothing changed":        {},
		"it is kept for years":                   {at: now.AddDate(5, 0, 0)},
		"it is made again when it has expired":   {at: now.AddDate(11, 0, 0), again: true},
		"it is made again for another address":   {request: func(r *Request) { r.IPs[0] = net.IPv4(10, 213, 1, 2) }, again: true},
		"it is made again for another user":      {request: func(r *Request) { r.CommonName = "other" }, again: true},
		"it is made again for another group":     {request: func(r *Request) { r.Organizations = []string{"system:masters"} }, again: true},
		"it is made again when it is cut short":  {damage: func(t *testing.T, dir string) { cut(t, filepath.Join(dir, "leaf.crt")) }, again: true},
		"it is made again when its key is empty": {damage: func(t *testing.T, dir string) { cut(t, filepath.Join(dir, "leaf.key")) }, again: true},
		"it is made again when its key is another's": {damage: func(t *testing.T, dir string) {
			other := t.TempDir()
			pair := ensure(t, authority(t, other), other, server(), now)
			if err := os.WriteFile(filepath.Join(dir, "leaf.key"), pair.Key, 0o600); err != nil {
				t.Fatal(err)
			}
		}, again: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := authority(t, dir)
			before := ensure(t, a, dir, server(), now)
			if c.damage != nil {
				c.damage(t, dir)
			}
			r, at := server(), now
			if c.request != nil {
				c.request(&r)
			}
			if !c.at.IsZero() {
				at = c.at
			}
			after := ensure(t, a, dir, r, at)
			if again := string(after.Cert) != string(before.Cert); again != c.again {
				t.Errorf("made again: %t, want %t", again, c.again)
			}
			if _, _, err := parsePair(after); err != nil {
				t.Errorf("the pair is not fit for use: %v", err)
			}
		})
	}
}

func TestANewAuthorityMakesOldCertificatesInvalid(t *testing.T) {
	dir := t.TempDir()
	before := ensure(t, authority(t, dir), dir, server(), now)
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	after := ensure(t, authority(t, dir), dir, server(), now)
	if string(before.Cert) == string(after.Cert) {
		t.Error("a certificate of the lost authority was kept")
	}
}

func TestAKeyIsKeptUnlessItIsDamaged(t *testing.T) {
	dir := t.TempDir()
	read := func() string {
		if err := EnsureKey(dir, "tokens"); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "tokens.key"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	first := read()
	if read() != first {
		t.Error("a good key was replaced")
	}
	if err := os.Truncate(filepath.Join(dir, "tokens.key"), 10); err != nil {
		t.Fatal(err)
	}
	if read() == first {
		t.Error("the damaged key came back")
	}
}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	ensure(t, authority(t, dir), dir, server(), now)
	for _, name := range []string{"ca.key", "leaf.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode().Perm())
		}
	}
}
