package native

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb/rpmdbtest"
)

const eggInfo = "usr/lib/python3/dist-packages/requests-2.31.0.egg-info/PKG-INFO"

// debianRequests is an image with Debian's package of a Python distribution.
func debianRequests() tree {
	return debianTree().
		file("var/lib/dpkg/status", "Package: python3-requests\nStatus: install ok installed\nArchitecture: all\nVersion: 2.28.1+dfsg-1\n\n").
		file(eggInfo, requestsMetadata)
}

func TestALanguagePackageOfAnOSPackageCountsOnce(t *testing.T) {
	const debian = "pkg:deb/debian/python3-requests@2.28.1%2Bdfsg-1?arch=all&distro=bookworm"
	rpm := rpmdbtest.Package{Name: "python3-requests", Version: "2.31.0", Release: "1.el9", Arch: "noarch", Files: []string{"/" + eggInfo}}
	const rocky = "pkg:rpm/rocky/python3-requests@2.31.0-1.el9?arch=noarch&distro=rocky-9.4"
	tests := []struct {
		name string
		root tree
		want []string
	}{
		{
			"dpkg's list names the file",
			debianRequests().file("var/lib/dpkg/info/python3-requests.list", "/.\n/usr\n/"+eggInfo+"\n"),
			[]string{debian},
		},
		{
			"the list of an architecture names the file by its place before /usr was merged",
			debianRequests().file("var/lib/dpkg/info/python3-requests:amd64.list", "/lib/python3/dist-packages/requests-2.31.0.egg-info/PKG-INFO\n"),
			[]string{debian},
		},
		{
			"a gem, a JAR and a Node module of a package are the package",
			debianTree().file("var/lib/dpkg/status", "Package: things\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n").
				file("usr/share/rubygems-integration/all/specifications/rack-2.2.3.gemspec", "Gem::Specification.new do |s|\n  s.name = \"rack\"\n  s.version = \"2.2.3\"\nend\n").
				file("usr/share/java/log4j-core.jar", log4j(t)).
				file("usr/share/nodejs/node_modules/lodash/package.json", `{"name":"lodash","version":"4.17.20"}`).
				file("var/lib/dpkg/info/things.list", "/usr/share/rubygems-integration/all/specifications/rack-2.2.3.gemspec\n/usr/share/java/log4j-core.jar\n/usr/share/nodejs/node_modules/lodash/package.json\n"),
			[]string{"pkg:deb/debian/things@1?arch=all&distro=bookworm"},
		},
		{
			"no list names the file",
			debianRequests().file("var/lib/dpkg/info/python3-requests.list", "/usr/share/doc/python3-requests\n"),
			[]string{debian, "pkg:pypi/requests@2.31.0"},
		},
		{
			"a list of a package that is not installed proves nothing",
			debianRequests().file("var/lib/dpkg/info/python3-gone.list", "/"+eggInfo+"\n"),
			[]string{debian, "pkg:pypi/requests@2.31.0"},
		},
		{
			"a vendor's package below /opt keeps its language packages: the distribution has no advisories for them",
			debianRequests().file("opt/x/requests.dist-info/METADATA", requestsMetadata).
				file("var/lib/dpkg/info/python3-requests.list", "/opt/x/requests.dist-info/METADATA\n/"+eggInfo+"\n"),
			[]string{debian, "pkg:pypi/requests@2.31.0"},
		},
		{
			"distroless images list files with their digests",
			debianTree().file(eggInfo, requestsMetadata).
				file("var/lib/dpkg/status.d/requests", "Package: python3-requests\nArchitecture: all\nVersion: 2.28.1+dfsg-1\n\n").
				file("var/lib/dpkg/status.d/python3-requests.md5sums", "d41d8cd98f00b204e9800998ecf8427e  "+eggInfo+"\n"),
			[]string{debian},
		},
		{
			"apk's database names the file",
			newTree().file("etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n").file(eggInfo, requestsMetadata).
				file("lib/apk/db/installed", "P:py3-requests\nV:2.31.0-r1\nA:noarch\nF:usr/lib/python3/dist-packages/requests-2.31.0.egg-info\nR:PKG-INFO\n\n"),
			[]string{"pkg:apk/alpine/py3-requests@2.31.0-r1?arch=noarch&distro=3.19.1"},
		},
		{
			"an RPM header names the file",
			newTree().file("etc/os-release", rockyRelease).file(eggInfo, requestsMetadata).
				file("var/lib/rpm/Packages", string(rpmdbtest.BDB(binary.LittleEndian, rpm))),
			[]string{rocky},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, purls(mustScan(t, engine.Target{Root: tt.root.fs()}))); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACondaPackageStaysWhenItsDistributionIsAnother(t *testing.T) {
	root := newTree().
		file("opt/conda/conda-meta/requests-2.32.0-0.json", `{"name":"requests","version":"2.32.0","files":["site-packages/requests-2.31.0.dist-info/METADATA"]}`).
		file("opt/conda/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA", requestsMetadata)
	got := purls(mustScan(t, engine.Target{Root: root.fs()}))
	if !slices.Equal(got, []string{"pkg:conda/requests@2.32.0", "pkg:pypi/requests@2.31.0"}) {
		t.Errorf("packages = %v", got)
	}
}

func TestAWriteAheadLogBesideAnRPMDatabaseIsNotPassedOverInSilence(t *testing.T) {
	root := newTree().file("etc/os-release", rockyRelease).
		file("var/lib/rpm/rpmdb.sqlite", string(rpmdbtest.SQLite(openssl))).
		file("var/lib/rpm/rpmdb.sqlite-wal", "changes")
	result := mustScan(t, engine.Target{Root: root.fs()})
	if len(result.Packages) != 1 || !warned(result, "var/lib/rpm/rpmdb.sqlite", "write-ahead log") {
		t.Errorf("packages %v, warnings %v", result.Packages, result.Warnings)
	}
}
