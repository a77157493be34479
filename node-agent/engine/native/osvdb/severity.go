package osvdb

import (
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// rating is how bad a vulnerability is, and who says so.
type rating struct {
	Severity engine.Severity `json:"s,omitempty"`
	Score    float64         `json:"n,omitempty"` // CVSS base score; 0 when the severity is a word
	Vector   string          `json:"v,omitempty"`
	Source   string          `json:"f,omitempty"` // CVSS version, or the database's word
}

// scored tells whether the rating comes from a CVSS vector.
func (r rating) scored() bool { return r.Vector != "" }

// rate returns the rating of the record's i-th affected package: from the newest CVSS vector of the package, else of the
// record, else the distribution's word, else none.
func (r *record) rate(i int) rating {
	a := &r.Affected[i]
	for _, list := range [][]severity{a.Severity, r.Severity} {
		if best, ok := newest(list); ok {
			return best
		}
	}
	words := []string{string(a.EcosystemSpecific.Severity), string(a.EcosystemSpecific.Urgency), string(a.DatabaseSpecific.Severity),
		string(r.DatabaseSpecific.Severity)}
	for _, s := range append(a.Severity, r.Severity...) {
		words = append(words, s.Score) // Ubuntu writes its own word as a score
	}
	for _, word := range words {
		if s := fromWord(word); s != engine.SeverityUnknown {
			return rating{Severity: s, Source: databaseOf(r.ID)}
		}
	}
	return rating{}
}

// newest rates by the vector of the newest CVSS version in the list that is valid.
func newest(list []severity) (best rating, found bool) {
	for _, kind := range []string{"CVSS_V4", "CVSS_V3", "CVSS_V2"} {
		for _, s := range list {
			if s.Type != kind {
				continue
			}
			if score, version, ok := cvss(s.Score); ok {
				return rating{Severity: fromScore(score, version), Score: score, Vector: s.Score, Source: "CVSS " + version}, true
			}
		}
	}
	return rating{}, false
}

// cvss returns the base score of a vector and its version.
func cvss(vector string) (score float64, version string, ok bool) {
	switch {
	case len(vector) > 256:
		return 0, "", false
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := gocvss40.ParseVector(vector)
		if err != nil {
			return 0, "", false
		}
		return v.Score(), "4.0", true
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := gocvss31.ParseVector(vector)
		if err != nil {
			return 0, "", false
		}
		return v.BaseScore(), "3.1", true
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := gocvss30.ParseVector(vector)
		if err != nil {
			return 0, "", false
		}
		return v.BaseScore(), "3.0", true
	}
	v, err := gocvss20.ParseVector(vector)
	if err != nil {
		return 0, "", false
	}
	return v.BaseScore(), "2.0", true
}

// fromScore is the qualitative scale of CVSS 3 and 4 (specification, section 5 and 6); version 2 has none of its own above
// high, NVD's ends there.
func fromScore(score float64, version string) engine.Severity {
	switch {
	case score >= 9 && version != "2.0":
		return engine.SeverityCritical
	case score >= 7:
		return engine.SeverityHigh
	case score >= 4:
		return engine.SeverityMedium
	case score > 0:
		return engine.SeverityLow
	}
	return engine.SeverityUnknown
}

// fromWord translates the words of GitHub, Red Hat and its clones, SUSE, Debian and Ubuntu.
func fromWord(word string) engine.Severity {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "critical":
		return engine.SeverityCritical
	case "high", "important":
		return engine.SeverityHigh
	case "medium", "moderate":
		return engine.SeverityMedium
	case "low", "minor", "negligible", "unimportant":
		return engine.SeverityLow
	}
	return engine.SeverityUnknown
}

// databaseOf names the database a record's identifier belongs to: its part before the first hyphen.
func databaseOf(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	return prefix
}
