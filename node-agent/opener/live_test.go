// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/process"
	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// site is a place with the double of Apptainer, a SIF and a sandbox that everybody can enter.
type site struct{ double, sif, sandbox string }

func newSite(t *testing.T) site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the containers of this test need root")
	}
	dir := t.TempDir()
	s := site{filepath.Join(dir, "double"), filepath.Join(dir, "a.sif"), filepath.Join(dir, "box")}
	if err := live.Build(s.double); err != nil {
		t.Fatal(err)
	}
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree := fixtures.NewTree(s.sandbox).With(fixtures.Debian).With(live.Program)
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	squashfs := filepath.Join(dir, "squashfs")
	if err := (fixtures.Squashfs{}).Make(tree.Root, squashfs); err != nil {
		t.Fatal(err)
	}
	if err := fixtures.NewSIF("amd64").System(squashfs).Write(s.sif); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s site) start(t *testing.T, args ...string) *live.Run {
	t.Helper()
	return live.StartFor(t, s.double, args...)
}

// of returns the listed containers of a run, in the order of its starters.
func of(t *testing.T, o opener.Opener, run *live.Run) (list []opener.Container) {
	t.Helper()
	l, err := o.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range run.Containers {
		i := slices.IndexFunc(l.Containers, func(found opener.Container) bool { return found.Starter.PID == c.Starter })
		if i < 0 {
			t.Fatalf("starter %d is not among %+v", c.Starter, l.Containers)
		}
		list = append(list, l.Containers[i])
	}
	return list
}

// both calls f with the opener in this process and with one behind a socket.
func both(t *testing.T, f func(t *testing.T, o opener.Opener)) {
	node := opener.NewNode(process.Node(), nil)
	t.Run("in this process", func(t *testing.T) { f(t, node) })
	t.Run("behind a socket", func(t *testing.T) { f(t, served(t, node)) })
}

// served serves o until the test ends, and connects to it.
func served(t *testing.T, o opener.Opener) *opener.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- opener.Serve(ctx, socket, 65532, o, logr.Discard()) }()
	client, err := opener.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client
}

func TestTheImageOfEveryLaunchModeIsHandedOut(t *testing.T) {
	s := newSite(t)
	content, err := os.ReadFile(s.sif)
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{
		{}, {"--pid"}, {"--containall"}, {"--setuid"}, {"--setuid", "--kernel-squashfs"}, {"--fakeroot"}, {"--writable-tmpfs"}, {"--underlay"},
		{"--bare-env"}, {"--env=APPTAINER_CONTAINER=/etc/shadow"},
	} {
		name := "exec"
		for _, f := range flags {
			name += " " + f
		}
		run := s.start(t, append(append([]string{"exec", "--user=4242"}, flags...), s.sif, live.Sleep, "infinity")...)
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, o opener.Opener) {
				c := of(t, o, run)[0]
				if c.Problem != nil || c.Image.Path != s.sif || c.Source != process.FromImage || c.Leader.PID != run.Containers[0].Command && !c.Has(run.Containers[0].Command) {
					t.Errorf("found %+v, problem %v", c, c.Problem)
				}
				if c.Writable != slices.Contains(flags, "--writable-tmpfs") {
					t.Errorf("writable: %v", c.Writable)
				}
				f, err := o.Take(t.Context(), c.ID, opener.TheImage)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				got := make([]byte, len(content)+1)
				if n, err := f.ReadAt(got, 0); err != io.EOF || !bytes.Equal(got[:n], content) {
					t.Errorf("%d of %d bytes are right, %v", n, len(content), err)
				}
			})
		})
	}
}

func TestRanksHaveOneKeyAndOtherImagesAnother(t *testing.T) {
	s := newSite(t)
	ranks := s.start(t, "exec", "--user=4242", "--ranks=3", s.sif, live.Sleep, "infinity")
	box := s.start(t, "exec", "--user=4242", s.sandbox, live.Sleep, "infinity")
	both(t, func(t *testing.T, o opener.Opener) {
		list := of(t, o, ranks)
		key := list[0].Image.Key("n1")
		if key == "" || list[1].Image.Key("n1") != key || list[2].Image.Key("n1") != key || list[0].Image.Key("n2") == key {
			t.Errorf("keys of %+v", list)
		}
		other := of(t, o, box)[0]
		if other.Source != process.FromDirectory || other.Image.Path != s.sandbox || other.Image.Key("n1") == key || other.Image.Key("n1") == "" {
			t.Errorf("a sandbox: %+v", other)
		}
		root, err := o.Take(t.Context(), other.ID, opener.TheRoot)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		id, err := process.MountOf(root)
		if err != nil || id == 0 {
			t.Errorf("the root is on mount %d, %v", id, err)
		}
	})
}

func TestADeletedImageAndOneThatNobodyElseMayReadAreHandedOut(t *testing.T) {
	s := newSite(t)
	if err := os.Chmod(s.sif, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.sif, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	run := s.start(t, "exec", "--user=4242", s.sif, live.Sleep, "infinity")
	if err := os.Remove(s.sif); err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, o opener.Opener) {
		c := of(t, o, run)[0]
		if !c.Image.Deleted || c.Image.Path != s.sif || c.Image.UID != 4242 || c.Image.Mode != 0o600 {
			t.Errorf("%+v", c.Image)
		}
		f, err := o.Take(t.Context(), c.ID, opener.TheImage)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	})
}

