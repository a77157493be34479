// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reporter is the half of a scan pod that talks to the API server. It uploads each
// result the moment the scanner tells of it, keeps the run's ScanInventory, and
// tells the scanner what the API already knows. It never touches the target, and treats what
// the scanner wrote as written by an attacker.
package reporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
)

// Claim is a PersistentVolumeClaim whose images are scanned.
type Claim struct {
	Name, UID string
	// SubPath is the folder of the volume that is mounted.
	SubPath string
}

// Options say whose results are reported, and where.
type Options struct {
	// Namespace of the SIFScan, the claim, and every object written.
	Namespace string
	// Node this pod runs on, and its UID.
	Node, PodUID string
	// Scan names the SIFScan, Run its run.
	ScanName, ScanUID, Run string
	// Job is the name of the Job: inventories are named after it.
	Job string
	// Worker is this pod's index in the run, from 0, and Workers their number. Default: 1.
	Worker, Workers int32
	// Claims are the volumes, in the order of the scanner's command line.
	Claims []Claim
	// Engine and ScanTypes are part of a report's name.
	Engine    string
	ScanTypes []string
	// Artifacts says where documents are kept.
	Artifacts v1alpha1.ArtifactStore
	// Volume keeps the documents, and all findings, where Artifacts says so.
	Volume *Volume
	// MaxFindings that a ScanReport lists.
	MaxFindings int
	// Scope names what the SIFScan looks for, and is noted on every report; empty: nothing is.
	Scope string
	// Rescan says whether reports of earlier runs count as known.
	Rescan v1alpha1.RescanPolicy
	// FlushEvery is the shortest time between two writes of the inventory while the scan is
	// under way. Default: 10 s.
	FlushEvery time.Duration
	// LookEvery is the time between two looks at whether the first worker has stored the list that
	// all share. Default: 5 s.
	LookEvery time.Duration
	// Grace is how long the reporter goes on after it was told to end. Default: 100 s, less
	// than the pod's 120.
	Grace time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	if o.FlushEvery == 0 {
		o.FlushEvery = 10 * time.Second
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.LookEvery == 0 {
		o.LookEvery = 5 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 100 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// writer names the run in reports. Its id alone would not do: all SIFScans of a ScanSchedule share it.
func (o *Options) writer() string { return o.ScanUID + "/" + o.Run }

// Reporter is the reporter of one scan pod.
type Reporter struct {
	opts  Options
	api   client.Client
	hand  *handover.Reporter
	log   logr.Logger
	calls persistence
	// configMaps are refused by quotas of their own.
	configMaps persistence
	known      map[string]knownReport
	budget     budget
	inventory  *inventory
	shelf      *shelf // nil: documents are kept on no volume
	// last is the report that was read for the scanner, which will soon be written anew.
	last *v1alpha1.ScanReport
	// whole is last, or what was last, where it was read from the volume: it has all findings.
	whole *v1alpha1.ScanReport
}

// Run reports until ctx ends, which is when the pod's main container has ended and the kubelet
// ends its sidecars. What is left in the results is then still reported, within Grace.
func Run(ctx context.Context, api client.Client, resultsDir, stateDir string, opts Options, log logr.Logger) error {
	opts.setDefaults()
	hand, err := handover.OpenReporter(resultsDir, stateDir)
	if err != nil {
		return err
	}
	defer hand.Close()
	r := &Reporter{opts: opts, api: api, hand: hand, log: log, inventory: newInventory(opts)}

	work, stop := withGrace(ctx, opts.Grace)
	defer stop()
	if ok, err := r.takePlan(ctx); err != nil || !ok {
		return err
	}
	if err := r.learn(work); err != nil {
		return fmt.Errorf("read what the cluster knows of earlier scans: %w", err)
	}
	if opts.Volume != nil {
		r.shelf = newShelf(opts.Volume, opts.staging())
		r.tidy(work)
		defer r.leave(work)
	}
	if err := r.tell(); err != nil {
		return err
	}
	log.Info("ready", "claims", opts.Claims, "knownReports", len(r.known), "doneBefore", r.inventory.done)

	if err := hand.Follow(ctx, r.handler(work), func() error { return r.flushIfDue(work) }); err != nil {
		return err
	}
	// The scanner is gone: what it left is all there will ever be.
	err = hand.Next(r.handler(work))
	r.inventory.ended()
	return errors.Join(err, r.flush(work))
}

// tell gives the scanner what the API knows. A container that was started anew in its pod finds that
// its scanner was told: the images in hand are then no deaths of a scanner.
func (r *Reporter) tell() error {
	told, ok, err := r.hand.Told()
	if err != nil {
		return err
	}
	if !ok {
		return r.hand.TellKnown(r.tellKnown)
	}
	r.inventory.attempts, r.inventory.death = told.Attempts, told.Death
	return nil
}

// withGrace returns a context that outlives ctx by grace.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(grace, cancel)
		context.AfterFunc(work, func() { t.Stop() })
	})
	return work, func() { unhook(); cancel() }
}

func (r *Reporter) handler(ctx context.Context) func(handover.Event) error {
	return func(e handover.Event) error { return r.handle(ctx, e) }
}

// handle turns one event of the scanner into what the API shows.
func (r *Reporter) handle(ctx context.Context, e handover.Event) error {
	switch e.Type {
	case handover.EventPlanned:
		return r.freeze(ctx)
	case handover.EventListed:
		r.inventory.listed(e.Total)
	case handover.EventBegun:
		r.inventory.begun(e.Path)
	case handover.EventReleased:
		r.inventory.released(e.Path)
	case handover.EventRecall:
		return r.recall(ctx, e)
	case handover.EventEntry:
		return r.entry(ctx, e)
	case handover.EventContainer:
		r.inventory.container(e.Container)
	case handover.EventFinished:
		if err := r.flush(ctx); err != nil {
			return err
		}
		return r.hand.Ack(handover.Ack{Finished: true})
	}
	return nil
}

// entry stores a target's result, if it has one, and its outcome.
func (r *Reporter) entry(ctx context.Context, e handover.Event) error {
	if answer, ok := r.hand.Answered(e.Folder); ok {
		return r.entryAgain(e, answer)
	}
	if e.Folder == "" {
		r.inventory.entry(e.Path, e.Outcome, e.Report)
		if e.Outcome == v1alpha1.EntryUnchanged && e.Volume == handover.NoVolume {
			r.share(ctx, e.Report)
		}
		return nil
	}
	ack := handover.Ack{Folder: e.Folder}
	name, err := r.store(ctx, e)
	switch {
	case err == nil:
		r.inventory.entry(e.Path, e.Outcome, name)
	case ctx.Err() != nil:
		return err
	default:
		if err := r.failed(ctx, e, err); err != nil {
			return err
		}
		ack.Error = err.Error()
	}
	return r.hand.Ack(ack)
}

// entryAgain repeats the entry of a result that was answered before this container was started
// anew in its pod, and which the scanner may have removed.
func (r *Reporter) entryAgain(e handover.Event, answer handover.Ack) error {
	at, err := r.holderOf(e)
	if err != nil || answer.Error != "" {
		r.inventory.entry(e.Path, v1alpha1.EntryFailed, r.failureOf(e))
		return nil
	}
	r.inventory.entry(e.Path, e.Outcome, at.subject.Name())
	return nil
}

func (r *Reporter) flushIfDue(ctx context.Context) error {
	if !r.inventory.due(r.opts.Now(), r.opts.FlushEvery) {
		return nil
	}
	return r.flush(ctx)
}
