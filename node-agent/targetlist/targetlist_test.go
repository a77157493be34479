// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package targetlist_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/targetlist"
)

func TestAListIsReadAsTheToolkitMeantIt(t *testing.T) {
	const path, reference = targetlist.Path, targetlist.Reference
	for name, tc := range map[string]struct {
		list string
		want []targetlist.Target
	}{
		"comments, blank lines and spaces are no targets": {
			"# SIF files\n\n  \t\n/a.sif\n  # indented\n\t/b.sif  \n#/c.sif",
			[]targetlist.Target{{path, "/a.sif", 4}, {path, "/b.sif", 6}},
		},
		"a list from Windows has a byte order mark and CRLF": {
			"\xef\xbb\xbf# list\r\n/a.sif\r\n\r\n/b.sif",
			[]targetlist.Target{{path, "/a.sif", 2}, {path, "/b.sif", 4}},
		},
		"the prefixes say what a line is": {
			"sif:/a.img\nimage:quay.io/repo/app:tag\ndocker://nginx\nimage:ubuntu:22.04\nsif:docker.io/a",
			[]targetlist.Target{{path, "/a.img", 1}, {reference, "quay.io/repo/app:tag", 2}, {reference, "nginx", 3}, {reference, "ubuntu:22.04", 4}, {path, "docker.io/a", 5}},
		},
		"without a prefix a registry's host name tells a reference": {
			"docker.io/library/nginx:latest\nlocalhost:5000/app\nlocalhost/app\n[::1]:5000/app@sha256:00\nregistry.example/images/app.sif\nimages/app\nimages/a.b\n./docker.io/app\nnginx",
			[]targetlist.Target{
				{reference, "docker.io/library/nginx:latest", 1}, {reference, "localhost:5000/app", 2}, {reference, "localhost/app", 3},
				{reference, "[::1]:5000/app@sha256:00", 4}, {path, "registry.example/images/app.sif", 5}, {path, "images/app", 6},
				{path, "images/a.b", 7}, {path, "./docker.io/app", 8}, {path, "nginx", 9},
			},
		},
		"names are bytes": {
			"/\xff\xfe.sif\n/a b\\*.sif\n/#x.sif",
			[]targetlist.Target{{path, "/\xff\xfe.sif", 1}, {path, `/a b\*.sif`, 2}, {path, "/#x.sif", 3}},
		},
		"what is listed twice counts once": {
			"/a.sif\nsif:/a.sif\ndocker://a\nimage:a\n/a.sif",
			[]targetlist.Target{{path, "/a.sif", 1}, {reference, "a", 3}},
		},
		"an empty list has no targets": {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := targetlist.Parse(strings.NewReader(tc.list))
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestWhatIsNoListIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ list, want string }{
		"a binary file":         {"/a.sif\nSIF\x00\x01", "line 2 holds a NUL byte"},
		"UTF-16":                {"\xff\xfe/\x00a\x00", "UTF-16"},
		"an endless line":       {strings.Repeat("a", 5000), "line 1 is longer"},
		"too many lines":        {strings.Repeat("\n", targetlist.MaxLines) + "/a", "more than 200000 lines"},
		"too many bytes":        {strings.Repeat("#", targetlist.MaxBytes+1), "longer than"},
		"a prefix and no image": {"image:\n", "line 1 names nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := targetlist.Parse(strings.NewReader(tc.list))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v and %v, want %q", got, err, tc.want)
			}
		})
	}
}
