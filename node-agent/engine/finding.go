package engine

import "time"

// Severity is how bad a vulnerability is.
type Severity string

// Severities, as the API writes them.
const (
	SeverityCritical Severity = "critical"
	SeverityHigh     Severity = "high"
	SeverityMedium   Severity = "medium"
	SeverityLow      Severity = "low"
	// SeverityUnknown is the severity of what nobody has rated. It is no low one.
	SeverityUnknown Severity = ""
)

// Rank orders severities: critical is 4, unknown is 0.
func (s Severity) Rank() int {
	switch s {
	case SeverityCritical:
		return 4
	case SeverityHigh:
		return 3
	case SeverityMedium:
		return 2
	case SeverityLow:
		return 1
	}
	return 0
}

// IDs are a vulnerability's names.
type IDs struct {
	CVE  string `json:"cve,omitempty"`
	GHSA string `json:"ghsa,omitempty"`
	// QID is Qualys' number of the detection.
	QID string `json:"qid,omitempty"`
	// Advisories are the records that speak of the package ("DSA-5417-1", "PYSEC-2023-74"), sorted.
	Advisories []string `json:"advisories,omitempty"`
}

// Finding is one vulnerability of one package.
type Finding struct {
	// ID is the name the vulnerability is counted by: its CVE, else its GHSA, else the advisory's own.
	ID  string `json:"id"`
	IDs IDs    `json:"ids"`
	// Package, Version, PURL and Path are those of the package; Path is its first location.
	Package string `json:"package"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Path    string `json:"path,omitempty"`
	// Severity, with CVSS base score and vector where it comes from one; Source says whose word it is ("CVSS 3.1", "GHSA",
	// "DEBIAN").
	Severity Severity `json:"severity,omitempty"`
	Score    float64  `json:"score,omitempty"`
	Vector   string   `json:"vector,omitempty"`
	Source   string   `json:"severitySource,omitempty"`
	// FixedVersion is the first version of the package's own line that has the fix; empty when there is none.
	FixedVersion string `json:"fixedVersion,omitempty"`
	Summary      string `json:"summary,omitempty"`
}

// Database is a database of advisories.
type Database struct {
	// Digest identifies its content ("sha256:…").
	Digest string `json:"digest"`
	// UpdatedAt is when its newest record was last modified.
	UpdatedAt time.Time `json:"updatedAt"`
}
