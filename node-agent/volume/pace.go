package volume

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// Pace keeps the server of a volume responsive: it says when the volume may be asked, and read, once more. What is
// saved up while nothing is asked lasts a tenth of a second, so that short waits do not add up and no burst follows a
// pause. It may be shared by goroutines; nil knows no limit.
type Pace struct {
	requests, bytes *rate.Limiter

	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

// NewPace limits how often a volume is asked in a second, for opening a file or a directory, for some hundred entries
// of one, for the attributes of a file, and how many bytes are read of it. 0: any number.
func NewPace(requestsPerSecond float64, bytesPerSecond int64) *Pace {
	return &Pace{
		requests: limiter(requestsPerSecond), bytes: limiter(float64(bytesPerSecond)),
		now: time.Now, sleep: sleep,
	}
}

// Share leaves the n-th part of it, where n share it from then on.
func (p *Pace) Share(n int) {
	if p == nil || n < 2 {
		return
	}
	now := p.now()
	for _, l := range []*rate.Limiter{p.requests, p.bytes} {
		if l != nil {
			part := l.Limit() / rate.Limit(n)
			l.SetLimitAt(now, part)
			l.SetBurstAt(now, burst(float64(part)))
		}
	}
}

// Request waits for the turn to ask the volume.
func (p *Pace) Request(ctx context.Context) error {
	if p == nil {
		return ctx.Err()
	}
	return p.wait(ctx, p.requests, 1)
}

// Read waits for the turn to read n bytes.
func (p *Pace) Read(ctx context.Context, n int) error {
	if p == nil {
		return ctx.Err()
	}
	return p.wait(ctx, p.bytes, n)
}

// wait waits for n of what l hands out. It gives up at once where ctx ends before.
func (p *Pace) wait(ctx context.Context, l *rate.Limiter, n int) error {
	for l != nil && n > 0 {
		part := min(n, l.Burst())
		n -= part
		now := p.now()
		turn := l.ReserveN(now, part)
		delay := turn.DelayFrom(now)
		if end, ok := ctx.Deadline(); ok && end.Before(now.Add(delay)) {
			turn.CancelAt(now)
			return context.DeadlineExceeded
		}
		if delay == 0 {
			continue
		}
		if err := p.sleep(ctx, delay); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// limiter hands out a tenth of a second's worth at once; nil: no limit.
func limiter(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst(perSecond))
}

func burst(perSecond float64) int { return max(1, int(perSecond/10)) }
