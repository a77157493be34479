// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// EventRecall: the scanner asks for what is kept of a target's last scan, whose Identity it names. It
// asks one question at a time, and Recall is its number.
const EventRecall EventType = "recall"

// Recalled is what is kept of a target's last scan.
type Recalled struct {
	// Kind, Architecture and Image are what its report says of the image.
	Kind         string                `json:"kind,omitempty"`
	Architecture string                `json:"architecture,omitempty"`
	Image        *v1alpha1.ReportImage `json:"image,omitempty"`
	// Documents names those that can stay as they are (Event.Unchanged).
	Documents []string `json:"documents,omitempty"`
	// Inventory is the engine's, at most engine.MaxInventory bytes. It travels in a file.
	Inventory []byte `json:"-"`
}

// ErrNotKept is returned for what the reporter cannot give back.
var ErrNotKept = errors.New("the image's package list is not at hand")

// Recall asks for what is kept of the target of e, and waits for it until ctx ends.
func (s *Scanner) Recall(ctx context.Context, e Event) (*Recalled, error) {
	s.recalls++
	e.Type, e.Recall = EventRecall, s.recalls
	if err := s.Tell(e); err != nil {
		return nil, err
	}
	// One answer takes about as long as the one before: looking for it every two milliseconds until then took a sixth of the
	// scanner's CPU, most of it for falling asleep and waking up.
	asked := time.Now()
	err := pause(ctx, min(s.took*3/4, pollMost))
	if err == nil {
		err = poll(ctx, func() (bool, error) {
			err := s.readAcks()
			return s.recalled.Recall == e.Recall, err
		})
	}
	s.took = time.Since(asked)
	switch answer := s.recalled; {
	case err != nil:
		return nil, fmt.Errorf("wait for the image's package list: %w", err)
	case answer.Error != "" || answer.Recalled == nil:
		return nil, fmt.Errorf("%w: %s", ErrNotKept, answer.Error)
	}
	s.recalled.Recalled.Inventory, err = readInventory(inventoryPath(s.state, e.Recall))
	return s.recalled.Recalled, err
}

func readInventory(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > engine.MaxInventory {
		return nil, tooLarge(info.Size())
	}
	text := make([]byte, info.Size())
	_, err = io.ReadFull(f, text)
	return text, err
}

// GiveBack answers an EventRecall. What was given back before makes room for it: the scanner has read it,
// and the volume that both travel on holds 128 MiB, most of which a list of targets can take. It is the same inode:
// ext4 goes past those that were freed to make one, as of results.
func (r *Reporter) GiveBack(question int, what Recalled) error {
	if n := len(what.Inventory); n > engine.MaxInventory {
		return tooLarge(int64(n))
	}
	if err := r.giveRoom(); err != nil {
		return err
	}
	path := inventoryPath(r.state, question)
	if r.given != "" {
		if err := os.Rename(r.given, path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	r.given = path
	if err := writeOver(path, what.Inventory); err != nil {
		return err
	}
	return r.Ack(Ack{Recall: question, Recalled: &what})
}

// writeOver gives a file a content. The scanner reads it once the answer is there: it needs not appear whole. It is cut after it was
// written: cut before, its pages and blocks would be freed and asked for again.
func writeOver(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	return errors.Join(err, f.Close())
}

// giveRoom removes what an earlier process of this end gave back.
func (r *Reporter) giveRoom() error {
	if r.given != "" {
		return nil
	}
	before, err := filepath.Glob(filepath.Join(r.state, inventoryPrefix+"*"))
	for _, old := range before {
		err = errors.Join(err, os.Remove(old))
	}
	return err
}

// AnsweredRecall tells whether an EventRecall was answered, by this process or an earlier one.
func (r *Reporter) AnsweredRecall(question int) bool {
	_, ok := r.acked[Ack{Recall: question}.key()]
	return ok
}

func tooLarge(size int64) error {
	return fmt.Errorf("%w: its %d bytes are more than %d", ErrNotKept, size, engine.MaxInventory)
}

const inventoryPrefix = "inventory-"

func inventoryPath(state string, question int) string {
	return filepath.Join(state, fmt.Sprintf("%s%d.json", inventoryPrefix, question))
}
