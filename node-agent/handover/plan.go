// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/plan"
)

// planFile is the list of a run with several workers. In results it is what the first worker's
// scanner made; in state what is frozen in the API, and it is there before known.jsonl where
// nobody needs to make one. Both appear whole, by rename.
const planFile = "plan.jsonl"

// EventPlanned: the scanner made a list of all targets of the run, which waits to be frozen.
const EventPlanned EventType = "planned"

// maxPlan bounds a list, in bytes: the volume that it travels on holds 128 MiB.
const maxPlan = 96 << 20

// planRefused is the only line of a list that can never be frozen, and tells why.
const planRefused plan.Kind = "refused"

// ErrPlanRefused is returned for a list that can never be frozen.
var ErrPlanRefused = errors.New("the list of targets cannot be stored")

// Plan returns the frozen list; false where none is known yet.
func (s *Scanner) Plan() (items []plan.Item, ok bool, err error) {
	f, err := openRegular(filepath.Join(s.state, planFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	err = plan.Read(f, func(i plan.Item) error {
		if i.Kind == planRefused {
			return fmt.Errorf("%w: %s", ErrPlanRefused, i.Message)
		}
		items = append(items, i)
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the list of targets: %w", err)
	}
	return items, true, nil
}

// Freeze offers a list, and waits for the one that is frozen: this, or that of another pod which
// was faster.
func (s *Scanner) Freeze(ctx context.Context, items []plan.Item) (frozen []plan.Item, err error) {
	err = writeFile(filepath.Join(s.results, planFile), func(w io.Writer) error {
		for _, i := range items {
			if err := plan.Write(w, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write the list of targets: %w", err)
	}
	if err := s.Tell(Event{Type: EventPlanned, Total: int32(len(items))}); err != nil {
		return nil, err
	}
	err = poll(ctx, func() (ok bool, err error) {
		frozen, ok, err = s.Plan()
		return ok, err
	})
	if err != nil && !errors.Is(err, ErrPlanRefused) {
		err = fmt.Errorf("wait for the list of targets to be stored in the cluster: %w", err)
	}
	return frozen, err
}

// PlanOffered opens the list that the scanner made.
func (r *Reporter) PlanOffered() (io.ReadCloser, error) {
	f, err := openRegular(filepath.Join(r.results, planFile))
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Size() > maxPlan {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("the list of targets takes more than %d bytes", maxPlan))
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, maxPlan), f}, nil
}

// TellPlan gives the scanner the list that is frozen.
func (r *Reporter) TellPlan(write func(io.Writer) error) error {
	return writeFile(filepath.Join(r.state, planFile), func(w io.Writer) error {
		return write(&limited{w: w, left: maxPlan})
	})
}

// RefusePlan tells the scanner that its list will never be frozen.
func (r *Reporter) RefusePlan(why string) error {
	return r.TellPlan(func(w io.Writer) error { return plan.Write(w, plan.Item{Kind: planRefused, Message: why}) })
}

// PlanTold reports whether the scanner was given a list, by this process or an earlier one.
func (r *Reporter) PlanTold() bool {
	_, err := os.Lstat(filepath.Join(r.state, planFile))
	return err == nil
}

// limited refuses what is written beyond a bound.
type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, fmt.Errorf("the list of targets takes more than %d bytes", maxPlan)
	}
	return l.w.Write(p)
}

// writeFile writes a file that appears complete or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriter(f)
	if err := errors.Join(write(w), w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// openRegular opens a file that the other half wrote, which may be compromised: no link is
// followed and nothing but a regular file is read.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return f, nil
}
