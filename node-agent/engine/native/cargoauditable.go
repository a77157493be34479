package native

import (
	"bytes"
	"compress/zlib"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/purl"
)

// cargoSection holds zlib-compressed JSON in binaries built with cargo-auditable (its PARSING.md).
const cargoSection = ".dep-v0"

// maxCargoList bounds the list of dependencies, packed and unpacked. PARSING.md asks parsers for a limit and suggests 8 MiB;
// scalibr's extractor has none, so that one megabyte of zeros in a section would become a gigabyte.
const maxCargoList = 8 * mib

// cargoAuditable lists the crates a Linux binary was built from.
var cargoAuditable = ours{name: "rust/cargoauditable", wants: anyFile, read: readCargoAuditable}

func readCargoAuditable(_ context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error) {
	r, ok := input.Reader.(io.ReaderAt)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil || string(magic[:]) != elf.ELFMAG {
		return nil, nil
	}
	binary, err := elf.NewFile(r)
	if err != nil {
		return nil, nil // a broken executable is no finding of ours
	}
	section := binary.Section(cargoSection)
	if section == nil {
		return nil, nil
	}
	list, err := readCargoList(section)
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", cargoSection, err)
	}
	var found []*extractor.Package
	for _, p := range list {
		if p.Kind == "" || p.Kind == "runtime" {
			found = append(found, &extractor.Package{
				Name: p.Name, Version: p.Version, PURLType: purl.TypeCargo,
				Location: extractor.LocationFromPath(input.Path),
			})
		}
	}
	return found, nil
}

type cargoPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Kind    string `json:"kind"` // absent: runtime
}

func readCargoList(section *elf.Section) ([]cargoPackage, error) {
	if section.Size > maxCargoList || section.FileSize > maxCargoList {
		return nil, fmt.Errorf("it has %d bytes, and the limit is %d", section.Size, maxCargoList)
	}
	packed, err := section.Data()
	if err != nil {
		return nil, err
	}
	unpack, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(unpack, maxCargoList+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxCargoList {
		return nil, fmt.Errorf("it unpacks to more than %d bytes", maxCargoList)
	}
	var list struct {
		Packages []cargoPackage `json:"packages"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	return list.Packages, nil
}
