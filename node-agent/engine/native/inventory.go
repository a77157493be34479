package native

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/strictjson"
)

// known is an inventory that was read, with parts of its text.
type known struct {
	nativeDocument
	// packages, findings and database are the text of these members; empty where there is none.
	packages, findings, database string
}

// readInventory reads an inventory as makeInventory wrote it. Findings are passed over: they are what another database said.
// It was made of a hostile image and has lain where others may write: lists are taken item by item, so that memory is bounded
// by what an inventory can hold and not by what its bytes can claim, and nothing is accepted that no scan would have written.
func readInventory(text []byte, seen *packageTexts) (*known, error) {
	if len(text) > engine.MaxInventory {
		return nil, fmt.Errorf("%d bytes are more than %d", len(text), engine.MaxInventory)
	}
	r := inventoryReader{json: strictjson.New(text), size: len(text), seen: seen}
	err := r.object(r.field)
	if err == nil {
		err = r.json.End()
	}
	if err == nil {
		err = r.sound()
	}
	if err != nil && !errors.Is(err, errUnsound) {
		err = fmt.Errorf("%w: %w", errUnsound, err)
	}
	return &r.known, err
}

type inventoryReader struct {
	json *strictjson.Reader
	known
	size int // of the text
	seen *packageTexts
	kept engine.Kept
	last *engine.Package
}

// field reads the value of one member of the document.
func (r *inventoryReader) field(name string) (err error) {
	d := &r.nativeDocument
	switch name {
	case "schema":
		return r.text(&d.Schema)
	case "target":
		return r.text(&d.Target)
	case "createdAt": // of that scan
		return r.text(new(string))
	case "architecture":
		return r.text(&d.Architecture)
	case "engine":
		return r.decode(&d.Engine)
	case "os":
		return r.decode(&d.OS)
	case "packages":
		const least = 320 // bytes that hardly a package takes fewer of
		d.Packages = make([]engine.Package, 0, min(r.size/least, maxPackages))
		r.packages, err = r.json.Text(func() error { return list(r, &d.Packages, maxPackages, r.readPackage, r.inOrder) })
		return err
	case "database":
		r.database, err = r.json.Skip()
		return err
	case "findings":
		r.findings, err = r.json.Skip()
		return err
	case "notAssessed":
		return r.number(&d.NotAssessed)
	case "secrets":
		return items(r, &d.Secrets, maxSecrets, func(s *engine.Secret) error { return sound(s.Line >= 0 && s.Path != "", s.Rule, s.Path) })
	case "unownedFiles":
		d.UnownedFiles = &insightReport{}
		return r.object(r.unowned)
	case "warnings":
		return items(r, &d.Warnings, engine.MaxWarnings, func(w *engine.Warning) error { return sound(w.Message != "", w.Path, w.Message) })
	case "droppedWarnings":
		return r.number(&d.DroppedWarnings)
	}
	return fmt.Errorf("it has a member %.40q", name)
}

// unowned reads the value of one member of unownedFiles.
func (r *inventoryReader) unowned(name string) error {
	u := r.UnownedFiles
	switch name {
	case "files":
		return r.decode(&u.Files)
	case "bytes":
		return r.decode(&u.Bytes)
	case "executables":
		return r.decode(&u.Executables)
	case "directories":
		return items(r, &u.Directories, maxInsightDirs, func(d **insightDir) error { return sound(*d != nil && (*d).Path != "", pathOf(*d)) })
	case "listed":
		return items(r, &u.Listed, maxInsightFiles, func(f **insightFile) error {
			if *f == nil {
				return errUnsound
			}
			return sound((*f).Path != "", (*f).Path, (*f).Mode, (*f).Kind)
		})
	case "truncated":
		return r.decode(&u.Truncated)
	}
	return fmt.Errorf("unownedFiles has a member %.40q", name)
}

// readPackage reads a package, or takes it as it was read of another image.
func (r *inventoryReader) readPackage(p *engine.Package) error {
	text, err := r.json.Skip()
	if err != nil {
		return err
	}
	if at, seen := r.seen.of(text); seen {
		*p = *at
		return nil
	}
	text = strings.Clone(text) // it outlives the inventory
	one := inventoryReader{json: strictjson.New([]byte(text))}
	if err := one.packageFields(p); err != nil {
		return err
	}
	if err := one.pkg(p); err != nil {
		return err
	}
	r.seen.remember(text, p)
	return nil
}

