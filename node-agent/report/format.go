// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

// Format is a document about what was found in an image.
type Format string

// The formats of the field spec.scanner.reportFormats and of node-agent's flag --report-formats.
const (
	// SARIF is SARIF 2.1.0, for other tools: report.sarif.
	SARIF Format = "sarif"
	// Table is text for people: report.txt.
	Table Format = "table"
	// JSON is the ScanReport, report.json, which there always is.
	JSON Format = "json"
)

// Formats are all of them.
var Formats = []Format{SARIF, Table, JSON}

// TableFile is the name of the document that the format Table makes.
const TableFile = "report.txt"
