// Package trivytest makes the three images and the repository whose reports by a real trivy are test data.
package trivytest

import (
	"path/filepath"

	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb/rpmdbtest"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// Images by the name of their report.
var Images = map[string]func(*fixtures.Tree){
	"debian": func(t *fixtures.Tree) {
		t.With(fixtures.Debian).With(fixtures.Python).
			File("var/lib/dpkg/status.d/zlib1g", "Package: zlib1g\nStatus: install ok installed\nMaintainer: Mark Brown <broonie@debian.org>\n"+
				"Architecture: amd64\nSource: zlib (1:1.2.13.dfsg-1)\nVersion: 1:1.2.13.dfsg-1+b1\nDescription: compression library, for tests\n\n").
			File("var/lib/dpkg/info/bash.md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/bin/bash\n").
			File("opt/conda/envs/bio/conda-meta/samtools-1.17-hd87286a_2.json",
				`{"name": "samtools", "version": "1.17", "build": "hd87286a_2", "subdir": "linux-64", "files": ["bin/samtools"], "license": "MIT"}`).
			File("root/deploy.sh", "#!/bin/sh\nexport TOKEN=ghp_"+"0123456789abcdefghijABCDEFGHIJ012345\n")
	},
	"alpine": func(t *fixtures.Tree) { t.With(fixtures.Alpine).With(fixtures.Node) },
	"rocky": func(t *fixtures.Tree) {
		t.File("etc/os-release", "NAME='Rocky Linux'\nID='rocky'\nID_LIKE='rhel centos fedora'\nVERSION_ID='9.4'\nPRETTY_NAME='Rocky Linux 9.4'\n").
			File("etc/rocky-release", "Rocky Linux release 9.4 (Blue Onyx)\n").
			File("var/lib/rpm/rpmdb.sqlite", string(rpmdbtest.SQLite(
				rpmdbtest.Package{Name: "openssl-libs", Version: "3.0.7", Release: "27.el9", Epoch: 1, Arch: "x86_64", SourceRPM: "openssl-3.0.7-27.el9.src.rpm", License: "ASL 2.0", Vendor: "Rocky Enterprise Software Foundation", Files: []string{"/usr/lib64/libssl.so.3"}},
				rpmdbtest.Package{Name: "bash", Version: "5.1.8", Release: "9.el9", Arch: "x86_64", SourceRPM: "bash-5.1.8-9.el9.src.rpm", License: "GPLv3+", Files: []string{"/usr/bin/bash"}}))).
			Executable("usr/bin/bash", "\x7fELF not really\n").
			With(goProgram)
	},
}

// Repository is source code with lock files.
func Repository(t *fixtures.Tree) {
	t.File("package-lock.json", `{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "app", "version": "1.0.0",
"dependencies": {"lodash": "^4.17.0"}}, "node_modules/lodash": {"version": "4.17.20", "license": "MIT"}}}
`).
		File("service/requirements.txt", "requests==2.31.0\n").
		File("tool/Cargo.lock", "version = 3\n\n[[package]]\nname = \"time\"\nversion = \"0.1.43\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n").
		File("tool/go.mod", "module example.com/demo\n\ngo 1.21\n\nrequire example.com/greeting v1.2.3\n").
		File("web/composer.lock", `{"packages": [{"name": "monolog/monolog", "version": "2.0.0"}], "packages-dev": []}`+"\n")
}

func goProgram(t *fixtures.Tree) {
	const program = "usr/local/bin/greet"
	t.Executable(program, "") // makes its directory
	if err := fixtures.GoBinary(filepath.Join(t.Root, program)); err != nil {
		t.File("\x00", err.Error()) // no file has such a name: the tree fails
	}
}
