package osvdb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// record is what is used of an OSV record (ossf.github.io/osv-schema, 1.7).
type record struct {
	ID        string     `json:"id"`
	Modified  time.Time  `json:"modified"`
	Withdrawn *time.Time `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	// Upstream names the vulnerabilities a distribution's advisory is about.
	Upstream []string   `json:"upstream"`
	Related  []string   `json:"related"`
	Summary  string     `json:"summary"`
	Severity []severity `json:"severity"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Severity []severity `json:"severity"`
		Ranges   []struct {
			Type   string  `json:"type"`
			Events []event `json:"events"`
		} `json:"ranges"`
		Versions          []string `json:"versions"`
		EcosystemSpecific specific `json:"ecosystem_specific"`
		DatabaseSpecific  specific `json:"database_specific"`
	} `json:"affected"`
	DatabaseSpecific specific `json:"database_specific"`
}

type severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// event is one event of a range, and of an entry of the database: exactly one field is set.
type event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
}

// specific holds the words databases use for a severity in the parts of a record that are theirs to shape. A value of
// another type is no error: other databases write numbers and objects there.
type specific struct {
	Severity text `json:"severity"`
	Urgency  text `json:"urgency"`
}

// UnmarshalJSON accepts whatever stands there.
func (s *specific) UnmarshalJSON(data []byte) error {
	type plain specific
	var p plain
	if json.Unmarshal(data, &p) == nil {
		*s = specific(p)
	}
	return nil
}

// text is a string; any other JSON value reads as the empty one.
type text string

// UnmarshalJSON accepts whatever stands there.
func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
	}
	return nil
}

// key names what an entry is about.
type key struct{ ecosystem, name string }

// entry is one record's word on one package, as the database stores it.
type entry struct {
	ID      string   `json:"i"`
	CVEs    []string `json:"c,omitempty"` // the vulnerabilities the record is about
	GHSA    string   `json:"g,omitempty"`
	Summary string   `json:"s,omitempty"`
	Rating  rating   `json:"r,omitzero"`
	// Ratings are those of single CVEs of a record about several.
	Ratings map[string]rating `json:"m,omitempty"`
	// Ranges are as they were written; an entry has Versions only when it has no range.
	Ranges   [][]event `json:"e,omitempty"`
	Versions []string  `json:"v,omitempty"`
}

// maxSummary bounds the text kept of a record.
const maxSummary = 200

// parseRecord returns the entries of one record by what they are about; none for a withdrawn record.
func parseRecord(data []byte) (r record, entries map[key][]entry, err error) {
	if err := json.Unmarshal(data, &r); err != nil {
		return r, nil, err
	}
	if r.ID == "" {
		return r, nil, fmt.Errorf("the record has no id")
	}
	if r.Withdrawn != nil {
		return r, nil, nil
	}
	entries = map[key][]entry{}
	cves, ghsa := r.vulnerabilities()
	for i := range r.Affected {
		a := &r.Affected[i]
		if a.Package.Ecosystem == "" || a.Package.Name == "" {
			continue
		}
		e := entry{ID: r.ID, CVEs: cves, GHSA: ghsa, Summary: r.Summary[:min(len(r.Summary), maxSummary)], Rating: r.rate(i)}
		for _, rng := range a.Ranges {
			if (rng.Type == "ECOSYSTEM" || rng.Type == "SEMVER") && len(rng.Events) > 0 {
				e.Ranges = append(e.Ranges, rng.Events)
			}
		}
		// Where a record has both, the list is the range written out: PyPI's lists are a third of all of OSV's bytes.
		if len(e.Ranges) == 0 {
			e.Versions = a.Versions
		}
		if len(e.Ranges) > 0 || len(e.Versions) > 0 {
			k := key{a.Package.Ecosystem, normalise(a.Package.Ecosystem, a.Package.Name)}
			entries[k] = append(entries[k], e)
		}
	}
	return r, entries, nil
}

// vulnerabilities returns the CVEs the record is about and its GHSA. Aliases are other names of the same vulnerability, of
// which one is enough; an advisory's upstream may be many. Advisories of RHEL's clones written before "upstream" was in the
// schema have them in "related"; other databases mean something looser by it.
func (r *record) vulnerabilities() (cves []string, ghsa string) {
	for _, id := range append([]string{r.ID}, r.Aliases...) {
		if strings.HasPrefix(id, "CVE-") && len(cves) == 0 {
			cves = []string{id}
		}
		if strings.HasPrefix(id, "GHSA-") && ghsa == "" {
			ghsa = id
		}
	}
	if len(cves) > 0 {
		return cves, ghsa
	}
	upstream := r.Upstream
	if len(upstream) == 0 && (strings.HasPrefix(r.ID, "ALSA-") || strings.HasPrefix(r.ID, "RLSA-") || strings.HasPrefix(r.ID, "RHSA-")) {
		upstream = r.Related
	}
	for _, id := range upstream {
		if strings.HasPrefix(id, "CVE-") {
			cves = append(cves, id)
		}
	}
	slices.SortFunc(cves, cmp.Compare)
	return slices.Compact(cves), ghsa
}
