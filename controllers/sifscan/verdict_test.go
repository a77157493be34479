// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestVerdictOf(t *testing.T) {
	job := makeScan().job()
	said := func(message string) *corev1.Pod { return makePod(job).scannerEnded(0, "Completed", message).obj() }
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		want verdict
	}{
		{"a verdict is repeated", said(`{"reason":"NoTargets","message":"no file matches *.sif"}`), verdict{v1alpha1.ReasonNoTargets, "no file matches *.sif"}},
		{"control characters are shown and not sent to a terminal", said(`{"reason":"NoTargets","message":"a\u001b[2J\u202eb\nc"}`),
			verdict{v1alpha1.ReasonNoTargets, `a\u{1b}[2J\u{202e}b c`}},
		{"a long message is cut", said(`{"reason":"NoTargets","message":"` + strings.Repeat("a", 4000) + `"}`),
			verdict{v1alpha1.ReasonNoTargets, strings.Repeat("a", maxDetail-len("…")) + "…"}},
		{"a scanner cannot call a run well", said(`{"reason":"Succeeded","message":"all is well"}`), verdict{}},
		{"text that is no JSON is nothing", said("panic: runtime error"), verdict{}},
		{"cut JSON is nothing", said(`{"reason":"NoTargets","mess`), verdict{}},
		{"nothing is nothing", said(""), verdict{}},
		{"a scanner that still runs has said nothing", makePod(job).obj(), verdict{}},
		{"no pod has said nothing", nil, verdict{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := verdictOf(tc.pod); got != tc.want {
				t.Errorf("verdictOf = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain text stays", "größe 名", 20, "größe 名"},
		{"lines become one", "a\nb\tc", 20, "a b c"},
		{"what is not text is escaped", "a\x00\xff\u202e", 40, `a\u{0}\xff\u{202e}`},
		{"what just fits is not cut", "abcdef", 6, "abcdef"},
		{"what does not fit is cut within the limit", "abcdefg", 6, "abc…"},
		{"no escape is cut in half", "ab\u202ecd", 8, "ab…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := printable(tc.in, tc.limit)
			if got != tc.want {
				t.Errorf("printable(%q, %d) = %q, want %q", tc.in, tc.limit, got, tc.want)
			}
			if len(got) > tc.limit {
				t.Errorf("%d bytes, more than %d", len(got), tc.limit)
			}
		})
	}
}
