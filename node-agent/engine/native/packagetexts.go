package native

import (
	"sync"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// packageTexts remembers packages by their text in an inventory. Images of one site share most of theirs, and what a text was read as
// and checked to be once, it is.
type packageTexts struct {
	mutex    sync.Mutex
	packages map[string]*engine.Package
	size     int
}

// maxPackageTexts bounds what is remembered, in bytes; what is beyond begins anew. They are some 8,000 packages.
const maxPackageTexts = 8 << 20

// of returns the package of a text. Nothing may change it.
func (t *packageTexts) of(text string) (p *engine.Package, seen bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	p, seen = t.packages[text]
	return p, seen
}

// remember keeps a package. Its strings are parts of the text.
func (t *packageTexts) remember(text string, p *engine.Package) {
	const ofPackage = 512 // what Go's structures take beside the text, which is there twice where it has escapes
	size := ofPackage + 2*len(text)
	if size > maxPackageTexts {
		return
	}
	kept := *p
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.size += size; t.packages == nil || t.size > maxPackageTexts {
		t.packages, t.size = map[string]*engine.Package{}, size
	}
	t.packages[text] = &kept
}
