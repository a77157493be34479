package trivy

import (
	gocmp "cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

// said is what a report comes to, one line for each thing.
type said struct {
	packages, findings, secrets []string
	notAssessed                 int
}

func TestTheReportsOfARealTrivyAreRead(t *testing.T) {
	for name, want := range map[string]said{
		// The conda package: trivy lists it and has no advisories for it.
		"debian": {notAssessed: 1,
			packages: []string{
				"pkg:conda/samtools@1.17 samtools 1.17 opt/conda/envs/bio/conda-meta/samtools-1.17-hd87286a_2.json",
				"pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64&distro=debian-12.5 bash 5.2.15-2+b2 ",
				"pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12.5 libc6 2.36-9+deb12u4  of glibc",
				"pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12.5 openssl 3.0.11-1~deb12u2 ",
				"pkg:deb/debian/zlib1g@1.2.13.dfsg-1%2Bb1?arch=amd64&distro=debian-12.5&epoch=1 zlib1g 1:1.2.13.dfsg-1+b1  of zlib 1:1.2.13.dfsg-1",
				"pkg:pypi/requests@2.31.0 requests 2.31.0 usr/lib/python3/dist-packages/requests-2.31.0.dist-info/METADATA",
			},
			findings: []string{
				"CVE-2099-0001 openssl 3.0.11-1~deb12u2 critical 9.8 by nvd, fixed in 3.0.11-1~deb12u99; also DSA-9999-1",
				"CVE-2099-0005 requests 2.31.0 high 8.7 by ghsa, fixed in 2.99.0, 3.0.1; also GHSA-aaaa-bbbb-cccc in usr/lib/python3/dist-packages/requests-2.31.0.dist-info/METADATA",
				"CVE-2099-0003 zlib1g 1:1.2.13.dfsg-1+b1 medium 4.3 by nvd, fixed in 1:1.2.13.dfsg-2",
				"CVE-2099-0002 openssl 3.0.11-1~deb12u2 low 6.1 by debian",
			},
			secrets: []string{"github-pat root/deploy.sh:2"},
		},
		"alpine": {
			packages: []string{
				"pkg:apk/alpine/busybox@1.36.1-r15?arch=x86_64&distro=3.19.1 busybox 1.36.1-r15 ",
				"pkg:apk/alpine/musl@1.2.4_git20230717-r4?arch=x86_64&distro=3.19.1 musl 1.2.4_git20230717-r4 ",
				"pkg:apk/alpine/zlib@1.3.1-r0?arch=x86_64&distro=3.19.1 zlib 1.3.1-r0 ",
				"pkg:npm/lodash@4.17.20 lodash 4.17.20 usr/lib/node_modules/lodash/package.json",
			},
			findings: []string{
				"CVE-2099-0004 busybox 1.36.1-r15 high by nvd, fixed in 1.36.1-r99",
				"GHSA-dddd-eeee-ffff lodash 4.17.20 medium by ghsa in usr/lib/node_modules/lodash/package.json",
			},
		},
		// The program's own module, which has no version, and a package of another vendor than the system's.
		"rocky": {notAssessed: 2,
			packages: []string{
				"pkg:golang/example.com/demo example.com/demo  usr/local/bin/greet",
				"pkg:golang/example.com/greeting@v1.2.3 example.com/greeting v1.2.3 usr/local/bin/greet",
				"pkg:golang/stdlib@v1.26.8 stdlib v1.26.8 usr/local/bin/greet",
				"pkg:rpm/rocky/bash@5.1.8-9.el9?arch=x86_64&distro=rocky-9.4 bash 5.1.8-9.el9 ",
				"pkg:rpm/rocky/openssl-libs@3.0.7-27.el9?arch=x86_64&distro=rocky-9.4&epoch=1 openssl-libs 1~3.0.7-27.el9  of openssl",
			},
			findings: []string{
				"CVE-2099-0001 openssl-libs 1:3.0.7-27.el9 high 9.8 by rocky, fixed in 1:3.0.7-99.el9",
				"CVE-2099-0006 example.com/greeting v1.2.3 unknown, fixed in 1.3.0 in usr/local/bin/greet",
			},
		},
		"repository": {notAssessed: 1,
			packages: []string{
				"pkg:cargo/time@0.1.43 time 0.1.43 tool/Cargo.lock",
				"pkg:composer/monolog/monolog@2.0.0 monolog/monolog 2.0.0 web/composer.lock",
				"pkg:golang/example.com/demo example.com/demo  tool/go.mod",
				"pkg:golang/example.com/greeting@v1.2.3 example.com/greeting v1.2.3 tool/go.mod",
				"pkg:npm/lodash@4.17.20 lodash 4.17.20 package-lock.json",
				"pkg:pypi/requests@2.31.0 requests 2.31.0 service/requirements.txt",
			},
			findings: []string{
				"CVE-2099-0005 requests 2.31.0 high 8.7 by ghsa, fixed in 2.99.0, 3.0.1; also GHSA-aaaa-bbbb-cccc in service/requirements.txt",
				"GHSA-dddd-eeee-ffff lodash 4.17.20 medium by ghsa in package-lock.json",
				"CVE-2099-0006 example.com/greeting v1.2.3 unknown, fixed in 1.3.0 in tool/go.mod",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := readReport(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			r := &engine.Result{}
			report.result(r, database)
			if diff := cmp.Diff(want, saidIn(r), cmp.AllowUnexported(said{})); diff != "" {
				t.Errorf("what is read of trivy's report (-want +got):\n%s", diff)
			}
			r.Documents = map[string][]byte{}
			if err := makeSBOMs(engine.Target{Formats: []engine.Format{engine.FormatSPDX, engine.FormatCycloneDX}, DisplayName: name}, r); err != nil || len(r.Documents) != 2 {
				t.Errorf("%d documents, %v", len(r.Documents), err)
			}
			schemas.Check(t, r.Documents)
			if r.EngineVersion != "0.74.0" || len(r.Warnings) != 0 {
				t.Errorf("version %q, warnings %v", r.EngineVersion, r.Warnings)
			}
		})
	}
}

func TestWhatTrivyQuotesAroundASecretStaysHere(t *testing.T) {
	data, err := os.ReadFile("testdata/debian.json")
	if err != nil {
		t.Fatal(err)
	}
	const quoted = "export TOKEN="
	if !strings.Contains(string(data), quoted) {
		t.Fatal("the report quotes nothing")
	}
	kept, err := withoutSecrets(data)
	if err != nil || strings.Contains(string(kept), quoted) || !strings.Contains(string(kept), "samtools") {
		t.Errorf("kept of the report, %v:\n%s", err, kept)
	}
}

func saidIn(r *engine.Result) (s said) {
	s.notAssessed = r.NotAssessed
	for _, p := range r.Packages {
		version := p.Version
		if p.Epoch != "" {
			version = p.Epoch + "~" + version
		}
		line := p.PURL + " " + p.Name + " " + version + " " + strings.Join(p.Locations, " ")
		if p.SourceName != "" {
			line += strings.TrimRight(" of "+p.SourceName+" "+p.SourceVersion, " ")
		}
		s.packages = append(s.packages, line)
	}
	for _, f := range r.Findings {
		s.findings = append(s.findings, lineOf(f))
	}
	for _, x := range r.Secrets {
		s.secrets = append(s.secrets, fmt.Sprintf("%s %s:%d", x.Rule, x.Path, x.Line))
	}
	return s
}

func lineOf(f engine.Finding) string {
	line := f.ID + " " + f.Package + " " + f.Version + " " + gocmp.Or(string(f.Severity), "unknown")
	if f.Score > 0 {
		line += fmt.Sprintf(" %.1f", f.Score)
	}
	if f.Source != "" {
		line += " by " + f.Source
	}
	if f.FixedVersion != "" {
		line += ", fixed in " + f.FixedVersion
	}
	also := f.IDs.Advisories
	if f.IDs.GHSA != "" && f.IDs.GHSA != f.ID {
		also = append(also, f.IDs.GHSA)
	}
	if len(also) > 0 {
		line += "; also " + strings.Join(also, ", ")
	}
	if f.Path != "" {
		line += " in " + f.Path
	}
	return line
}
