// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

const (
	// maxCommand bounds what is read of a command line; maxShown what is kept of it.
	maxCommand = 4096
	maxShown   = 256
	removed    = "[removed]"
)

var (
	// secretName names what must not be shown: --password, API_TOKEN, x-auth-key.
	secretName = regexp.MustCompile(`(?i)(pass(wd|word|phrase)?|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|auth|cookie|bearer)`)
	// secretValue looks like a credential whatever it is given to.
	secretValue = regexp.MustCompile(`(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|hf_|sk-|eyJ[A-Za-z0-9_-]{8})[A-Za-z0-9_.-]{12,}`)
	// userInfo is the account in a URL.
	userInfo = regexp.MustCompile(`://[^/@\s]+@`)
)

// showCommand is a command line as text: bounded, escaped, without what looks like a secret.
func showCommand(cmdline []byte) string {
	cmdline = bytes.TrimRight(cmdline[:min(len(cmdline), maxCommand)], "\x00")
	if len(cmdline) == 0 {
		return ""
	}
	var shown []string
	hide := false // the value of the option before
	for arg := range strings.SplitSeq(string(cmdline), "\x00") {
		text, next := showArgument(arg, hide)
		shown, hide = append(shown, text), next
	}
	return printable.Truncate(printable.Escape(strings.Join(shown, " ")), maxShown)
}

// showArgument shows one argument, and tells whether the next one is its secret.
func showArgument(arg string, hide bool) (text string, next bool) {
	if hide && !strings.HasPrefix(arg, "-") {
		return removed, false
	}
	arg = userInfo.ReplaceAllString(arg, "://"+removed+"@")
	arg = secretValue.ReplaceAllString(arg, removed)
	name, _, given := strings.Cut(arg, "=")
	switch {
	case given && secretName.MatchString(name):
		return name + "=" + removed, false
	case strings.HasPrefix(arg, "-") && secretName.MatchString(arg):
		if head, _, ok := strings.Cut(arg, ":"); ok {
			return head + ":" + removed, false
		}
		return arg, true
	case secretName.MatchString(arg) && strings.Contains(arg, ":"): // Authorization: Bearer …
		head, _, _ := strings.Cut(arg, ":")
		return head + ":" + removed, false
	}
	return arg, false
}

// claimedImage is the image that a starter's title names: "Apptainer runtime parent: a.sif".
func claimedImage(cmdline []byte) string {
	title := string(bytes.TrimRight(cmdline[:min(len(cmdline), maxCommand)], "\x00"))
	for _, prefix := range []string{"Apptainer runtime parent: ", "Singularity runtime parent: "} {
		if name, ok := strings.CutPrefix(title, prefix); ok {
			return name
		}
	}
	return ""
}

// isInstance tells whether a starter's title is that of an instance.
func isInstance(cmdline []byte) bool {
	return bytes.HasPrefix(cmdline, []byte("Apptainer instance: ")) || bytes.HasPrefix(cmdline, []byte("Singularity instance: "))
}
