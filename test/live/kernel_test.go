// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// mounted are the flags of the setuid build that mounts by the kernel, which is what it does with all but SquashFS.
var mounted = []string{"--setuid", "--kernel-squashfs"}

// makeOpaque makes images of which a file alone does not show what runs: encrypted, on ext3, with an overlay of their own, which adds
// a package.
func makeOpaque(t *testing.T) {
	t.Helper()
	secret := at("ciphertext")
	ext3, layer, layered := at("old.img"), at("layer.img"), at("layer")
	for _, err := range []error{
		fixtures.Ext3(at("sandbox"), ext3, 48<<20),
		fixtures.NewSIF(runtime.GOARCH).Partition(fixtures.FSExt3, fixtures.PartPrimary, 1, ext3).Write(at("ext3.sif")),
		os.WriteFile(secret, bytes.Repeat([]byte("cipher"), 1<<14), 0o644),
		fixtures.NewSIF(runtime.GOARCH).Partition(fixtures.FSEncrypted, fixtures.PartPrimary, 1, secret).Write(at("locked.sif")),
		fixtures.NewTree(filepath.Join(layered, "upper")).With(fixtures.Node).Done(),
		fixtures.NewTree(filepath.Join(layered, "work")).Done(),
		fixtures.Ext3(layered, layer, 16<<20),
		fixtures.NewSIF(runtime.GOARCH).System(at("plain.sqsh")).Partition(fixtures.FSExt3, fixtures.PartOverlay, 1, layer).Write(at("layered.sif")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatAnImageFileDoesNotShowIsReadInItsContainer(t *testing.T) {
	makeOpaque(t)
	for _, c := range []struct {
		name, image, kind string
		flags             []string
		packages          int32
	}{
		{"ext3", "old.img", "ext3", mounted, debianPackages},
		{"a SIF with an ext3 partition", "ext3.sif", "sif", mounted, debianPackages},
		{"an encrypted SIF", "locked.sif", "sif", append([]string{"--decrypted=" + at("plain.sqsh")}, mounted...), debianPackages},
		{"a SIF with an overlay of its own", "layered.sif", "sif", mounted, debianPackages + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := startImage(t, c.image, append(c.flags, "--home="+at("home"), "--scratch-files=50000")...)
			got := only(t)
			equal(t, "image", got.Image, at(c.image))
			if got.Key == "" {
				t.Error("nodes that have the same file do not know it for the same")
			}
			report, r := scanPID(t, run.Containers[0].Command)
			if report == nil || r.exit != 0 {
				t.Fatalf("scan ended with %d\n%s%s", r.exit, r.stdout, r.stderr)
			}
			equal(t, "kind", report.Report.Target.Kind, c.kind)
			equal(t, "path", report.Report.Target.Path, at(c.image))
			equal(t, "coverage", report.Report.Outcome.Coverage, "complete")
			equal(t, "packages", report.Report.Summary.Packages, c.packages)
		})
	}
}
