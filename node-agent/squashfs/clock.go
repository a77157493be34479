package squashfs

import (
	"sync"
	"sync/atomic"
)

// clock is a map of bounded size with second-chance eviction: a hit takes only
// a read lock and sets a bit, so parallel readers do not queue behind a list.
type clock[K comparable, V any] struct {
	mu    sync.RWMutex
	slots map[K]*clockSlot[K, V]
	ring  []*clockSlot[K, V]
	hand  int
	limit int
}

type clockSlot[K comparable, V any] struct {
	key   K
	value V
	used  atomic.Bool
}

func newClock[K comparable, V any](limit int) *clock[K, V] {
	return &clock[K, V]{slots: make(map[K]*clockSlot[K, V]), limit: limit}
}

func (c *clock[K, V]) get(key K) (v V, ok bool) {
	c.mu.RLock()
	s := c.slots[key]
	c.mu.RUnlock()
	if s == nil {
		return v, false
	}
	if !s.used.Load() {
		s.used.Store(true)
	}
	return s.value, true
}

// put adds a value; where another caller was faster, its value stays and is returned.
func (c *clock[K, V]) put(key K, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.slots[key]; s != nil {
		return s.value
	}
	s := &clockSlot[K, V]{key: key, value: v}
	c.slots[key] = s
	if len(c.ring) < c.limit {
		c.ring = append(c.ring, s)
		return v
	}
	for c.ring[c.hand].used.Swap(false) {
		c.hand = (c.hand + 1) % c.limit
	}
	delete(c.slots, c.ring[c.hand].key)
	c.ring[c.hand] = s
	c.hand = (c.hand + 1) % c.limit
	return v
}
