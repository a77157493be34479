package execution

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAWorkspaceIsRemovedWhateverModesItsDirectoriesHave(t *testing.T) {
	w, err := NewWorkspace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(w.Dir, "tmp", "closed")
	if err := errors.Join(os.MkdirAll(closed, 0o755), os.WriteFile(filepath.Join(closed, "file"), nil, 0), os.Chmod(closed, 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.Dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestWhatAKilledAgentLeftIsRemovedAndWhatOthersUseIsNot(t *testing.T) {
	tmp := t.TempDir()
	old := time.Now().Add(-time.Hour)
	make := func(name string) string {
		dir := filepath.Join(tmp, name)
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "rootfs"), 0o755), os.Chtimes(dir, old, old)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	left, used, foreign := make(workspacePrefix+"left"), make(workspacePrefix+"used"), make("something-else")
	lock, err := lockDir(used)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	w, err := NewWorkspace(tmp)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Remove()
	for dir, want := range map[string]bool{left: false, used: true, foreign: true, w.Dir: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", filepath.Base(dir), err == nil, want)
		}
	}
}

func TestAWorkspaceIsReachedThroughNoLink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	w, err := NewWorkspace(link)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Remove()
	if filepath.Dir(w.Dir) != dir {
		t.Errorf("it is %s, want one in %s", w.Dir, dir)
	}
}
