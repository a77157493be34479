package native

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	scalibrfs "github.com/google/osv-scalibr/fs"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb/rpmdbtest"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

// artefact is a kind of evidence for packages, an image that holds it, and what the scan of the image must list.
type artefact struct {
	name  string
	image func(t testing.TB) tree
	want  []string // package URLs, sorted
}

var openssl = rpmdbtest.Package{
	Name: "openssl-libs", Version: "3.0.7", Release: "27.el9", Epoch: 1, Arch: "x86_64",
	SourceRPM: "openssl-3.0.7-27.el9.src.rpm", License: "ASL 2.0", Padding: 2 * rpmdbtest.PageSize,
}

const rockyRelease = "ID='rocky'\nVERSION_ID='9.4'\nPRETTY_NAME='Rocky Linux 9.4'\n"

const rockyOpenSSL = "pkg:rpm/rocky/openssl-libs@3.0.7-27.el9?arch=x86_64&distro=rocky-9.4&epoch=1&sourcerpm=openssl-3.0.7-27.el9.src.rpm"

func artefacts() []artefact {
	return slices.Concat(osArtefacts(), languageArtefacts())
}

func osArtefacts() []artefact {
	rocky := func(name string, db []byte) func(testing.TB) tree {
		return func(testing.TB) tree {
			return newTree().file("etc/os-release", rockyRelease).file(name, string(db))
		}
	}
	return []artefact{
		{
			name: "dpkg status",
			image: func(testing.TB) tree {
				return debianTree().file("var/lib/dpkg/status", `Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.11-1~deb12u2

Package: removed
Status: deinstall ok config-files
Version: 1

`)
			},
			want: []string{"pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=bookworm&source=openssl"},
		},
		{
			name: "dpkg status.d (distroless)",
			image: func(testing.TB) tree {
				return debianTree().file("var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n\n")
			},
			want: []string{"pkg:deb/debian/tzdata@2024a-0%2Bdeb12u1?arch=all&distro=bookworm"},
		},
		{name: "rpm, SQLite", image: rocky("var/lib/rpm/rpmdb.sqlite", rpmdbtest.SQLite(openssl)), want: []string{rockyOpenSSL}},
		{name: "rpm, ndb", image: rocky("usr/lib/sysimage/rpm/Packages.db", rpmdbtest.NDB(openssl)), want: []string{rockyOpenSSL}},
		{name: "rpm, Berkeley DB", image: rocky("var/lib/rpm/Packages", rpmdbtest.BDB(binary.LittleEndian, openssl)), want: []string{rockyOpenSSL}},
		{
			name: "apk installed",
			image: func(testing.TB) tree {
				return newTree().file("etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n").
					file("lib/apk/db/installed", "C:Q1abc=\nP:libcrypto3\nV:3.1.4-r5\nA:x86_64\no:openssl\nL:Apache-2.0\n\n")
			},
			want: []string{"pkg:apk/alpine/libcrypto3@3.1.4-r5?arch=x86_64&distro=3.19.1&origin=openssl"},
		},
		{
			name: "pacman",
			image: func(testing.TB) tree {
				return newTree().file("etc/os-release", "ID=arch\nBUILD_ID=rolling\n").
					file("var/lib/pacman/local/zlib-1:1.3.1-2/desc", "%NAME%\nzlib\n\n%VERSION%\n1:1.3.1-2\n\n")
			},
			want: []string{"pkg:pacman/arch/zlib@1:1.3.1-2"},
		},
		{
			name: "portage",
			image: func(testing.TB) tree {
				return newTree().file("etc/os-release", "ID=gentoo\nVERSION_ID=2.14\n").
					file("var/db/pkg/sys-libs/zlib-1.3.1/PF", "zlib-1.3.1\n")
			},
			want: []string{"pkg:portage/gentoo/zlib@1.3.1?distro=2.14"},
		},
	}
}

