package volume_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

func TestAPathBelongsToTheVolumeWithTheLongestMountPath(t *testing.T) {
	var roots []*volume.Root
	for _, mountPath := range []string{"/shared", "/shared/archive", "/other"} {
		root, err := volume.OpenRoot(t.TempDir(), mountPath)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		roots = append(roots, root)
	}
	for p, want := range map[string]int{
		"/shared/a.sif": 0, "/shared/archive/a.sif": 1, "/shared/archives/a.sif": 0, "//shared/./archive//a.sif": 1, "/shared": 0,
		"/other/a.sif": 2, "/elsewhere/a.sif": -1, "/othe": -1, "a.sif": -1, "": -1,
	} {
		if got := volume.Choose(roots, p); got != want {
			t.Errorf("%q is on volume %d, want %d", p, got, want)
		}
	}
	if got := volume.Choose(roots[:1], "a.sif"); got != 0 {
		t.Errorf("a relative path is on volume %d of one", got)
	}
}

func TestFilesStandForThemselves(t *testing.T) {
	dir := t.TempDir()
	const odd = "a*[x]{1,2}?\\\xff.any"
	for _, name := range []string{odd, "a1.any", "other.sif"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := volume.OpenRoot(dir, "/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	found, err := volume.Discover(t.Context(), root, volume.Spec{Files: []string{odd, "missing*.sif"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Targets) != 1 || found.Targets[0].Path != odd || len(found.Failures) != 1 || found.Failures[0].Path != "missing*.sif" {
		t.Errorf("found %+v", found)
	}
}

func TestOnlyDirectoriesOfTheVolumeAreOpenedAsSuch(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o755), os.WriteFile(filepath.Join(dir, "f"), nil, 0o644),
		os.Symlink("d", filepath.Join(dir, "inside")), os.Symlink("/etc", filepath.Join(dir, "outside"))); err != nil {
		t.Fatal(err)
	}
	root, err := volume.OpenRoot(dir, "/mounted")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for p, reason := range map[string]string{".": "", "d": "", "inside": "", "f": volume.ReasonNoTargets, "missing": volume.ReasonNoTargets,
		"outside": volume.ReasonUnsupported, "../x": volume.ReasonInvalidSpec} {
		file, err := root.OpenDirectory(p)
		var e *volume.Error
		if errors.As(err, &e) && e.Reason == reason || err == nil && reason == "" && volume.Identity(file.Info()) == "" {
			continue
		}
		t.Errorf("%s: %v, want %q", p, err, reason)
	}
}