// The kernel shows a file without a name by the name that it had and " (deleted)", with which a name may end as well.
func TestAFileIsDeletedWhenNoNameLeadsToItWhateverItIsCalled(t *testing.T) {
	s := newSite(t)
	content, err := os.ReadFile(s.sif)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(s.sif)
	remove := func(path string) error { return os.Remove(path) }
	for name, c := range map[string]struct {
		file    string
		then    func(path string) error
		shown   string
		deleted bool
	}{
		"it is called so":                      {"x (deleted)", func(string) error { return nil }, "x (deleted)", false},
		"it is called so, and deleted":         {"y (deleted)", remove, "y (deleted)", true},
		"it was deleted, and has another name": {"linked", func(path string) error { return errors.Join(os.Link(path, path+"-2"), os.Remove(path)) }, "linked", true},
		"its old name with the word is another's": {"taken", func(path string) error {
			return errors.Join(os.Link(path, path+"-2"), os.Remove(path), os.WriteFile(path+" (deleted)", nil, 0o644))
		}, "taken", true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, c.file)
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			run := s.start(t, "exec", "--user=4242", path, live.Sleep, "infinity")
			if err := c.then(path); err != nil {
				t.Fatal(err)
			}
			got := of(t, opener.NewNode(process.Node(), nil), run)[0].Image
			if got.Path != filepath.Join(dir, c.shown) || got.Deleted != c.deleted || (got.Within == "") != c.deleted {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestNothingIsWrittenThroughWhatIsHandedOut(t *testing.T) {
	s := newSite(t)
	if err := os.Chown(s.sif, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	for _, held := range []string{"--open-for-writing=false", "--open-for-writing"} {
		run := s.start(t, "exec", "--user=4242", held, s.sif, live.Sleep, "infinity")
		t.Run(held, func(t *testing.T) {
			both(t, func(t *testing.T, o opener.Opener) {
				f, err := o.Take(t.Context(), of(t, o, run)[0].ID, opener.TheImage)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				want, err := os.Stat(s.sif)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := f.Stat(); err != nil || !os.SameFile(got, want) {
					t.Errorf("another file than the image: %v", err)
				}
				if n, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EBADF) {
					t.Errorf("%d bytes were written into the user's image, %v", n, err)
				}
				if n, err := f.ReadAt(make([]byte, 4096), 0); n != 4096 {
					t.Errorf("%d bytes, %v", n, err)
				}
			})
			both(t, func(t *testing.T, o opener.Opener) {
				id := of(t, o, run)[0].ID
				first, err := o.Take(t.Context(), id, opener.TheImage)
				if err != nil {
					t.Fatal(err)
				}
				defer first.Close()
				second, err := o.Take(t.Context(), id, opener.TheImage)
				if err != nil {
					t.Fatal(err)
				}
				defer second.Close()
				if _, err := first.Seek(4242, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if at, err := second.Seek(0, io.SeekCurrent); err != nil || (at == 4242) != (held == "--open-for-writing=false") {
					t.Errorf("the position in another descriptor is %d, %v: a duplicate has the starter's, one that was opened anew has not", at, err)
				}
			})
		})
	}
}

// Nothing but a right over mounts would make a descriptor of less.
func TestWhoHasARootReadsAllThatIsMountedInTheContainerAndNoMore(t *testing.T) {
	s := newSite(t)
	home := filepath.Join(filepath.Dir(s.sif), "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{{}, {"--setuid"}} {
		run := s.start(t, append(append([]string{"exec", "--user=4242", "--home=" + home}, flags...), s.sandbox, live.Sleep, "infinity")...)
		node := opener.NewNode(process.Node(), nil)
		root, err := node.Take(t.Context(), of(t, node, run)[0].ID, opener.TheRoot)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		stat := func(name string) (st unix.Statx_t) {
			if err := unix.Statx(int(root.Fd()), name, 0, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st); err != nil {
				t.Errorf("%v: %s: %v", flags, name, err)
			}
			return st
		}
		stat("." + home + "/notes")
		if here, above := stat("."), stat(".."); here.Mnt_id != above.Mnt_id || here.Ino != above.Ino {
			t.Errorf("%v: the root's parent is another directory: %+v", flags, above)
		}
	}
}

func TestAContainerThatEndedIsVanishedAndItsImageStaysReadable(t *testing.T) {
	s := newSite(t)
	node := opener.NewNode(process.Node(), nil)
	client := served(t, node)
	run := s.start(t, "exec", "--user=4242", s.sif, live.Sleep, "infinity")
	c := of(t, client, run)[0]
	held, err := client.Take(t.Context(), c.ID, opener.TheImage)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := run.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, what := range []opener.What{opener.TheImage, opener.TheRoot} {
		_, err := client.Take(t.Context(), c.ID, what)
		var e *opener.Error
		if !errors.As(err, &e) || e.Code != opener.Vanished {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n, err := held.ReadAt(make([]byte, 4096), 0); n != 4096 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestOnlyContainersOfTheNamedPodsAreShownAndNothingThatWasNotListedIsHandedOut(t *testing.T) {
	s := newSite(t)
	run := s.start(t, "exec", "--user=4242", s.sif, live.Sleep, "infinity")
	all := of(t, opener.NewNode(process.Node(), nil), run)
	client := served(t, opener.NewNode(process.Node(), []string{"8d1c0f5e-0123-4567-89ab-0123456789ab"}))
	l, err := client.List(t.Context())
	if err != nil || len(l.Containers) != 0 {
		t.Errorf("shown %+v, %v", l, err)
	}
	for _, id := range []string{all[0].ID, "1-0-8:1", ""} {
		if f, err := client.Take(t.Context(), id, opener.TheRoot); err == nil {
			f.Close()
			t.Errorf("%q is handed out", id)
		}
	}
	if _, err := client.Take(t.Context(), all[0].ID, "etc/shadow"); err == nil {
		t.Error("anything is handed out")
	}
}
