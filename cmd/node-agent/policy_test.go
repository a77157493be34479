// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func TestEvaluatePolicyJudgesImagesByTheirFindings(t *testing.T) {
	// The database knows two critical vulnerabilities, one with a fix, and one high one with a fix.
	db, image := "--db="+database(t), sif(t)
	cut := filepath.Join(images(t), "cut.sif")
	const judge = "--mode=evaluate-policy"
	for name, c := range map[string]struct {
		args []string
		exit int
		says string
	}{
		"within the policy":           {[]string{judge, db, "--max-critical=2", "--max-high=1", image}, exitDone, "within the policy"},
		"too many critical":           {[]string{judge, db, "--max-critical=1", image}, exitDenied, "PolicyDenied: 2 critical (allowed: 1)"},
		"too many high":               {[]string{judge, db, "--max-high=0", image}, exitDenied, "PolicyDenied: 1 high (allowed: 0)"},
		"few enough have a fix":       {[]string{judge, db, "--max-critical=1", "--only-fixable", image}, exitDone, "within the policy"},
		"too many have a fix":         {[]string{judge, db, "--max-critical=0", "--only-fixable", image}, exitDenied, "PolicyDenied: 1 critical with a fix (allowed: 0)"},
		"a failure outweighs":         {[]string{judge, db, "--max-critical=0", image, cut}, exitFailed, "PolicyDenied"},
		"nothing was assessed":        {[]string{judge, db, "--max-critical=0", "--scan-types=secret", image}, exitFailed, "NotAssessed: the policy cannot be judged"},
		"no limit":                    {[]string{judge, db, image}, exitUsage, "--max-critical N or --max-high N"},
		"no limit, but a restriction": {[]string{judge, db, "--only-fixable", image}, exitUsage, "--max-critical N or --max-high N"},
		"no limit at all is negative": {[]string{judge, db, "--max-critical=-1", image}, exitUsage, "not negative"},
		"no database":                 {[]string{judge, "--max-critical=0", image}, exitUsage, "name a database"},
		"a limit and no mode":         {[]string{db, "--max-critical=0", image}, exitUsage, "--mode evaluate-policy"},
		"a limit for an inventory":    {[]string{"--mode=inventory-only", "--max-critical=0", image}, exitUsage, "--mode evaluate-policy"},
		"scan-only":                   {[]string{"--mode=scan-only", image}, exitUsage, "evaluate-policy"},
		"a platform judges":           {[]string{"--engine=qscanner", judge, "--max-critical=0", image}, exitUsage, "platform's policies"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := agent(context.Background(), append([]string{"scan", "--formats=json", "--output-dir", t.TempDir()}, c.args...)...)
			if code != c.exit || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("exit code %d, want %d with %q\n%s%s", code, c.exit, c.says, stdout, stderr)
			}
		})
	}
}

func TestTrivysFindingsAreJudgedTheSame(t *testing.T) {
	for limit, exit := range map[string]int{"--max-critical=0": exitDenied, "--max-critical=1": exitDone} {
		if code, printed, _, _ := scanWithTrivy(t, sif(t), "--mode=evaluate-policy", "--db="+trivyCache(t, false), limit); code != exit {
			t.Errorf("%s: exit code %d, want %d\n%s", limit, code, exit, printed)
		}
	}
	code, printed, _, _ := scanWithTrivy(t, sif(t), "--mode=evaluate-policy", "--db="+trivyCache(t, false))
	if code != exitUsage || !strings.Contains(printed, "--max-critical N") {
		t.Errorf("without a limit: exit code %d\n%s", code, printed)
	}
}
