package native

import (
	"bufio"
	"context"
	"path"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/purl"
)

// rDescription lists installed R packages from their DESCRIPTION files, R's own base packages too: their version is R's.
var rDescription = ours{name: "r/description", wants: isRDescription, read: readRDescription}

const typeBioconductor = "bioconductor"

func isRDescription(name string) bool { return path.Base(name) == "DESCRIPTION" }

// readRDescription reads the fields of a Debian-style control file. Only an installed package has the field Built; the
// others are sources, or files of other programs that happen to have the name.
func readRDescription(_ context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error) {
	fields := map[string]string{}
	lines := bufio.NewScanner(input.Reader)
	lines.Buffer(nil, mib)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		switch name {
		case "Package", "Version", "Built", "License", "biocViews":
			if ok {
				fields[name] = strings.TrimSpace(value)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if fields["Built"] == "" || fields["Package"] == "" || fields["Version"] == "" {
		return nil, nil
	}
	p := &extractor.Package{
		Name: fields["Package"], Version: fields["Version"], PURLType: purl.TypeCran,
		Location: extractor.LocationFromPath(input.Path),
	}
	// biocViews is the field by which Bioconductor sorts its packages; CRAN's do not have it.
	if _, ok := fields["biocViews"]; ok {
		p.PURLType = typeBioconductor
	}
	if fields["License"] != "" {
		p.Licenses = []string{fields["License"]}
	}
	return []*extractor.Package{p}, nil
}
