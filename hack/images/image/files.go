// Package image makes the images of the operator and of the node agent from static programs: the same few files in an OCI archive
// or in a folder, the same bytes on every machine that has the same programs and the same Go release.
package image

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// File is a file or, with fs.ModeDir in its mode, a directory of an image. Everything belongs to root: nothing in an image is for the
// program in it to change but /tmp.
type File struct {
	Path string // without a leading slash
	Mode fs.FileMode
	Data []byte
}

// The user that images run as: the "nonroot" of many other images, so that policies which know it fit.
const user = "65532:65532"

const passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"

const group = "root:x:0:\nnonroot:x:65532:\n"

// Base returns what every image holds besides its program, in an order in which directories come before what is in them.
// zoneinfo is Go's lib/time/zoneinfo.zip.
func Base(zoneinfo []byte) ([]File, error) {
	zones, err := timeZones(zoneinfo)
	if err != nil {
		return nil, fmt.Errorf("reading the time zones of the Go release: %w", err)
	}
	files := []File{
		{Path: "etc/group", Mode: 0o644, Data: []byte(group)},
		{Path: "etc/passwd", Mode: 0o644, Data: []byte(passwd)},
		{Path: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Data: roots()},
	}
	files = append(files, zones...)
	return append(directories(files), append(files, File{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777})...), nil
}

// directories lists all parents of files, parents before children.
func directories(files []File) []File {
	var names []string
	for _, file := range files {
		for parent := path.Dir(file.Path); parent != "."; parent = path.Dir(parent) {
			names = append(names, parent)
		}
	}
	slices.Sort(names)
	var found []File
	for _, name := range slices.Compact(names) {
		found = append(found, File{Path: name, Mode: fs.ModeDir | 0o755})
	}
	return found
}

// roots is Mozilla's list of certificate authorities as the Go project publishes it, pinned by go.sum. Authorities that Mozilla
// trusts with conditions are left out: a PEM file cannot carry the conditions.
func roots() []byte {
	var content bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			content.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return content.Bytes()
}

// timeZones places the time zone database where every program looks for it.
func timeZones(zoneinfo []byte) ([]File, error) {
	archive, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		return nil, err
	}
	var files []File
	for _, entry := range archive.File {
		if strings.HasSuffix(entry.Name, "/") {
			continue
		}
		reader, err := entry.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(reader)
		if err := errors.Join(err, reader.Close()); err != nil {
			return nil, err
		}
		files = append(files, File{Path: path.Join("usr/share/zoneinfo", entry.Name), Mode: 0o644, Data: data})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}
