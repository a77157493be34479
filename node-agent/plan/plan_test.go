// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(text string) (items []Item, err error) {
	err = Read(strings.NewReader(text), func(i Item) error { items = append(items, i); return nil })
	return items, err
}

func TestAListIsReadAsItWasWritten(t *testing.T) {
	items := []Item{
		{Kind: Image, Path: "a b.sif", Size: 1 << 40},
		{Kind: Image, Volume: 1, Path: "a\xff\n\x00ü<>.sif"},
		{Kind: Image, Path: "ü\u2028.sif"},
		{Kind: Directory, Path: "."},
		{Kind: Reference, Volume: -1, Path: "docker.io/library/nginx:1.27"},
		{Kind: Failure, Path: "secret", Reason: "PermissionDenied", Message: "permission denied"},
		{Kind: Nothing, Message: "nothing to scan"},
	}
	var text bytes.Buffer
	for _, i := range items {
		if err := Write(&text, i); err != nil {
			t.Fatal(err)
		}
	}
	got, err := read(text.String())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(items, got); diff != "" {
		t.Error(diff)
	}
}

func TestAListThatIsNotWholeIsAnErrorAndNotAShorterList(t *testing.T) {
	for name, text := range map[string]string{
		"cut in a line":   `{"kind":"image","path":"a.sif"}` + "\n" + `{"kind":"ima`,
		"an endless line": strings.Repeat(" ", 2*MaxLine),
		"no JSON":         "a.sif\n",
		"an empty line":   "\n",
	} {
		t.Run(name, func(t *testing.T) {
			if items, err := read(text); err == nil {
				t.Errorf("read %v", items)
			}
		})
	}
}

func TestALineThatNobodyCouldReadIsNotWritten(t *testing.T) {
	if err := Write(&bytes.Buffer{}, Item{Kind: Failure, Message: strings.Repeat("x", MaxLine)}); err == nil {
		t.Error("written")
	}
}
