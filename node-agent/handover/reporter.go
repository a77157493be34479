// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"errors"
	"fmt"
)

// Reporter is the reporter's end. Whatever it reads was written next to hostile images.
type Reporter struct {
	results string
	state   string
	journal tail
	acks    *lineWriter
	acked   map[string]Ack
	given   string // file that was given back last
}

// OpenReporter opens the reporter's end over the two directories. After a restart it knows
// what it acknowledged before.
func OpenReporter(results, state string) (*Reporter, error) {
	r := &Reporter{
		results: results,
		state:   state,
		journal: tail{path: journalPath(results)},
		acked:   map[string]Ack{},
	}
	before := tail{path: acksPath(state)}
	defer before.close()
	err := next(&before, func(a Ack) error { r.remember(a); return nil })
	if err != nil && !errors.Is(err, errNotYet) {
		return nil, err
	}
	r.acks, err = openLineWriter(acksPath(state))
	return r, err
}

// key tells answers apart. No folder's name holds a slash.
func (a Ack) key() string {
	switch {
	case a.Finished:
		return "/finished"
	case a.Recall > 0:
		return fmt.Sprintf("/recall/%d", a.Recall)
	}
	return a.Folder
}

// Close closes the journals.
func (r *Reporter) Close() error {
	r.journal.close()
	return r.acks.close()
}

// Told returns what an earlier process of this end gave to TellKnown; ok is false where none did.
func (r *Reporter) Told() (k *Knowledge, ok bool, err error) {
	k = newKnowledge()
	t := tail{path: knownPath(r.state)}
	defer t.close()
	err = next(&t, func(line Known) error { k.add(line); return nil })
	if errors.Is(err, errNotYet) {
		return nil, false, nil
	}
	return k, err == nil, err
}

// TellKnown gives the scanner what the API knows. The scanner begins when it is there.
func (r *Reporter) TellKnown(lines func(yield func(Known) error) error) error {
	return writeWhole(knownPath(r.state), lines)
}

// Next calls fn for each event that is there now and was not seen before.
func (r *Reporter) Next(fn func(Event) error) error {
	err := next(&r.journal, fn)
	if errors.Is(err, errNotYet) {
		return nil
	}
	return err
}

// Follow calls fn for each event, and idle whenever there is none left, until ctx ends or
// either fails. It returns nil when ctx ends.
func (r *Reporter) Follow(ctx context.Context, fn func(Event) error, idle func() error) error {
	for ctx.Err() == nil {
		err := poll(ctx, func() (told bool, err error) {
			if err := r.Next(func(e Event) error { told = true; return fn(e) }); err != nil {
				return false, err
			}
			return told, idle() // after an event another is near
		})
		if err != nil && (ctx.Err() == nil || !errors.Is(err, context.Cause(ctx))) {
			return err
		}
	}
	return nil
}

// Answered returns the answer on a result that was given before, by this process or an
// earlier one.
func (r *Reporter) Answered(folder string) (Ack, bool) {
	a, ok := r.acked[folder]
	return a, ok
}

// Ack answers the scanner.
func (r *Reporter) Ack(a Ack) error {
	if _, ok := r.acked[a.key()]; ok {
		return nil
	}
	r.remember(a)
	return r.acks.write(a)
}

// remember notes that something was answered, and not all of what was said.
func (r *Reporter) remember(a Ack) {
	a.Recalled = nil
	r.acked[a.key()] = a
}