func languageArtefacts() []artefact {
	const requests = "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n\n"
	in := func(name, text string) func(testing.TB) tree {
		return func(testing.TB) tree { return newTree().file(name, text) }
	}
	return []artefact{
		{name: "Python dist-info", image: in("opt/app/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA", requests), want: []string{"pkg:pypi/requests@2.31.0"}},
		{name: "Python egg-info directory", image: in("usr/lib/python3/dist-packages/requests.egg-info/PKG-INFO", requests), want: []string{"pkg:pypi/requests@2.31.0"}},
		{name: "Python egg-info file", image: in("usr/lib/python3/dist-packages/requests-2.31.0.egg-info", requests), want: []string{"pkg:pypi/requests@2.31.0"}},
		{name: "Python egg, unpacked", image: in("opt/requests-2.31.0-py3.11.egg/EGG-INFO/PKG-INFO", requests), want: []string{"pkg:pypi/requests@2.31.0"}},
		{
			name: "Python egg, zipped",
			image: func(t testing.TB) tree {
				return newTree().file("opt/requests-2.31.0-py3.11.egg", string(archiveOf(t, "EGG-INFO/PKG-INFO", requests)))
			},
			want: []string{"pkg:pypi/requests@2.31.0"},
		},
		{
			name: "Python wheel",
			image: func(t testing.TB) tree {
				return newTree().file("opt/requests-2.31.0-py3-none-any.whl", string(archiveOf(t, "requests-2.31.0.dist-info/METADATA", requests)))
			},
			want: []string{"pkg:pypi/requests@2.31.0"},
		},
		{
			name: "Node package.json in node_modules",
			image: func(testing.TB) tree {
				return newTree().
					file("app/package.json", `{"name":"app","version":"1.0.0"}`).
					file("app/node_modules/lodash/package.json", `{"name":"lodash","version":"4.17.20"}`).
					file("app/node_modules/@babel/core/package.json", `{"name":"@babel/core","version":"7.1.0"}`).
					file("app/node_modules/lodash/test/fixture/package.json", `{"name":"fixture","version":"0.0.1"}`)
			},
			want: []string{"pkg:npm/%40babel/core@7.1.0", "pkg:npm/lodash@4.17.20"},
		},
		{
			name:  "Java JAR",
			image: func(t testing.TB) tree { return newTree().file("usr/share/java/log4j-core.jar", log4j(t)) },
			want:  []string{"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
		},
		{
			name: "Java JAR without Maven's properties",
			image: func(t testing.TB) tree {
				return newTree().file("usr/share/java/guava-31.1-jre.jar", string(archiveOf(t, "META-INF/MANIFEST.MF",
					"Manifest-Version: 1.0\nImplementation-Vendor-Id: com.google.guava\nImplementation-Title: guava\nImplementation-Version: 31.1-jre\n\n")))
			},
			want: []string{"pkg:maven/com.google.guava/guava@31.1-jre"},
		},
		{
			name: "Java WAR with a JAR in it",
			image: func(t testing.TB) tree {
				return newTree().file("opt/app.war", javaArchive(t, "app", "WEB-INF/lib/log4j-core-2.14.1.jar", log4j(t)))
			},
			want: []string{"pkg:maven/com.example/app@1.2", "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
		},
		{
			name: "Java PAR with a JAR in it",
			image: func(t testing.TB) tree {
				return newTree().file("opt/app.par", javaArchive(t, "app", "lib/log4j-core-2.14.1.jar", log4j(t)))
			},
			want: []string{"pkg:maven/com.example/app@1.2", "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
		},
		{
			name: "Java EAR with a WAR with a JAR",
			image: func(t testing.TB) tree {
				war := javaArchive(t, "web", "WEB-INF/lib/log4j-core-2.14.1.jar", log4j(t))
				return newTree().file("opt/app.ear", javaArchive(t, "app", "web.war", war))
			},
			want: []string{"pkg:maven/com.example/app@1.2", "pkg:maven/com.example/web@1.2", "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
		},
		{
			name:  ".NET deps.json",
			image: in("app/app.deps.json", `{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0"},"libraries":{"Newtonsoft.Json/12.0.1":{"type":"package"}}}`),
			want:  []string{"pkg:nuget/Newtonsoft.Json@12.0.1"},
		},
		{
			name:  ".NET packages.config",
			image: in("app/packages.config", `<?xml version="1.0"?><packages><package id="Newtonsoft.Json" version="12.0.1"/></packages>`),
			want:  []string{"pkg:nuget/Newtonsoft.Json@12.0.1"},
		},
		{
			name:  ".NET packages.lock.json",
			image: in("app/packages.lock.json", `{"version":1,"dependencies":{"net8.0":{"Newtonsoft.Json":{"type":"Direct","resolved":"12.0.1"}}}}`),
			want:  []string{"pkg:nuget/Newtonsoft.Json@12.0.1"},
		},
		{
			name: "Ruby gemspec",
			image: func(testing.TB) tree {
				return newTree().
					file("usr/lib/ruby/gems/3.1.0/specifications/rack-2.2.3.gemspec", "Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.2.3\"\nend\n").
					file("usr/lib/ruby/gems/3.1.0/gems/rack-2.2.3/rack.gemspec", "Gem::Specification.new do |s|\n  s.name = \"rack\"\n  s.version = Rack::RELEASE\nend\n")
			},
			want: []string{"pkg:gem/rack@2.2.3"},
		},
		{
			name:  "Rust Cargo.lock",
			image: in("src/Cargo.lock", "version = 3\n\n[[package]]\nname = \"time\"\nversion = \"0.1.43\"\n"),
			want:  []string{"pkg:cargo/time@0.1.43"},
		},
		{
			name: "Rust binary built with cargo-auditable",
			image: func(t testing.TB) tree {
				return newTree().executable("usr/local/bin/tool", auditable(t,
					cargoPackage{Name: "tool", Version: "1.0.0"},
					cargoPackage{Name: "time", Version: "0.1.43", Kind: "runtime"},
					cargoPackage{Name: "cc", Version: "1.0.0", Kind: "build"}))
			},
			want: []string{"pkg:cargo/time@0.1.43", "pkg:cargo/tool@1.0.0"},
		},
		{
			name: "Go binary",
			image: func(testing.TB) tree {
				return newTree().executable("usr/local/bin/tool", goBinary("go1.21.3", "example.com/tool", "golang.org/x/net v0.7.0"))
			},
			want: []string{"pkg:golang/example.com/tool@%28devel%29", "pkg:golang/go@1.21.3", "pkg:golang/golang.org/x/net@0.7.0"},
		},
		{
			name:  "PHP composer.lock",
			image: in("app/composer.lock", `{"packages":[{"name":"monolog/monolog","version":"2.0.0"}],"packages-dev":[]}`),
			want:  []string{"pkg:composer/monolog/monolog@2.0.0"},
		},
		{
			name:  "PHP installed.json, composer 2",
			image: in("app/vendor/composer/installed.json", `{"packages":[{"name":"monolog/monolog","version":"v2.0.0","license":["MIT"]}],"dev":false}`),
			want:  []string{"pkg:composer/monolog/monolog@2.0.0"},
		},
		{
			name:  "PHP installed.json, composer 1",
			image: in("app/vendor/composer/installed.json", `[{"name":"monolog/monolog","version":"1.25.0"}]`),
			want:  []string{"pkg:composer/monolog/monolog@1.25.0"},
		},
		{
			name: "conda base environment",
			image: func(testing.TB) tree {
				return newTree().
					file("opt/conda/conda-meta/openssl-3.0.7-h0b41bf4_1.json", `{"name":"openssl","version":"3.0.7","build":"h0b41bf4_1","subdir":"linux-64","files":["lib/libssl.so.3"],"license":"Apache-2.0"}`).
					file("opt/conda/conda-meta/requests-2.31.0-pyhd8ed1ab_0.json", `{"name":"requests","version":"2.31.0","build":"pyhd8ed1ab_0","subdir":"noarch","files":["site-packages/requests-2.31.0.dist-info/METADATA"]}`).
					file("opt/conda/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA", requests).
					file("opt/conda/conda-meta/history", "==> 2026-01-01 <==")
			},
			want: []string{"pkg:conda/openssl@3.0.7?build=h0b41bf4_1&subdir=linux-64", "pkg:pypi/requests@2.31.0"},
		},
		{
			name: "conda environment below envs",
			image: in("opt/conda/envs/bio/conda-meta/samtools-1.17-hd87286a_2.json",
				`{"name":"samtools","version":"1.17","build":"hd87286a_2","subdir":"linux-64","files":["bin/samtools"]}`),
			want: []string{"pkg:conda/samtools@1.17?build=hd87286a_2&subdir=linux-64"},
		},
		{
			name: "spack",
			image: in("opt/spack/linux/hdf5-1.14.3-abc/.spack/spec.json",
				`{"spec":{"_meta":{"version":4},"nodes":[{"name":"hdf5","version":"1.14.3","hash":"abc"},{"name":"cmake","version":"3.27.9","hash":"def"}]}}`),
			want: []string{"pkg:spack/hdf5@1.14.3"},
		},
		{
			name: "R package",
			image: func(testing.TB) tree {
				return newTree().
					file("usr/local/lib/R/site-library/jsonlite/DESCRIPTION", "Package: jsonlite\nVersion: 1.8.8\nLicense: MIT + file LICENSE\nBuilt: R 4.3.1; x86_64-pc-linux-gnu; 2026-01-01; unix\n").
					file("usr/local/lib/R/site-library/limma/DESCRIPTION", "Package: limma\nVersion: 3.58.1\nbiocViews: ExonArray,\n\tGeneExpression\nBuilt: R 4.3.1; ; 2026-01-01; unix\n").
					file("src/notinstalled/DESCRIPTION", "Package: notinstalled\nVersion: 0.1\n")
			},
			want: []string{"pkg:bioconductor/limma@3.58.1", "pkg:cran/jsonlite@1.8.8"},
		},
		{
			name:  "Julia Manifest.toml",
			image: in("opt/julia/environments/v1.10/Manifest.toml", "[[deps.JSON]]\nversion = \"0.21.4\"\nuuid = \"682c06a0-de6a-54ab-a142-c8b1cf79cde6\"\n"),
			want:  []string{"pkg:julia/JSON@0.21.4"},
		},
	}
}

// log4j is a JAR as Maven makes it.
func log4j(t testing.TB) string {
	return string(archiveOf(t, "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
		"groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n"))
}

// javaArchive is an archive of com.example with another file in it.
func javaArchive(t testing.TB, artifact, name, content string) string {
	return string(archiveOf(t, "META-INF/maven/com.example/"+artifact+"/pom.properties",
		"groupId=com.example\nartifactId="+artifact+"\nversion=1.2\n", name, content))
}

func TestEveryArtefactGivesItsPackages(t *testing.T) {
	for _, a := range artefacts() {
		t.Run(a.name, func(t *testing.T) {
			image := a.image(t)
			for form, root := range map[string]scalibrfs.FS{"files": image.fs(), "SIF": image.sif(t)} {
				result := mustScan(t, engine.Target{Root: root, Formats: []engine.Format{engine.FormatSPDX, engine.FormatCycloneDX}})
				schemas.Check(t, result.Documents)
				if diff := cmp.Diff(a.want, purls(result)); diff != "" {
					t.Errorf("packages of the %s (-want +got):\n%s", form, diff)
				}
				if len(result.Warnings) > 0 {
					t.Errorf("warnings of the %s: %v", form, result.Warnings)
				}
			}
		})
	}
}

func TestEveryArtefactSurvivesBeingCutAnywhere(t *testing.T) {
	for _, a := range artefacts() {
		t.Run(a.name, func(t *testing.T) {
			for _, part := range []int{0, 1, 2, 3, 5, 8, 13, 15} {
				root := debianTree()
				for name, file := range a.image(t) {
					root[name] = &fstest.MapFile{Data: file.Data[:len(file.Data)*part/16], Mode: file.Mode}
				}
				root.file("etc/os-release", "ID=debian")
				mustScan(t, engine.Target{Root: root.fs()})
			}
		})
	}
}

func mustScan(t testing.TB, target engine.Target) *engine.Result {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if target.DisplayName == "" {
		target.DisplayName = "/images/test.sif"
	}
	target.CreatedAt = created
	result, err := e.Scan(context.Background(), target)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func purls(r *engine.Result) []string {
	var list []string
	for _, p := range r.Packages {
		list = append(list, p.PURL)
	}
	slices.Sort(list)
	return list
}
