package qscanner

import (
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/execution"
)

// arguments is qscanner's command line for one image: global flags, then the command, as nearly all its callers have it.
// The token is not in it: every user of a node can read it (/proc/pid/cmdline).
func (c Config) arguments(t engine.Target, os engine.OS, d execution.Dirs, timeout time.Duration) []string {
	args := []string{
		"--mode", string(c.Mode),
		"--scan-types", scanTypes(t),
		"--format", formats(t),
		"--output-dir", d.Output,
		"--cache-dir", d.Cache, // concurrent instances must not share one
		"--scan-timeout", timeout.String(),
		"--log-level", "info",
	}
	if !t.Repository {
		args = append(args, "--shell-commands", "uname -a="+uname(os, t.Architecture))
	}
	args = append(args, "--scan-target-info", "asset_name="+t.DisplayName)
	if c.Mode.reports() {
		args = append(args, "--report-format", "sarif")
	}
	if c.Mode.online() {
		args = append(args, "--max-network-retries", "5", "--network-retry-wait-min", "10s", "--network-retry-wait-max", "15s")
		if c.GatewayURL != "" {
			args = append(args, "--gateway-url", c.GatewayURL)
		} else {
			args = append(args, "--pod", c.Platform)
		}
	}
	for _, option := range []struct{ flag, value string }{
		{"--proxy", c.Proxy},
		{"--cert-path", c.CertFile},
		{"--exclude-dirs", excluded(t)},
	} {
		if option.value != "" {
			args = append(args, option.flag, option.value)
		}
	}
	if c.Mode == EvaluatePolicy && len(c.PolicyTags) > 0 {
		args = append(args, "--policy-tags", strings.Join(c.PolicyTags, ","))
	}
	if c.Offline {
		args = append(args, "--offline-scan=true")
	}
	if c.Offline || c.JavaDB != "" {
		args = append(args, "--skip-java-db-update=true")
	}
	return append(args, command(t), t.Directory)
}

// command of qscanner. Images of registries are scanned as the root file systems that they were unpacked to: "image" would
// download them once more, past the scan's limits, certificates and accounts; "tar" would need a second copy of them.
func command(t engine.Target) string {
	if t.Repository {
		return "repo"
	}
	return "rootfs"
}

func scanTypes(t engine.Target) string {
	var names []string
	for _, s := range []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight, engine.ScanSecrets} {
		if t.Scans(s) {
			names = append(names, string(s))
		}
	}
	return strings.Join(names, ",")
}

// formats asks for SPDX always: its packages are what the report is made of.
func formats(t engine.Target) string {
	names := []string{"json", "spdx"}
	if t.Wants(engine.FormatCycloneDX) {
		names = append(names, "cyclonedx")
	}
	return strings.Join(names, ",")
}

// excluded are the excluded directories below the extracted image. qscanner takes them relative to its own root: without
// the image's directory in front, "/opt/data" would be the scanner's own and exclude nothing. What holds a comma would be two.
func excluded(t engine.Target) string {
	var dirs []string
	for _, dir := range t.ExcludeDirs {
		if clean := path.Clean("/" + dir); clean != "/" && !strings.Contains(clean, ",") {
			dirs = append(dirs, filepath.Join(t.Directory, clean))
		}
	}
	return strings.Join(dirs, ",")
}

// machines are the names that uname gives to architectures.
var machines = map[string]string{
	"386": "i686", "amd64": "x86_64", "arm": "armv7l", "arm64": "aarch64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64",
}

// uname is what "uname -a" would say in the image, by which qscanner recognises an operating system it has no shell in. It is
// made of what the image says of itself, and of nothing that a shell or a list of flags could take for something else.
func uname(os engine.OS, arch string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" ._()/+-", r):
			return r
		}
		return '_'
	}, os.Name)
	const longest = 128
	words := []string{"Linux", name[:min(len(name), longest)], machines[arch], "GNU/Linux"}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
