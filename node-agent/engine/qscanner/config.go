package qscanner

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mode is what qscanner does with what it found.
type Mode string

// The modes of qscanner.
const (
	// GetReport uploads the inventory and waits for the vulnerability report.
	GetReport Mode = "get-report"
	// ScanOnly uploads the inventory.
	ScanOnly Mode = "scan-only"
	// InventoryOnly talks to nobody.
	InventoryOnly Mode = "inventory-only"
	// EvaluatePolicy is GetReport, and asks for the verdict of the platform's policies.
	EvaluatePolicy Mode = "evaluate-policy"
)

// Modes lists all modes.
var Modes = []Mode{GetReport, ScanOnly, InventoryOnly, EvaluatePolicy}

// online tells whether the mode talks to the platform.
func (m Mode) online() bool { return m != InventoryOnly }

// reports tells whether the mode ends with vulnerabilities.
func (m Mode) reports() bool { return m == GetReport || m == EvaluatePolicy }

// Config says how qscanner is run.
type Config struct {
	// Binary of qscanner, plain or gzip, and the SHA-256 it must have (empty: any).
	Binary, SHA256 string
	// Tmp is where a gzip binary is unpacked.
	Tmp string
	// Mode; empty is GetReport.
	Mode Mode
	// Platform is the Qualys platform ("US2"). GatewayURL, when set, is asked instead.
	Platform, GatewayURL string
	// Token is handed to qscanner in its environment and nowhere else. InventoryOnly needs none, and gets none.
	Token string
	// Proxy is the URL of an HTTP proxy; CertFile holds PEM certificates of a private CA.
	Proxy, CertFile string
	// PolicyTags choose the policies of EvaluatePolicy.
	PolicyTags []string
	// Offline keeps qscanner from downloading its Java database.
	Offline bool
	// JavaDB is a directory with trivy-java.db that all scans read.
	JavaDB string
	// ReportWaits are the waits before each new try where the platform had no report yet. Nil: 30s, 60s, 120s.
	ReportWaits []time.Duration
}

// defaultReportWaits: callers of qscanner try again three to five times within one to six minutes.
var defaultReportWaits = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute}

// platformName is what qscanner's callers accept; which platforms exist changes without a release of ours.
var platformName = regexp.MustCompile(`^[A-Z0-9]{1,16}$`)

// minToken: a shorter token is a mistake, and removing it from output would leave no text.
const minToken = 8

// checked returns the configuration with its defaults, or what is wrong with it.
func (c Config) checked() (Config, error) {
	if c.Mode == "" {
		c.Mode = GetReport
	}
	if !slices.Contains(Modes, c.Mode) {
		return c, fmt.Errorf("mode %q: use get-report, scan-only, inventory-only or evaluate-policy", c.Mode)
	}
	if c.ReportWaits == nil {
		c.ReportWaits = defaultReportWaits
	}
	c.Platform = strings.ToUpper(c.Platform)
	if c.Platform != "" && !platformName.MatchString(c.Platform) {
		return c, fmt.Errorf("platform %q: use a name such as US2 or EU1, or set the gateway's URL", c.Platform)
	}
	for what, text := range map[string]string{"gateway": c.GatewayURL, "proxy": c.Proxy} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return c, fmt.Errorf("%s: use a URL such as https://host:port", what)
		}
	}
	for _, tag := range c.PolicyTags {
		if strings.ContainsAny(tag, ",\x00") || tag == "" {
			return c, fmt.Errorf("policy tag %q: it must not be empty or hold a comma", tag)
		}
	}
	for what, path := range map[string]*string{"CA file": &c.CertFile, "Java database": &c.JavaDB} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path) // qscanner's working directory is another
		if err != nil {
			return c, fmt.Errorf("%s: %w", what, err)
		}
		*path = abs
	}
	return c, c.credentials()
}

// ErrCredentials is wrapped where the token, or the CA file by which the platform is trusted, cannot be used.
var ErrCredentials = errors.New("credentials")

// credentials checks what an online mode needs, and takes the token from one that needs none.
func (c *Config) credentials() error {
	if !c.Mode.online() {
		c.Token = ""
		return nil
	}
	switch {
	case len(c.Token) < minToken:
		return fmt.Errorf("%w: mode %s needs an access token (environment: QUALYS_ACCESS_TOKEN); inventory-only needs none", ErrCredentials, c.Mode)
	case strings.ContainsAny(c.Token, "\x00\r\n"):
		return fmt.Errorf("%w: the access token holds a line break: was it read from a file with a trailing one?", ErrCredentials)
	case c.Platform == "" && c.GatewayURL == "":
		return fmt.Errorf("mode %s needs a platform such as US2 (environment: QUALYS_POD), or the gateway's URL", c.Mode)
	}
	if _, err := c.client(); err != nil {
		return fmt.Errorf("%w: the CA file, of a pod the key ca.crt of the ConfigMap that the operator names: %w", ErrCredentials, err)
	}
	return nil
}
