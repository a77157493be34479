// Command trivy runs a real trivy over three images and a repository made by code, with a small database made by code, and keeps what it
// reports: the test data of node-agent/engine/trivy. The vulnerabilities are invented; the identifiers are of a year to come.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/node-agent/engine/trivy/trivytest"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

func main() {
	trivy := flag.String("trivy", "trivy", "the program")
	cache := flag.String("cache", "", "new directory for the database")
	work := flag.String("work", "", "new directory for the images: NAME/rootfs and NAME.sif")
	out := flag.String("out", "../../node-agent/engine/trivy/testdata", "where reports are kept")
	flag.Parse()
	if err := run(*trivy, *cache, *work, *out); err != nil {
		log.Fatal(err)
	}
}

func run(trivy, cache, work, out string) error {
	var err error
	for _, dir := range []*string{&cache, &work, &out} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	if err := makeDatabase(cache); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	for name, add := range trivytest.Images {
		if err := image(filepath.Join(work, name), add); err != nil {
			return fmt.Errorf("make the image %s: %w", name, err)
		}
		if err := report(trivy, "rootfs", cache, filepath.Join(work, name), filepath.Join(out, name+".json")); err != nil {
			return fmt.Errorf("scan the image %s: %w", name, err)
		}
	}
	repository := filepath.Join(work, "repository")
	if err := fixtures.NewTree(filepath.Join(repository, "rootfs")).With(trivytest.Repository).Done(); err != nil {
		return fmt.Errorf("make the repository: %w", err)
	}
	return report(trivy, "fs", cache, repository, filepath.Join(out, "repository.json"))
}

// image makes a tree and a SIF of it.
func image(dir string, add func(*fixtures.Tree)) error {
	tree := fixtures.NewTree(filepath.Join(dir, "rootfs")).With(add)
	squashfs := filepath.Join(dir, "squashfs")
	return errors.Join(tree.Done(), fixtures.Squashfs{}.Make(tree.Root, squashfs), fixtures.NewSIF("amd64").System(squashfs).Write(dir+".sif"))
}

// report runs trivy as the engine does, but in dir, so that no path of this machine gets into the report.
func report(trivy, command, cache, dir, out string) error {
	cmd := exec.Command(trivy, "-q", command, "--cache-dir", cache, "--skip-db-update", "--skip-java-db-update", "--offline-scan",
		"--skip-version-check", "--disable-telemetry", "--timeout", "10m0s", "--scanners", "vuln,secret", "--list-all-pkgs", "--format", "json",
		"-o", out, "rootfs")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	return cmd.Run()
}
