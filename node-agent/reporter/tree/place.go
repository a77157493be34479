// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"path"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// Place is where an image's folder is: the names that lead to it from the top of the tree.
type Place []string

const (
	// registry is where images go that are on no claim.
	registry = "registry"
	// maxLevels of an image's path are directories of the tree; deeper ones are left out. Users make
	// directories a thousand deep, which nobody browses and no path of 4096 bytes reaches.
	maxLevels = 24
	// mark stands between the image's name and the report's in the name of a folder. It is in no
	// name that printable.FileName makes: whatever users call their directories, none is in the way
	// of a folder.
	mark = "@"
)

// PlaceOf is where the folder of an image is: below its claim (registry where claim is empty), in
// the directories of its path, under the image's name and the name of its report. Paths that look
// alike when cleaned, other engines and other scan types are apart by the report's name.
func PlaceOf(claim, image, report string) Place {
	if claim == "" {
		claim = registry
	}
	names := strings.Split(strings.Trim(path.Clean("/"+image), "/"), "/")
	base := names[len(names)-1]
	place := Place{printable.FileName(claim)}
	for _, name := range names[:min(len(names)-1, maxLevels)] {
		place = append(place, printable.FileName(name))
	}
	return append(place, printable.FileName(base)+mark+report)
}

func (p Place) String() string { return path.Join(p...) }

// directories lead to the folder.
func (p Place) directories() []string { return p[:len(p)-1] }

// folder is the folder's name.
func (p Place) folder() string { return p[len(p)-1] }
