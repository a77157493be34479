// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package handover is the protocol of files between the two halves of a scan pod: the
// scanner, which reads hostile images and holds no token, and the reporter, which holds the
// token and reads no image.
//
// Each half owns one directory that the other can only read:
//
//	results/   written by the scanner
//	  journal.jsonl        one Event a line, in the order things happened
//	  <folder>             one image's report.json and documents in one file, complete once an Event names it
//	state/     written by the reporter
//	  known.jsonl          one Known a line; the file appears whole, by rename
//	  acks.jsonl           one Ack a line
//	  inventory-<n>.json   the answer to the last EventRecall
//
// Journals only grow, so either half can die at any point and read the whole story again.
// Both ends bound what they read: a line by maxLine, a journal by what the other's volume holds.
package handover

import (
	"cmp"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Names of files in the two directories.
const (
	journalFile = "journal.jsonl"
	knownFile   = "known.jsonl"
	acksFile    = "acks.jsonl"

	// ReportFile is the ScanReport in a result.
	ReportFile = "report.json"
)

// EventType says what an Event tells.
type EventType string

// What a scanner tells, in the order of a run.
const (
	// EventListed: the targets are known; Total says how many.
	EventListed EventType = "listed"
	// EventBegun: the scan of Path begins. A death of the scanner from here to the entry is blamed on it.
	EventBegun EventType = "begun"
	// EventReleased: the scan of Path ended without an outcome, and its image is not to blame: the scanner was told to
	// end, or reads the image again later.
	EventReleased EventType = "released"
	// EventEntry: Path has an Outcome. With a Folder, its report waits there.
	EventEntry EventType = "entry"
	// EventContainer: a Container is alive on the node. Told again once its image has a report.
	EventContainer EventType = "container"
	// EventFinished: every target has an entry. The reporter answers once all of them are stored.
	EventFinished EventType = "finished"
)

// Event is a line of the scanner's journal. Paths are escaped (printable.Escape), which keeps
// different names different.
type Event struct {
	Type  EventType `json:"type"`
	Total int32     `json:"total,omitempty"`
	// Path names the target in the inventory: relative to the volume where there is one, as
	// users know it where there are several, the reference of a registry image.
	Path string `json:"path,omitempty"`
	// Volume is the index of the KnownVolume that the target is on; NoVolume where it is on none.
	Volume int `json:"volume,omitempty"`
	// File is the target's path on its volume, where Path is not that.
	File     string                `json:"file,omitempty"`
	Outcome  v1alpha1.EntryOutcome `json:"outcome,omitempty"`
	Report   string                `json:"report,omitempty"`
	Folder   string                `json:"folder,omitempty"`
	Identity string                `json:"identity,omitempty"`
	// Live names the file that a live container was started from: its report is named by it.
	Live string `json:"live,omitempty"`
	// Unchanged names the documents of the target's last scan that stay as they are. They are not in the Folder.
	Unchanged []string `json:"unchanged,omitempty"`
	// Recall numbers an EventRecall, from 1.
	Recall int `json:"recall,omitempty"`
	// Container of an EventContainer.
	Container *v1alpha1.InventoryContainer `json:"container,omitempty"`
}

// NoVolume is the volume of what is on none: registry images, images of live containers, and lines
// of a list that no volume holds.
const NoVolume = -1

// OnVolume is the target's path on its volume, or its name where it is on none.
func (e Event) OnVolume() string { return cmp.Or(e.File, e.Path) }

// Ack is the reporter's answer. Folder names the result that is stored; Finished answers
// EventFinished, Recall the EventRecall of this number. An Error means that it will never be stored,
// or is not kept.
type Ack struct {
	Folder   string    `json:"folder,omitempty"`
	Finished bool      `json:"finished,omitempty"`
	Recall   int       `json:"recall,omitempty"`
	Recalled *Recalled `json:"recalled,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Known is a line of what the API knew when the reporter started. Exactly one field is set.
type Known struct {
	Volume   *KnownVolume       `json:"volume,omitempty"`
	Report   *KnownReport       `json:"report,omitempty"`
	Entry    *KnownEntry        `json:"entry,omitempty"`
	InFlight *v1alpha1.InFlight `json:"inFlight,omitempty"`
	// Death is why the worker's previous pod died, as "Reason: message"; empty when it is not known.
	Death string `json:"death,omitempty"`
	// Recalls tells that the reporter answers EventRecall.
	Recalls bool `json:"recalls,omitempty"`
}

// KnownVolume is what reports of a volume are named by. They come first, in the order of the
// volumes on the scanner's command line.
type KnownVolume struct {
	ClaimName string `json:"claimName"`
	ClaimUID  string `json:"claimUID"`
	SubPath   string `json:"subPath,omitempty"`
}

// KnownReport is a report of the volume that was read well: an image with this identity need not be opened.
type KnownReport struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
}

// KnownEntry is a target that an earlier pod of this worker finished in this run.
type KnownEntry struct {
	Path    string                `json:"path"`
	Outcome v1alpha1.EntryOutcome `json:"outcome"`
}

func journalPath(results string) string { return filepath.Join(results, journalFile) }
func knownPath(state string) string     { return filepath.Join(state, knownFile) }
func acksPath(state string) string      { return filepath.Join(state, acksFile) }
