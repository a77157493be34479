// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// OperatorConfig is what the administrator decides for every scan; nothing in a SIFScan overrides it.
type OperatorConfig struct {
	// AgentImage runs as scanner and as reporter.
	AgentImage string
	// Identity reads the volumes where the Namespace's annotations do not say otherwise.
	Identity Identity
	// Database is what scans match packages with that name none: a file on a claim of this name
	// in the scan's namespace. Where the namespace has no such claim, nothing is assessed. Nil: none.
	Database *v1alpha1.DatabaseSource
	// RegistryCAConfigMap is the name of a ConfigMap in each namespace of scans whose key ca.crt holds
	// the certificates of registries to trust besides the public ones; empty: only those.
	RegistryCAConfigMap string
	// Qscanner is how the engine qscanner is run; nil: the site has none.
	Qscanner *QscannerConfig
	// Trivy is the program of the engine trivy; nil: the site has none.
	Trivy *Binary
	// NodeScans is how running containers are scanned; nil: they are not.
	NodeScans *NodeScansConfig
	// Pace of all scans of a volume.
	Pace Pace
	// Slots limit how many scans are at work at a time.
	Slots Slots
	// PriorityClass of scan pods where the SIFScan names none; empty: the cluster's default.
	PriorityClass string
	// PendingDeadline is how long a run may wait for what GitOps, an administrator or an autoscaler brings
	// before it is called stalled. 0: 15 minutes.
	PendingDeadline time.Duration
}

func (c OperatorConfig) pendingDeadline() time.Duration {
	return cmp.Or(c.PendingDeadline, pendingDeadline)
}

// Binary is an engine's program, which the site supplies.
type Binary struct {
	// Image, by digest, from which the file Path is copied into each scan pod; it needs no shell.
	// Empty: Path is a file of the agent image.
	Image string
	// Path of the program, plain or gzip, absolute.
	Path string
	// SHA256 of that file in hexadecimal; empty with an Image, whose digest says as much.
	SHA256 string
}

// QscannerConfig is how qscanner is run for every SIFScan.
type QscannerConfig struct {
	Binary
	// GatewayURL is asked instead of the SIFScan's platform; empty: the platform.
	GatewayURL string
	// Proxy is the URL of an HTTP proxy; empty: none.
	Proxy string
	// CAConfigMap is the name of a ConfigMap in each namespace of scans whose key ca.crt holds the
	// certificates to trust besides the public ones; empty: only those.
	CAConfigMap string
	// JavaDB is a directory with trivy-java.db on a claim of this name in the scan's namespace.
	// Nil, or where the namespace has no such claim: qscanner downloads its own.
	JavaDB *v1alpha1.DatabaseSource
	// ReportWaits are the waits before each new try where the platform had no report yet. Empty:
	// the agent's own, 30s, 60s and 120s.
	ReportWaits []time.Duration
}

var (
	byDigest  = regexp.MustCompile(`^[^@\s]+@sha256:[0-9a-f]{64}$`)
	hexDigest = regexp.MustCompile(`^(sha256:)?[0-9a-fA-F]{64}$`)
)

// Check says what is wrong with the binary of an engine. A program that is executed on hostile files with
// somebody's token must be the one that the administrator chose: a tag can be moved.
func (b Binary) Check() error {
	switch {
	case b.Image != "" && !byDigest.MatchString(b.Image):
		return fmt.Errorf("image %s: name it by digest, such as registry.example/engine@sha256:…, a tag can be moved", b.Image)
	case !path.IsAbs(b.Path) || path.Clean(b.Path) != b.Path:
		return fmt.Errorf("path %q: write the program's full path in its image, such as /usr/bin/engine", b.Path)
	case b.SHA256 != "" && !hexDigest.MatchString(b.SHA256):
		return fmt.Errorf("sha256 %q: write 64 hexadecimal digits, as sha256sum prints them", b.SHA256)
	case b.Image == "" && b.SHA256 == "":
		return errors.New("a program in the agent image needs its sha256; or name an image by digest")
	}
	return nil
}

// Check says what is wrong with the configuration of qscanner.
func (c QscannerConfig) Check() error {
	for what, text := range map[string]string{"gateway": c.GatewayURL, "proxy": c.Proxy} {
		u, err := url.Parse(text)
		switch {
		case text == "":
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
			return fmt.Errorf("%s: use a URL such as https://host:port", what)
		case u.User != nil:
			return fmt.Errorf("%s: remove the user from the URL, everyone who may read pods would see the password", what)
		}
	}
	return c.Binary.Check()
}