// packageFields is written out because packages are nearly all of an inventory.
func (r *inventoryReader) packageFields(p *engine.Package) error {
	return r.json.Object(func(name string) (err error) {
		switch name {
		case "name":
			p.Name, err = r.json.String()
		case "version":
			p.Version, err = r.json.String()
		case "type":
			p.Type, err = r.json.String()
		case "purl":
			p.PURL, err = r.json.String()
		case "ecosystem":
			p.Ecosystem, err = r.json.String()
		case "sourceName":
			p.SourceName, err = r.json.String()
		case "sourceVersion":
			p.SourceVersion, err = r.json.String()
		case "epoch":
			p.Epoch, err = r.json.String()
		case "architecture":
			p.Architecture, err = r.json.String()
		case "licenses":
			err = list(r, &p.Licenses, maxLicenses, r.text, nil)
		case "locations":
			err = list(r, &p.Locations, maxLocations, r.text, nil)
		case "foundBy":
			err = list(r, &p.FoundBy, maxLocations, r.text, nil)
		default:
			err = fmt.Errorf("a package has a member %.40q", name)
		}
		return err
	})
}

func (r *inventoryReader) text(s *string) (err error) {
	*s, err = r.json.String()
	return err
}

func (r *inventoryReader) number(n *int) error {
	text, err := r.json.Skip()
	if err == nil {
		*n, err = strconv.Atoi(text)
	}
	return err
}

// inOrder checks where a package stands. They come in the order of convert, each package URL once.
func (r *inventoryReader) inOrder(p *engine.Package) error {
	if r.last != nil && comparePackages(r.last, p) >= 0 {
		return errors.New("its packages are not in order")
	}
	r.last = p
	return r.kept.Package(*p)
}

// pkg checks a package.
func (r *inventoryReader) pkg(p *engine.Package) error {
	for _, texts := range [][]string{p.Licenses, p.Locations, p.FoundBy} {
		if err := sound(true, texts...); err != nil {
			return err
		}
	}
	return sound(p.Name != "" && p.PURL != "", p.Name, p.Version, p.Type, p.PURL, p.Ecosystem, p.SourceName, p.SourceVersion, p.Epoch, p.Architecture)
}

// sound checks what is no list.
func (r *inventoryReader) sound() error {
	d := &r.nativeDocument
	negative := d.DroppedWarnings < 0
	if u := d.UnownedFiles; u != nil {
		negative = negative || u.Files < 0 || u.Bytes < 0 || u.Executables < 0
	}
	return sound(!negative, d.Architecture, d.OS.Family, d.OS.Version, d.OS.Name, d.OS.Codename, d.OS.CPE)
}

// object reads an object: each member's value by a function, and no member twice.
func (r *inventoryReader) object(field func(name string) error) error {
	seen := map[string]bool{}
	return r.json.Object(func(name string) error {
		if seen[name] {
			return fmt.Errorf("it has two members %.40q", name)
		}
		seen[name] = true
		return field(name)
	})
}

// decode reads a value that makes up little of an inventory.
func (r *inventoryReader) decode(into any) error {
	text, err := r.json.Skip()
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// items reads a list of what makes up little of an inventory.
func items[T any](r *inventoryReader, into *[]T, most int, check func(*T) error) error {
	return list(r, into, most, func(item *T) error { return r.decode(item) }, check)
}

// list reads a list of at most so many items, into the room that there is already.
func list[T any](r *inventoryReader, into *[]T, most int, read, check func(*T) error) error {
	all := (*into)[:0]
	present, err := r.json.List(func() error {
		if len(all) == most {
			return fmt.Errorf("%w: one of its lists has more than the %d items of the longest", errUnsound, most)
		}
		all = append(all, *new(T))
		item := &all[len(all)-1]
		if err := read(item); err != nil || check == nil {
			return err
		}
		return check(item)
	})
	switch {
	case !present:
		all = nil
	case all == nil:
		all = []T{}
	}
	*into = all
	return err
}

var errUnsound = errors.New("it holds what no scan writes")

// sound tells whether texts are such as a scan writes, of which a package URL can be the longest.
func sound(so bool, texts ...string) error {
	for _, t := range texts {
		so = so && len(t) <= maxPURL && printable.Safe(t)
	}
	if !so {
		return errUnsound
	}
	return nil
}

func pathOf(d *insightDir) string {
	if d == nil {
		return ""
	}
	return d.Path
}

// comparePackages orders packages in an inventory.
func comparePackages(a, b *engine.Package) int {
	switch {
	case a.Type != b.Type:
		return cmp.Compare(a.Type, b.Type)
	case a.Name != b.Name:
		return cmp.Compare(a.Name, b.Name)
	case a.Version != b.Version:
		return cmp.Compare(a.Version, b.Version)
	}
	return cmp.Compare(a.PURL, b.PURL)
}
