package osvdb

import (
	"strings"
	"sync"
)

// answers remembers what the database says of a version of a package. Images of one site share most of their packages: without it,
// looking them up again, with three reads for each package, was a seventh of what matching a stored inventory takes.
type answers struct {
	mutex sync.Mutex
	hits  map[candidate][]hit
	size  int
}

// maxAnswers bounds what is remembered, in bytes; what is beyond begins anew. 20,000 packages without an advisory are 4 MiB, a kernel's
// 4,000 advisories 6 MiB.
const maxAnswers = 8 << 20

// of returns what was remembered.
func (a *answers) of(c candidate) (hits []hit, known bool) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	hits, known = a.hits[c]
	return hits, known
}

// remember keeps an answer. It keeps nothing of the memory that the candidate's texts are a part of: an image's whole inventory.
func (a *answers) remember(c candidate, hits []hit) {
	const ofAnswer, ofHit, ofText = 128, 320, 3 // what Go's maps, slices and structures take; names and ratings take more than their texts
	size := ofAnswer + len(c.ecosystem) + len(c.name) + len(c.version)
	for i := range hits {
		size += ofHit + ofText*hits[i].size + len(hits[i].fixed)
	}
	if size > maxAnswers {
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.size += size; a.hits == nil || a.size > maxAnswers {
		a.hits, a.size = map[candidate][]hit{}, size
	}
	a.hits[candidate{strings.Clone(c.ecosystem), strings.Clone(c.name), strings.Clone(c.version)}] = hits
}
