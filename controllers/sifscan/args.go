// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"
)

// scannerArgs is the scanner's command line. Every setting is on it, defaults too: operator
// and agent then need not agree on them.
func (in JobInputs) scannerArgs() []string {
	s := resolve(&in.Scan.Spec)
	args := []string{
		"scan",
		"--engine=" + string(s.Engine),
		"--formats=" + strings.Join(s.Formats, ","),
		"--timeout=" + s.Timeout.String(),
		"--volume-root=" + targetDir,
		"--mount-path=" + literal(s.MountPath),
		"--results-dir=" + resultsDir,
		"--state-dir=" + stateDir,
	}
	if in.Database != nil {
		args = append(args, "--db="+databaseDir+"/"+literal(in.Database.Path))
	}
	for _, pattern := range s.Exclude {
		args = append(args, "--exclude="+literal(pattern))
	}
	for _, pattern := range s.FileNames {
		args = append(args, "--file-name="+literal(pattern))
	}
	args = append(args, "--") // a path may begin with a dash
	for _, pattern := range s.Paths {
		args = append(args, literal(pattern))
	}
	return args
}

// reporterArgs is the reporter's command line.
func (in JobInputs) reporterArgs() []string {
	s := resolve(&in.Scan.Spec)
	return []string{
		"reporter",
		"--results-dir=" + resultsDir,
		"--state-dir=" + stateDir,
		"--scan-name=" + in.Scan.Name,
		"--scan-uid=" + string(in.Scan.UID),
		"--run=" + in.Run,
		"--job-name=" + JobName(in.Scan.Name, in.Run),
		"--claim-name=" + s.ClaimName,
		"--claim-uid=" + string(in.ClaimUID),
		"--sub-path=" + literal(s.SubPath),
		"--engine=" + string(s.Engine),
		"--artifacts=" + string(s.Artifacts),
		"--rescan=" + string(s.Rescan),
		fmt.Sprintf("--max-findings=%d", *s.MaxFindings),
	}
}

// literal protects text from kubelet, which replaces $(NAME) in arguments by the container's
// environment and $$ by $ (kubernetes, third_party/forked/golang/expansion).
func literal(s string) string {
	return strings.ReplaceAll(s, "$", "$$")
}
