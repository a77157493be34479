// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sarif

import "github.com/sifscan/sifscan-operator/api/v1alpha1"

// The parts of SARIF 2.1.0 that a scan has something to say in. Clauses are those of the
// specification (OASIS, sarif-v2.1.0-errata01-os).

type log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

// run is clause 3.14.
type run struct {
	Tool        tool                        `json:"tool"`
	Automation  automation                  `json:"automationDetails"`
	Invocations []invocation                `json:"invocations"`
	BaseIDs     map[string]artifactLocation `json:"originalUriBaseIds"`
	ColumnKind  string                      `json:"columnKind"`
	Properties  runProperties               `json:"properties"`
	// Results are never null: readers take that for a scan that did not happen.
	Results []result `json:"results"`
}

type tool struct {
	Driver driver `json:"driver"`
}

type driver struct {
	Name          string       `json:"name"`
	Version       string       `json:"version,omitempty"`
	Rules         []rule       `json:"rules"`
	Notifications []descriptor `json:"notifications,omitempty"`
}

// rule is a reportingDescriptor, clause 3.49.
type rule struct {
	ID            string         `json:"id"`
	Short         message        `json:"shortDescription"`
	Full          message        `json:"fullDescription"`
	HelpURI       string         `json:"helpUri,omitempty"`
	Configuration configuration  `json:"defaultConfiguration"`
	Properties    ruleProperties `json:"properties"`
}

type configuration struct {
	Level string `json:"level"`
}

type ruleProperties struct {
	// SecuritySeverity is what GitHub, DefectDojo and others sort by: a number as text.
	SecuritySeverity string   `json:"security-severity"`
	Severity         string   `json:"severity,omitempty"`
	Vector           string   `json:"cvss,omitempty"`
	SeveritySource   string   `json:"severitySource,omitempty"`
	Tags             []string `json:"tags"`
}

type descriptor struct {
	ID string `json:"id"`
}

type automation struct {
	ID string `json:"id"`
}

// invocation is clause 3.20.
type invocation struct {
	Successful    bool           `json:"executionSuccessful"`
	EndTime       string         `json:"endTimeUtc"`
	Notifications []notification `json:"toolExecutionNotifications,omitempty"`
}

type notification struct {
	Descriptor descriptor `json:"descriptor"`
	Level      string     `json:"level"`
	Message    message    `json:"message"`
	Locations  []location `json:"locations,omitempty"`
}

type message struct {
	Text string `json:"text"`
}

// result is clause 3.27.
type result struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      message           `json:"message"`
	Locations    []location        `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   *resultProperties `json:"properties,omitempty"`
}

type resultProperties struct {
	Severity     string `json:"severity"`
	Score        string `json:"score,omitempty"`
	Package      string `json:"package"`
	Version      string `json:"version,omitempty"`
	PURL         string `json:"purl,omitempty"`
	FixedVersion string `json:"fixedVersion,omitempty"`
}

// location is clause 3.28.
type location struct {
	Physical physical  `json:"physicalLocation"`
	Logical  []logical `json:"logicalLocations,omitempty"`
}

type physical struct {
	Artifact artifactLocation `json:"artifactLocation"`
	Region   *region          `json:"region,omitempty"`
}

type artifactLocation struct {
	URI    string `json:"uri"`
	BaseID string `json:"uriBaseId,omitempty"`
}

type region struct {
	StartLine int `json:"startLine"`
}

type logical struct {
	Name          string `json:"name"`
	QualifiedName string `json:"fullyQualifiedName,omitempty"`
	Kind          string `json:"kind"`
}

// runProperties say of the image what SARIF has no place for.
type runProperties struct {
	Target   v1alpha1.ReportTarget    `json:"target"`
	OS       *v1alpha1.ReportOS       `json:"os,omitempty"`
	Database *v1alpha1.ReportDatabase `json:"database,omitempty"`
	// Summary counts all findings, listed or not; a severity that is absent was not assessed.
	Summary *v1alpha1.Summary `json:"summary,omitempty"`
}
