// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer that is no blob. Registries refuse manifests above 4 MiB.
const maxAnswer = 8 << 20

var (
	errInsecure = errors.New("the registry, or one that it refers to, wants to be asked without TLS: http is not used")
	errSilent   = errors.New("the registry fell silent")
	errTooLong  = fmt.Errorf("the registry's answer is longer than %d bytes", maxAnswer)
)

// secured asks over TLS only, and neither waits for ever nor reads without end.
type secured struct {
	next http.RoundTripper
	wait time.Duration
}

func newTransport(caFile string, wait time.Duration) (http.RoundTripper, error) {
	roots, err := trusted(caFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(wait, 10*time.Second)}
	return &secured{wait: wait, next: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   min(wait, 10*time.Second),
		ResponseHeaderTimeout: wait,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       wait,
		// A layer is compressed already, and its digest is that of the bytes as they come.
		DisableCompression: true,
	}}, nil
}

// trusted are the system's certificates and those of the file.
func trusted(caFile string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if caFile == "" {
		return roots, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("the certificates of a private CA: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", caFile)
	}
	return roots, nil
}

// RoundTrip sends a request.
//
// go-containerregistry falls back to http for registries with a private address, and does not wait
// long before it does (transport.Ping): credentials would go out in the clear to whoever blocks port 443.
func (t *secured) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		return nil, errInsecure
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	res, err := t.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(err)
		return nil, err
	}
	left := int64(maxAnswer)
	if isBlob(req) {
		left = -1 // its size is checked by who reads it
	}
	res.Body = &body{ReadCloser: res.Body, cancel: cancel, wait: t.wait, left: left,
		timer: time.AfterFunc(t.wait, func() { cancel(errSilent) })}
	return res, nil
}

// isBlob tells whether a request, or the one that was redirected to it, is for a blob.
func isBlob(req *http.Request) bool {
	for {
		if strings.Contains(req.URL.Path, "/blobs/") {
			return true
		}
		if req.Response == nil || req.Response.Request == nil {
			return false
		}
		req = req.Response.Request
	}
}

// body ends when nothing came for a while, or too much.
type body struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
	timer  *time.Timer
	wait   time.Duration
	left   int64 // -1: any number of bytes
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.wait)
	n, err := b.ReadCloser.Read(p)
	// Between two reads time belongs to the reader, who may be writing to a slow disk.
	if !b.timer.Stop() && err != nil && !errors.Is(err, io.EOF) {
		err = errors.Join(errSilent, err)
	}
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			return 0, errTooLong
		}
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
