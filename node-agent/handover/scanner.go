// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Scanner is the scanner's end.
type Scanner struct {
	results string
	state   string
	journal *lineWriter
	acks    tail

	acked    map[string]string // result → error, empty when stored
	finished *Ack
	recalls  int           // how often something was asked back
	recalled Ack           // the last answer to that
	took     time.Duration // how long it took
}

// OpenScanner opens the scanner's end over the two directories.
func OpenScanner(results, state string) (*Scanner, error) {
	journal, err := openLineWriter(journalPath(results))
	if err != nil {
		return nil, err
	}
	return &Scanner{
		results: results,
		state:   state,
		journal: journal,
		acks:    tail{path: acksPath(state)},
		acked:   map[string]string{},
	}, nil
}

// Close closes the journals.
func (s *Scanner) Close() error {
	s.acks.close()
	return s.journal.close()
}

// Knowledge is what the API knew when the reporter started.
type Knowledge struct {
	Volumes  []KnownVolume
	Reports  map[string]string // report name → identity
	Entries  map[string]KnownEntry
	Attempts map[string]int32 // target that killed earlier pods → how many
	Death    string
	Recalls  bool // the reporter answers EventRecall
}

func newKnowledge() *Knowledge {
	return &Knowledge{Reports: map[string]string{}, Entries: map[string]KnownEntry{}, Attempts: map[string]int32{}}
}

// Known waits for the reporter's knowledge until ctx ends.
func (s *Scanner) Known(ctx context.Context) (*Knowledge, error) {
	k := newKnowledge()
	t := tail{path: knownPath(s.state)}
	defer t.close()
	err := poll(ctx, func() (bool, error) {
		err := next(&t, func(line Known) error { k.add(line); return nil })
		if errors.Is(err, errNotYet) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("wait for what the cluster knows of the targets: %w", err)
	}
	return k, nil
}

func (k *Knowledge) add(line Known) {
	switch {
	case line.Volume != nil:
		k.Volumes = append(k.Volumes, *line.Volume)
	case line.Report != nil:
		k.Reports[line.Report.Name] = line.Report.Identity
	case line.Entry != nil:
		k.Entries[line.Entry.Path] = *line.Entry
	case line.InFlight != nil:
		k.Attempts[line.InFlight.Path] = line.InFlight.Attempts
	}
	if line.Death != "" {
		k.Death = line.Death
	}
	k.Recalls = k.Recalls || line.Recalls
}

// Tell appends an event to the journal.
func (s *Scanner) Tell(e Event) error { return s.journal.write(e) }

// Taken is what the journal and a list of targets take of the results directory, in bytes.
func (s *Scanner) Taken() (sum int64, err error) {
	for _, path := range []string{journalPath(s.results), filepath.Join(s.results, planFile)} {
		info, err := os.Lstat(path)
		switch {
		case err == nil:
			sum += info.Size()
		case !errors.Is(err, os.ErrNotExist):
			return 0, err
		}
	}
	return sum, nil
}

// ErrNotStored is returned when the reporter says that a result can never be stored.
var ErrNotStored = errors.New("not stored")

// WaitStored waits until at most pending of the given results are not stored, and
// removes those that are. It returns what is left of them. A result that the reporter refused
// is ErrNotStored.
func (s *Scanner) WaitStored(ctx context.Context, folders []string, pending int) ([]string, error) {
	left := folders
	var refused []error
	err := poll(ctx, func() (bool, error) {
		if err := s.readAcks(); err != nil {
			return false, err
		}
		var still []string
		for _, name := range left {
			reason, ok := s.acked[name]
			if !ok {
				still = append(still, name)
				continue
			}
			delete(s.acked, name)
			if reason != "" {
				refused = append(refused, fmt.Errorf("%w: %s: %s", ErrNotStored, name, reason))
			}
			if err := os.Remove(filepath.Join(s.results, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return false, err
			}
		}
		left = still
		return len(left) <= pending, nil
	})
	if err != nil {
		err = fmt.Errorf("wait for %d results to be stored in the cluster: %w", len(left), err)
	}
	return left, errors.Join(append(refused, err)...)
}

// WaitFinished tells the reporter that every target has an entry, and waits until all are stored.
func (s *Scanner) WaitFinished(ctx context.Context) error {
	if err := s.Tell(Event{Type: EventFinished}); err != nil {
		return err
	}
	err := poll(ctx, func() (bool, error) {
		return s.finished != nil, s.readAcks()
	})
	if err != nil {
		return fmt.Errorf("wait for the inventory to be stored in the cluster: %w", err)
	}
	if s.finished.Error != "" {
		return fmt.Errorf("%w: inventory: %s", ErrNotStored, s.finished.Error)
	}
	return nil
}

func (s *Scanner) readAcks() error {
	err := next(&s.acks, func(a Ack) error {
		switch {
		case a.Finished:
			s.finished = &a
		case a.Recall > 0:
			s.recalled = a
		default:
			s.acked[a.Folder] = a.Error
		}
		return nil
	})
	if errors.Is(err, errNotYet) {
		return nil
	}
	return err
}

// poll calls done until it says so, fails, or ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	for wait := pollFirst; ; wait = min(wait*5/4, pollMost) {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits, but no longer than until ctx ends.
func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(wait):
		return nil
	}
}
