package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

const (
	// maxElement bounds an element of a list in memory: one package, rule or result. Decoding makes up to thirty times as
	// much of it.
	maxElement = 1 << 20
	// maxValue bounds a value of a stream, whether it is wanted or not: trivy names with a package all files it installed,
	// 20,000 for a kernel's headers.
	maxValue = 8 << 20
	// maxElements of a list; the largest images have under 100,000 packages.
	maxElements = 250_000
)

// Skipped counts elements that were passed over.
type Skipped int

// Visit says what to do with the values at a path: object keys, and "*" for the elements of an array. Objects and arrays on
// the way may be absent or of another type.
type Visit struct {
	Path []string
	// Begin is called where such a value begins, and what lies in it is visited next.
	Begin func()
	// Do is given such a value whole; one that it refuses is counted as skipped.
	Do func(json.RawMessage) error
}

// Each calls fn for every value at path. A value that is larger than 1 MiB, and one that fn refuses, is counted as skipped.
// The error is about the document: it is no JSON, or a list is too long.
func Each(data []byte, fn func(json.RawMessage) error, path ...string) (Skipped, error) {
	return walk(json.NewDecoder(bytes.NewReader(data)), maxElement, Visit{Path: path, Do: fn})
}

// EachWhole is Each for values that hold lists themselves, and may be as large as the document. fn must not decode them into
// more than a few fields.
func EachWhole(data []byte, fn func(json.RawMessage) error, path ...string) (Skipped, error) {
	return walk(json.NewDecoder(bytes.NewReader(data)), MaxBytes, Visit{Path: path, Do: fn})
}

// Stream makes the visits in one reading of a regular file of at most limit bytes, of which no more than a few values are in
// memory at a time. The error is about the document: it cannot be read, is no JSON, or holds a list that is too long or a
// value of more than 8 MiB.
func Stream(path string, limit int64, visits ...Visit) (Skipped, error) {
	f, _, err := open(path, limit)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	in := &window{r: f}
	in.dec = json.NewDecoder(in)
	return walk(in.dec, maxValue, visits...)
}

// window reads no further while the decoder holds a value that is too large: its buffer would grow with it.
type window struct {
	r    io.Reader
	dec  *json.Decoder
	read int64
}

func (w *window) Read(p []byte) (int, error) {
	if w.read-w.dec.InputOffset() > maxValue {
		return 0, fmt.Errorf("a value of more than %d MiB", maxValue>>20)
	}
	n, err := w.r.Read(p)
	w.read += int64(n)
	return n, err
}

func walk(dec *json.Decoder, most int, visits ...Visit) (Skipped, error) {
	w := &walker{dec: dec, most: most}
	var all []visit
	for i := range visits {
		all = append(all, visit{Visit: &visits[i], rest: visits[i].Path, seen: new(int)})
	}
	if err := w.value(all); err != nil {
		return w.skipped, fmt.Errorf("its JSON cannot be read: %w", err)
	}
	return w.skipped, nil
}

// visit is a visit on its way.
type visit struct {
	*Visit
	rest []string // of the path
	seen *int     // values so far
}

// below returns the visits that go on below a key.
func below(visits []visit, key string) []visit {
	var list []visit
	for _, v := range visits {
		if len(v.rest) > 0 && v.rest[0] == key {
			v.rest = v.rest[1:]
			list = append(list, v)
		}
	}
	return list
}

type walker struct {
	dec     *json.Decoder
	most    int // bytes of a value
	skipped Skipped
}

// value reads the next value, at which the visits are.
func (w *walker) value(visits []visit) error {
	if len(visits) == 0 {
		var ignored ignore
		return w.dec.Decode(&ignored)
	}
	for _, v := range visits {
		switch {
		case len(v.rest) > 0:
		case v.Do != nil:
			return w.found(v)
		case v.Begin != nil:
			v.Begin()
		}
	}
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return w.object(visits)
	case json.Delim('['):
		return w.array(visits)
	}
	w.skipped++ // a scalar where an object or an array is expected
	return nil
}

func (w *walker) object(visits []visit) error {
	for w.dec.More() {
		key, err := w.dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if err := w.value(below(visits, name)); err != nil {
			return err
		}
	}
	_, err := w.dec.Token() // the closing brace
	return err
}

func (w *walker) array(visits []visit) error {
	elements := below(visits, "*")
	for w.dec.More() {
		if err := w.value(elements); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

func (w *walker) found(v visit) error {
	raw := element{most: w.most}
	if err := w.dec.Decode(&raw); err != nil {
		return err
	}
	if *v.seen++; *v.seen > maxElements {
		return fmt.Errorf("a list of more than %d elements", maxElements)
	}
	if raw.content == nil || v.Do(raw.content) != nil {
		w.skipped++
	}
	return nil
}

// element keeps the text of a value unless it is too large.
type element struct {
	most    int
	content json.RawMessage
}

func (e *element) UnmarshalJSON(text []byte) error {
	if len(text) <= e.most {
		e.content = bytes.Clone(text)
	}
	return nil
}

// ignore is decoded from any value and keeps nothing of it.
type ignore struct{}

func (*ignore) UnmarshalJSON([]byte) error { return nil }
