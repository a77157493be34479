// Package sbom writes a scan's packages as the documents other tools read: SPDX 2.3 and CycloneDX 1.6, both JSON. Equal
// subjects make equal bytes, so that a document that did not change costs no write.
package sbom

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// TimeFormat is the form of times both standards ask for: UTC, whole seconds (SPDX 2.3 clause 6.9.5).
const TimeFormat = "2006-01-02T15:04:05Z"

// Subject is what a document is about: one image with its packages. All strings are printable.
type Subject struct {
	// Name is the path or reference the image is known by.
	Name string
	// Architecture in Go's spelling; empty when not known.
	Architecture string
	CreatedAt    time.Time
	// Scanner and Version name the engine that found the packages.
	Scanner, Version string
	OS               engine.OS
	// Packages have unique package URLs.
	Packages []engine.Package
	// Assessed tells that packages were matched, all but NotAssessed: Findings are what is known then, sorted as in engine.Result.
	Assessed    bool
	NotAssessed int
	Findings    []engine.Finding
}

// uuid returns an identifier made of the subject's content: the first bits of its SHA-256 in the form of RFC 9562's UUID
// version 8. A random one would make every document new.
func (s Subject) uuid() (string, error) {
	content, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(content)
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]), nil
}

// fromDatabase tells whether packages of the type come from a package database, whose path says nothing about where the
// package lies.
func fromDatabase(purlType string) bool {
	switch purlType {
	case "deb", "rpm", "apk", "pacman", "alpm", "portage", "opkg":
		return true
	}
	return false
}
