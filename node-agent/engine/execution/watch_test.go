package execution

import (
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

func TestALookIsDueBeforeTheRoomCanBeGone(t *testing.T) {
	const mebi, gibi = 1 << 20, 1 << 30
	for name, c := range map[string]struct {
		limit, used, grown int64
		took, want         time.Duration
	}{
		"much room":                              {10 * gibi, 0, 0, 0, pollEvery},
		"little room":                            {64 * mebi, 0, 0, 0, 27343750}, // 28 of 56 MiB at 1 GiB/s
		"almost none":                            {64 * mebi, 56 * mebi, 0, 0, time.Millisecond},
		"many files":                             {10 * gibi, 0, 0, 20 * time.Millisecond, 180 * time.Millisecond},
		"many files in little room":              {64 * mebi, 40 * mebi, 0, 20 * time.Millisecond, 40 * time.Millisecond},
		"many files that become many more":       {10 * gibi, 9 * gibi, 3 * gibi, 20 * time.Millisecond, 125 * time.Millisecond},
		"many files that are about to fill it":   {10 * gibi, 9*gibi + 767*mebi, gibi, 20 * time.Millisecond, 20 * time.Millisecond},
		"a few that grow slowly in little room":  {64 * mebi, 48 * mebi, 1, time.Millisecond, 3906250},
		"a few that grow quickly in little room": {64 * mebi, 48 * mebi, 16 * mebi, time.Millisecond, 3906250},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			w := &watch{c: Command{Budget: engine.Budget{Tmp: c.limit}}, used: c.used - c.grown, at: began.Add(-time.Second)}
			if got := w.pace(c.used, c.limit-reserve(c.limit)-c.used, began, c.took); got != c.want {
				t.Errorf("the next look is due after %s, want %s", got, c.want)
			}
			if first := w.first(); first > pollEvery || c.limit < gibi && first != 27343750 {
				t.Errorf("the first look is due after %s", first)
			}
		})
	}
}
