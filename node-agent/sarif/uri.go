// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sarif

import (
	"fmt"
	"path"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// baseURI names the image as the directory that its files lie in (clause 3.14.14: an absolute
// URI that ends with a slash). A registry image has a reference instead of a path.
func baseURI(target string) string {
	if strings.HasPrefix(target, "/") {
		return "file://" + encodePath(target) + "/"
	}
	return "oci://" + encodePath(target) + "/"
}

// relativeURI is the path of a file in the image as a reference that cannot leave the base; a
// file that is not known is the image itself.
func relativeURI(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+report.Text(p, maxPath)), "/")
	if p == "" {
		return "."
	}
	return encodePath(p)
}

// encodePath percent-encodes everything but slashes and what RFC 3986 leaves unreserved; a colon
// in the first segment would otherwise make it a scheme.
func encodePath(p string) string {
	i := 0
	for i < len(p) && stays(p[i]) {
		i++
	}
	if i == len(p) {
		return p
	}
	var b strings.Builder
	b.WriteString(p[:i])
	for ; i < len(p); i++ {
		if c := p[i]; stays(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func stays(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0
}
