package volume

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// clock is a Pace's time: it goes on only while the Pace sleeps.
type clock struct{ at time.Time }

func (c *clock) of(p *Pace) *Pace {
	p.now = func() time.Time { return c.at }
	p.sleep = func(ctx context.Context, d time.Duration) error {
		c.at = c.at.Add(d)
		return ctx.Err()
	}
	return p
}

func TestASearchAsksTheVolumeNoMoreOftenThanItsPace(t *testing.T) {
	d := newDisk(t)
	for i := range 20 {
		for j := range 10 {
			d.files(fmt.Sprintf("d%02d/i%02d.sif", i, j))
		}
	}
	const perSecond = 10
	begin := time.Unix(1000, 0)
	c := &clock{begin}
	root := d.root("")
	root.SetPace(c.of(NewPace(perSecond, 0)))
	found, err := Discover(t.Context(), root, Spec{})
	if err != nil {
		t.Fatal(err)
	}
	// At least: opening and listing each of 21 directories, and the attributes of each image.
	requests := 21*2 + 200
	if took, least := c.at.Sub(begin), time.Duration(requests-1)*time.Second/perSecond; len(found.Targets) != 200 || took < least || took > 2*least {
		t.Errorf("%d images were found in %s of the pace's time, want 200 in %s or a little more", len(found.Targets), took, least)
	}

	before := c.at
	for _, image := range found.Targets {
		file, err := root.Open(image.Path)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	if took, least := c.at.Sub(before), 199*time.Second/perSecond; took < least {
		t.Errorf("200 images were opened in %s of the pace's time, want %s", took, least)
	}
}

func TestReadingTakesTheTimeOfThePaceWhateverIsReadAtOnce(t *testing.T) {
	for _, atOnce := range []int{1 << 10, 128 << 10, 64 << 20} {
		begin := time.Unix(1000, 0)
		c := &clock{begin}
		p := c.of(NewPace(0, 1<<20))
		for range 64 << 20 / atOnce {
			if err := p.Read(t.Context(), atOnce); err != nil {
				t.Fatal(err)
			}
		}
		if took := c.at.Sub(begin); took < 63*time.Second || took > 64*time.Second {
			t.Errorf("64 MiB in pieces of %d bytes took %s at 1 MiB a second", atOnce, took)
		}
	}
}

func TestNothingIsSavedUpForABurst(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	p := c.of(NewPace(100, 0))
	c.at = c.at.Add(time.Hour)
	before := c.at
	for range 110 {
		if err := p.Request(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := c.at.Sub(before); took < time.Second {
		t.Errorf("after a pause, 110 requests took %s at 100 a second", took)
	}
}

func TestATurnThatComesAfterTheDeadlineIsNotWaitedFor(t *testing.T) {
	p := NewPace(0.001, 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Request(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Request(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestWithoutAPaceNothingWaits(t *testing.T) {
	for name, p := range map[string]*Pace{"none": nil, "no limit": NewPace(0, 0)} {
		ctx, cancel := context.WithCancel(t.Context())
		if err := errors.Join(p.Request(ctx), p.Read(ctx, 1<<40)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if err := p.Request(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, after the end: %v", name, err)
		}
	}
}
