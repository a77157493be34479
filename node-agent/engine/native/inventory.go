package native

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// readInventory reads an inventory as makeInventory wrote it. Findings are passed over: they are what another database said.
// It was made of a hostile image and has lain where others may write: lists are taken item by item, so that memory is bounded
// by what an inventory can hold and not by what its bytes can claim, and nothing is accepted that no scan would have written.
func readInventory(text []byte) (*nativeDocument, error) {
	if len(text) > engine.MaxInventory {
		return nil, fmt.Errorf("%d bytes are more than %d", len(text), engine.MaxInventory)
	}
	r := inventoryReader{json: json.NewDecoder(bytes.NewReader(text))}
	r.json.DisallowUnknownFields()
	if err := r.object(r.field); err != nil {
		return nil, err
	}
	if _, err := r.json.Token(); err != io.EOF {
		return nil, errors.New("something follows its end")
	}
	return &r.document, r.sound()
}

type inventoryReader struct {
	json     *json.Decoder
	document nativeDocument
	kept     engine.Kept
	last     *engine.Package
}

// field reads the value of one member of the document.
func (r *inventoryReader) field(name string) error {
	d := &r.document
	switch name {
	case "schema":
		return r.json.Decode(&d.Schema)
	case "target", "createdAt": // of that scan
		return r.json.Decode(new(string))
	case "architecture":
		return r.json.Decode(&d.Architecture)
	case "engine":
		return r.json.Decode(&d.Engine)
	case "os":
		return r.json.Decode(&d.OS)
	case "packages":
		return list(r, &d.Packages, maxPackages, r.pkg)
	case "database", "findings", "notAssessed":
		return r.json.Decode(&passedOver{})
	case "secrets":
		return list(r, &d.Secrets, maxSecrets, func(s *engine.Secret) error { return sound(s.Line >= 0 && s.Path != "", s.Rule, s.Path) })
	case "unownedFiles":
		d.UnownedFiles = &insightReport{}
		return r.object(r.unowned)
	case "warnings":
		return list(r, &d.Warnings, engine.MaxWarnings, func(w *engine.Warning) error { return sound(w.Message != "", w.Path, w.Message) })
	case "droppedWarnings":
		return r.json.Decode(&d.DroppedWarnings)
	}
	return fmt.Errorf("it has a member %.40q", name)
}

// unowned reads the value of one member of unownedFiles.
func (r *inventoryReader) unowned(name string) error {
	u := r.document.UnownedFiles
	switch name {
	case "files":
		return r.json.Decode(&u.Files)
	case "bytes":
		return r.json.Decode(&u.Bytes)
	case "executables":
		return r.json.Decode(&u.Executables)
	case "directories":
		return list(r, &u.Directories, maxInsightDirs, func(d **insightDir) error { return sound(*d != nil && (*d).Path != "", pathOf(*d)) })
	case "listed":
		return list(r, &u.Listed, maxInsightFiles, func(f **insightFile) error {
			if *f == nil {
				return errUnsound
			}
			return sound((*f).Path != "", (*f).Path, (*f).Mode, (*f).Kind)
		})
	case "truncated":
		return r.json.Decode(&u.Truncated)
	}
	return fmt.Errorf("unownedFiles has a member %.40q", name)
}

// pkg checks a package. They come in the order of convert, each package URL once.
func (r *inventoryReader) pkg(p *engine.Package) error {
	if len(p.Licenses) > maxLicenses || len(p.Locations) > maxLocations || len(p.FoundBy) > maxLocations {
		return errUnsound
	}
	if last := r.last; last != nil && comparePackages(*last, *p) >= 0 {
		return errors.New("its packages are not in order")
	}
	r.last = &engine.Package{Type: p.Type, Name: p.Name, Version: p.Version, PURL: p.PURL}
	if err := r.kept.Package(*p); err != nil {
		return err
	}
	for _, texts := range [][]string{p.Licenses, p.Locations, p.FoundBy} {
		if err := sound(true, texts...); err != nil {
			return err
		}
	}
	return sound(p.Name != "" && p.PURL != "", p.Name, p.Version, p.Type, p.PURL, p.Ecosystem, p.SourceName, p.SourceVersion, p.Epoch, p.Architecture)
}

// sound checks what is no list.
func (r *inventoryReader) sound() error {
	d := &r.document
	negative := d.DroppedWarnings < 0
	if u := d.UnownedFiles; u != nil {
		negative = negative || u.Files < 0 || u.Bytes < 0 || u.Executables < 0
	}
	return sound(!negative, d.Architecture, d.OS.Family, d.OS.Version, d.OS.Name, d.OS.Codename, d.OS.CPE)
}

// object reads an object: each member's value by a function, and no member twice.
func (r *inventoryReader) object(field func(name string) error) error {
	if err := r.expect(json.Delim('{')); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.json.More() {
		token, err := r.json.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return fmt.Errorf("it has two members %.40q", name)
		}
		seen[name] = true
		if err := field(name); err != nil {
			return err
		}
	}
	return r.expect(json.Delim('}'))
}

func (r *inventoryReader) expect(want json.Delim) error {
	got, err := r.json.Token()
	if err == nil && got != want {
		err = fmt.Errorf("%v where %v belongs", got, want)
	}
	return err
}

// list reads a list of at most so many items.
func list[T any](r *inventoryReader, into *[]T, most int, check func(*T) error) error {
	opening, err := r.json.Token()
	if err != nil || opening == nil { // null
		return err
	}
	if opening != json.Delim('[') {
		return fmt.Errorf("a list begins with %v", opening)
	}
	*into = []T{}
	for r.json.More() {
		if len(*into) == most {
			return fmt.Errorf("one of its lists has more than the %d items of the longest", most)
		}
		var item T
		if err := r.json.Decode(&item); err != nil {
			return err
		}
		if err := check(&item); err != nil {
			return err
		}
		*into = append(*into, item)
	}
	return r.expect(json.Delim(']'))
}

var errUnsound = errors.New("it holds what no scan writes")

// sound tells whether texts are such as a scan writes, of which a package URL can be the longest.
func sound(so bool, texts ...string) error {
	for _, t := range texts {
		so = so && len(t) <= maxPURL && safe(t)
	}
	if !so {
		return errUnsound
	}
	return nil
}

// safe is printable.Safe, fast for what nearly every text of an inventory is.
func safe(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return printable.Safe(s)
		}
	}
	return true
}

func pathOf(d *insightDir) string {
	if d == nil {
		return ""
	}
	return d.Path
}

// passedOver is a value of no interest.
type passedOver struct{}

// UnmarshalJSON does nothing.
func (*passedOver) UnmarshalJSON([]byte) error { return nil }

// comparePackages orders packages in an inventory.
func comparePackages(a, b engine.Package) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.PURL, b.PURL))
}
