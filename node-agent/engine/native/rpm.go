package native

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/os/osrelease"
	rpmmeta "github.com/google/osv-scalibr/extractor/filesystem/os/rpm/metadata"
	"github.com/google/osv-scalibr/purl"

	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb"
)

var rpm = ours{name: "os/rpm", wants: isRPMDatabase, read: readRPM}

// rpmDatabases are the places rpm has kept its database in: RHEL up to 8, RHEL 9 and SUSE, rpm-ostree; each with
// the names of its three formats.
var (
	rpmDatabases     = []string{"var/lib/rpm/", "usr/lib/sysimage/rpm/", "usr/share/rpm/"}
	rpmDatabaseNames = []string{"Packages", "Packages.db", "rpmdb.sqlite"}
)

func isRPMDatabase(name string) bool {
	dir, base := path.Split(name)
	return slices.Contains(rpmDatabases, dir) && slices.Contains(rpmDatabaseNames, base)
}

// readRPM lists the packages, also those before the place where a damaged database ends.
func readRPM(ctx context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error) {
	r, ok := input.Reader.(io.ReaderAt)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	os, err := osrelease.GetOSRelease(input.FS)
	if err != nil {
		os = nil // the packages are there all the same, without an ecosystem
	}
	var found []*extractor.Package
	err = rpmdb.Read(ctx, r, input.Info.Size(), func(h rpmdb.Header) error {
		p, err := h.Package()
		if err != nil {
			return err
		}
		// rpm keeps imported signing keys as packages of this name. They are no software.
		if p.Name != "gpg-pubkey" {
			found = append(found, rpmPackage(p, os, input.Path))
		}
		return nil
	})
	if wal, statErr := input.FS.Stat(input.Path + "-wal"); err == nil && statErr == nil && wal.Size() > 0 {
		err = errors.New("changes in its write-ahead log are not read; run rpm --rebuilddb when the image is built")
	}
	return found, err
}

func rpmPackage(p rpmdb.Package, os map[string]string, location string) *extractor.Package {
	if p.SourceRPM == "(none)" {
		p.SourceRPM = ""
	}
	version := p.Version
	if p.Release != "" {
		version += "-" + p.Release
	}
	x := &extractor.Package{
		Name:     p.Name,
		Version:  version,
		PURLType: purl.TypeRPM,
		Location: extractor.LocationFromPath(location),
		Metadata: &rpmmeta.Metadata{
			PackageName:  p.Name,
			SourceRPM:    p.SourceRPM,
			Epoch:        int(p.Epoch),
			OSName:       os["NAME"],
			OSCPEName:    os["CPE_NAME"],
			OSPrettyName: os["PRETTY_NAME"],
			OSID:         os["ID"],
			OSVersionID:  os["VERSION_ID"],
			OSBuildID:    os["BUILD_ID"],
			Vendor:       p.Vendor,
			Architecture: p.Arch,
		},
	}
	if p.License != "" {
		x.Licenses = []string{p.License}
	}
	return x
}
