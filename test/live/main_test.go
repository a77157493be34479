// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package live tests the agent on containers that run on this machine. They are started by test/apptainer-double, whose own
// tests hold it to what was observed of Apptainer. Root is needed.
package live

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// user starts the containers.
const user = 4242

// debianPackages are in the test's image: bash, libc6 and openssl.
const debianPackages = 3

// dir holds what the tests need and is open to every user; double and agent are programs in it.
var dir, double, agent string

func TestMain(m *testing.M) {
	if os.Getenv(refusedVariable) != "" {
		os.Unsetenv(refusedVariable)
		fmt.Fprintln(os.Stderr, become(os.Args[1:])) // or it does not return
		os.Exit(1)
	}
	flag.Parse()
	code := 1
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir) // of a directory that is as good as empty if it was never made
	os.Exit(code)
}

func prepare() (err error) {
	if os.Getuid() != 0 {
		return errors.New("these tests need root: they start containers as another user, and look at processes of others")
	}
	if dir, err = os.MkdirTemp("", "sifscan-live-test-"); err != nil {
		return err
	}
	double, agent = filepath.Join(dir, "apptainer-double"), filepath.Join(dir, "node-agent")
	build := exec.Command("go", "build", "-trimpath", "-o", agent, "github.com/sifscan/sifscan-operator/cmd/node-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	tree, image := at("sandbox"), at("plain.sqsh")
	return errors.Join(
		os.Chmod(dir, 0o755),
		live.Build(double),
		fixtures.NewTree(tree).With(fixtures.Debian).With(live.Program).Dir("root").Mode("root", 0o700).
			Dir(".singularity.d").With(library).Done(),
		fixtures.NewTree(at("home")).With(fixtures.Node).Done(), // a package that is not the image's
		fixtures.Squashfs{}.Make(tree, image),
		fixtures.NewSIF(runtime.GOARCH).System(image).Write(at("science.sif")),
	)
}

// library makes an image of the size of a small real one: about 20 MB that compress to half.
func library(t *fixtures.Tree) {
	for i := range 40 {
		t.Filled(fmt.Sprintf("usr/lib/part-%d.so", i), uint64(i), 512<<10)
	}
}

func at(name string) string { return filepath.Join(dir, name) }
