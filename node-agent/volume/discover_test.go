package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// paths of the targets, with aliases after "=" and explicit ones marked "!".
func paths(found Found) []string {
	var lines []string
	for _, t := range found.Targets {
		line := t.Path
		if t.Explicit {
			line += "!"
		}
		if len(t.Aliases) > 0 {
			line += "=" + strings.Join(t.Aliases, ",")
		}
		lines = append(lines, line)
	}
	return lines
}

// failures as "path: reason".
func failures(found Found) []string {
	var lines []string
	for _, e := range found.Failures {
		lines = append(lines, e.Path+": "+e.Reason)
	}
	return lines
}

func want(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestDiscoverChoosesByPathsExcludesAndNames(t *testing.T) {
	d := newDisk(t).files(
		"a.sif", "b.simg", "notes.txt", "UPPER.SIF", ".hidden/h.sif", "caf\xe9/n\xff.sif", "new\nline.sif",
		"projects/p1/images/x.sif", "projects/p1/images/old/y.sif", "projects/p2/images/x.sif", "projects/p2/x.sif",
		"scratch/s.sif", "scratch/deep/s.sif", "a[1]/q.sif", "data.bin",
		".snapshot/hourly/a.sif", "projects/.snapshot/a.sif", "projects/.zfs/snapshot/a.sif")
	for _, tc := range []struct {
		name  string
		mount string
		spec  Spec
		want  []string
	}{
		{"everything by default, in byte order and without snapshots", "", Spec{}, []string{
			".hidden/h.sif", "a.sif", "a[1]/q.sif", "b.simg", "caf\xe9/n\xff.sif", "new\nline.sif",
			"projects/p1/images/old/y.sif", "projects/p1/images/x.sif", "projects/p2/images/x.sif", "projects/p2/x.sif",
			"scratch/deep/s.sif", "scratch/s.sif"}},
		{"a directory", "", Spec{Paths: []string{"projects/p2"}}, []string{"projects/p2/images/x.sif", "projects/p2/x.sif"}},
		{"a directory with a slash at its end", "", Spec{Paths: []string{"scratch/"}}, []string{"scratch/deep/s.sif", "scratch/s.sif"}},
		{"the volume by its mount path", "/shared", Spec{Paths: []string{"/shared"}, Exclude: []string{"*/**"}}, nil},
		{"the volume by a dot", "", Spec{Paths: []string{"."}, Exclude: []string{"*/*", "*/*/**"}}, []string{"a.sif", "b.simg", "new\nline.sif"}},
		{"a file whatever its name", "", Spec{Paths: []string{"data.bin"}}, []string{"data.bin!"}},
		{"a file as users know it", "/shared/containers", Spec{Paths: []string{"/shared/containers/a.sif"}}, []string{"a.sif!"}},
		{"a file twice is one target", "", Spec{Paths: []string{"a.sif", "./a.sif", "*.sif"}}, []string{"a.sif!", "new\nline.sif"}},
		{"a glob for one directory", "", Spec{Paths: []string{"*.sif"}}, []string{"a.sif", "new\nline.sif"}},
		{"a glob in the middle", "", Spec{Paths: []string{"projects/*/images/*.sif"}}, []string{"projects/p1/images/x.sif", "projects/p2/images/x.sif"}},
		{"a glob that ends in a plain name", "", Spec{Paths: []string{"projects/*/x.sif"}}, []string{"projects/p2/x.sif"}},
		{"two stars in the middle", "", Spec{Paths: []string{"projects/**/old/*"}}, []string{"projects/p1/images/old/y.sif"}},
		{"two stars match no directory too", "", Spec{Paths: []string{"projects/p2/**/x.sif"}}, []string{"projects/p2/images/x.sif", "projects/p2/x.sif"}},
		{"a glob as users know it", "/shared", Spec{Paths: []string{"/shared/scratch/*.sif"}}, []string{"scratch/s.sif"}},
		{"braces across directories", "", Spec{Paths: []string{"{scratch,projects/p1/images/old}/*.sif"}}, []string{"projects/p1/images/old/y.sif", "scratch/s.sif"}},
		{"an escaped bracket is a name", "", Spec{Paths: []string{`a\[1\]/*.sif`}}, []string{"a[1]/q.sif"}},
		{"a bracket is a class", "", Spec{Paths: []string{"[!b].sif"}}, []string{"a.sif"}},
		{"a name that is not UTF-8 under two stars", "", Spec{Paths: []string{"**/n?.sif"}}, []string{"caf\xe9/n\xff.sif"}},
		{"other file names", "", Spec{FileNames: []string{"*.{SIF,bin}"}}, []string{"UPPER.SIF", "data.bin"}},
		{"a glob's own ending does not replace the file names", "", Spec{Paths: []string{"*.bin", "a.sif"}}, []string{"a.sif!"}},
		{"an excluded directory", "", Spec{Paths: []string{"**/s.sif"}, Exclude: []string{"scratch/deep"}}, []string{"scratch/s.sif"}},
		{"an excluded tree", "", Spec{Paths: []string{"**/s.sif", "a.sif"}, Exclude: []string{"scratch/**"}}, []string{"a.sif!"}},
		{"an exclude at any depth", "", Spec{Paths: []string{"projects"}, Exclude: []string{"**/images"}}, []string{"projects/p2/x.sif"}},
		{"an exclude as users know it", "/shared", Spec{Paths: []string{"scratch"}, Exclude: []string{"/shared/scratch/deep/*"}}, []string{"scratch/s.sif"}},
		{"an exclude leaves a written file alone", "", Spec{Paths: []string{"scratch/s.sif"}, Exclude: []string{"scratch/**"}}, []string{"scratch/s.sif!"}},
		{"a snapshot that is asked for", "", Spec{Paths: []string{".snapshot/**"}}, []string{".snapshot/hourly/a.sif"}},
		{"a snapshot that is named after a wildcard", "", Spec{Paths: []string{"*/.snapshot/*"}}, []string{"projects/.snapshot/a.sif"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found, err := Discover(t.Context(), d.root(tc.mount), tc.spec)
			if tc.want == nil {
				wantError(t, err, ReasonNoTargets)
			} else {
				d.must(err)
			}
			want(t, "targets", paths(found), tc.want)
			want(t, "failures", failures(found), nil)
		})
	}
}

func TestDiscoverReadsNoDirectoryInWhichNothingCanMatch(t *testing.T) {
	d := newDisk(t)
	for p := range 20 {
		d.files(fmt.Sprintf("projects/p%d/images/x.sif", p))
		for c := range 5 {
			d.files(fmt.Sprintf("projects/p%d/code/%d/x.sif", p, c), fmt.Sprintf("other/%d/%d/x.sif", p, c))
		}
	}
	for _, tc := range []struct {
		paths       []string
		exclude     []string
		directories int
	}{
		// projects and 20 times images: neither the root nor projects/* is listed.
		{[]string{"projects/*/images/*.sif"}, nil, 1 + 20},
		{[]string{"projects/*/images/x.sif"}, nil, 1},
		{[]string{"projects/p1/images/x.sif"}, nil, 0},
		{[]string{"projects/p1/**", "projects/p1/code/**", "projects/p1/code/1/*.sif"}, nil, 1 + 1 + 1 + 5},
		{[]string{"**"}, []string{"other", "projects/*/code"}, 1 + 1 + 20 + 20},
		{[]string{"projects/p?/*/*"}, nil, 1 + 10 + 20},
	} {
		t.Run(strings.Join(tc.paths, " "), func(t *testing.T) {
			found, err := Discover(t.Context(), d.root(""), Spec{Paths: tc.paths, Exclude: tc.exclude})
			if err != nil && found.Entries == 0 {
				t.Fatal(err)
			}
			if found.Directories != tc.directories {
				t.Errorf("%d directories were read, want %d", found.Directories, tc.directories)
			}
		})
	}
}

func TestDiscoverTakesHardLinksAndLinksForOneImage(t *testing.T) {
	d := newDisk(t).files("z/image.sif", "m/other.sif").
		hardLink("b/hard.sif", "z/image.sif").
		link("a/alias.sif", "../z/image.sif").
		link("c.sif", "/shared/z/image.sif").
		link("named", "z/image.sif").
		link("linked-dir", "m")
	r := d.root("/shared")
	found, err := Discover(t.Context(), r, Spec{})
	d.must(err)
	want(t, "targets", paths(found), []string{"b/hard.sif=a/alias.sif,c.sif,z/image.sif", "m/other.sif"})

	found, err = Discover(t.Context(), r, Spec{Paths: []string{"named", "linked-dir/*.sif", "/shared/linked-dir/other.sif"}})
	d.must(err)
	want(t, "targets", paths(found), []string{"m/other.sif!=linked-dir/other.sif", "z/image.sif!=named"})
}

func TestDiscoverFollowsADirectoryLinkOnlyWhereItsNameIsWritten(t *testing.T) {
	d := newDisk(t).files("p/v2/a.sif", "q/v1/sub/b.sif", "x/c.sif").
		link("p/current", "v2").link("q/current", "v1").link("p/loop", "..").link("q/v1/current", "../..").link("s/current", "../x").
		link("broken/current", "nowhere").link("r/current", "/other")
	found, err := Discover(t.Context(), d.root("/shared"), Spec{Paths: []string{"*/current/**"}, Exclude: []string{"x"}})
	d.must(err)
	want(t, "targets", paths(found), []string{"p/v2/a.sif", "q/v1/sub/b.sif"})
	want(t, "failures", failures(found), []string{"broken/current: Unsupported", "r/current: Unsupported"})

	found, err = Discover(t.Context(), d.root("/shared"), Spec{Paths: []string{"**/current/**/*.sif"}, Exclude: []string{"x"}})
	d.must(err)
	want(t, "targets through a link to the top", paths(found), []string{"p/v2/a.sif", "q/v1/sub/b.sif"})

	for i := range 50 {
		d.link(fmt.Sprintf("many/%d/current", i), "../../p/v2")
	}
	found, err = Discover(t.Context(), d.root("/shared"), Spec{Paths: []string{"many/*/current/**"}})
	d.must(err)
	if found.Directories != 2 {
		t.Errorf("50 links to one directory made the walk read %d directories, want many and p/v2 once", found.Directories)
	}
}

func TestDiscoverNamesWhatIsNoImage(t *testing.T) {
	d := newDisk(t).files("good.sif", "s/plain.sif/inner.sif").
		fifo("fifo.sif").fifo("fifo.txt").socket("sock.sif").
		link("environ.sif", "/proc/self/environ").link("loop.sif", "loop.sif").link("gone.sif", "none").
		link("dir.sif", "s").link("to-fifo.sif", "fifo.txt").link("other.txt", "/etc/passwd")
	found, err := Discover(t.Context(), d.root("/shared"), Spec{Paths: []string{"**", "missing.sif", "no/such/dir", "none/*.sif", "good.sif/*.sif", "fifo.txt", "./fifo.sif", "fifo.sif", "gone.sif", "none/x/*"}})
	d.must(err)
	want(t, "targets", paths(found), []string{"good.sif", "s/plain.sif/inner.sif"})
	want(t, "failures", failures(found), []string{
		"environ.sif: Unsupported", "fifo.sif: Unsupported", "fifo.txt: Unsupported", "gone.sif: Unsupported",
		"good.sif: NoTargets", "loop.sif: Unsupported", "missing.sif: NoTargets", "no/such/dir: NoTargets",
		"none: NoTargets", "none/x: NoTargets", "sock.sif: Unsupported", "to-fifo.sif: Unsupported"})
	if diff := cmp.Diff(map[string]int{ReasonUnsupported: 7, ReasonNoTargets: 5}, found.FailureCounts); diff != "" {
		t.Error(diff)
	}
}

func TestDiscoverTreatsSandboxesAsOneImage(t *testing.T) {
	d := newDisk(t).files("a.sif").sandbox("boxes/one").sandbox("boxes/two.sif").files("boxes/one/opt/x.sif", "boxes/two.sif/x.sif").
		folder("fake/.singularity").files("fake/x.sif", "marked/.singularity.d", "marked/x.sif").
		link("box.sif", "boxes/one")
	r := d.root("")
	found, err := Discover(t.Context(), r, Spec{Paths: []string{"**", "boxes/one"}})
	d.must(err)
	want(t, "targets", paths(found), []string{"a.sif", "boxes/one!=box.sif", "boxes/two.sif", "fake/x.sif", "marked/x.sif"})
	if found.Targets[1].Info.Kind != Sandbox || found.Sandboxes.Count != 0 {
		t.Errorf("%+v, %d skipped", found.Targets[1], found.Sandboxes.Count)
	}

	found, err = Discover(t.Context(), r, Spec{Exclude: []string{"box.sif"}})
	d.must(err)
	want(t, "targets", paths(found), []string{"a.sif", "boxes/two.sif", "fake/x.sif", "marked/x.sif"})
	want(t, "sandboxes that were not asked for", found.Sandboxes.Names, []string{"boxes/one"})

	d.sandbox(".")
	found, err = Discover(t.Context(), d.root(""), Spec{Paths: []string{"*.sif"}})
	d.must(err)
	want(t, "a mark at the top hides nothing", paths(found), []string{"a.sif", "boxes/one=box.sif"})
}

func TestDiscoverCountsAndNamesWhatItMayNotRead(t *testing.T) {
	d := newDisk(t).files("a.sif", "private/b.sif", "listed/c.sif", "listed/d.sif", "listed/sub/e.sif", "reachable/f.sif").
		mode("private", 0).mode("listed", 0o444).mode("reachable", 0o111)
	if os.Geteuid() == 0 {
		d.folder("lost+found").mode("lost+found", 0o700)
	}
	r := d.root("")
	unprivileged(t, func() {
		found, err := Discover(t.Context(), r, Spec{Paths: []string{"**", "reachable/*.sif", "private/b.sif"}})
		if err != nil {
			t.Error(err)
		}
		want(t, "targets", paths(found), []string{"a.sif"})
		want(t, "failures", failures(found), []string{"listed/c.sif: PermissionDenied", "listed/d.sif: PermissionDenied",
			"listed/sub: PermissionDenied", "private: PermissionDenied", "private/b.sif: PermissionDenied", "reachable: PermissionDenied"})

		found, err = Discover(t.Context(), r, Spec{Paths: []string{"[r]eachable/f.sif"}})
		if err != nil {
			t.Error(err)
		}
		want(t, "a name that is written needs no right to list", paths(found), []string{"reachable/f.sif"})

		found, err = Discover(t.Context(), r, Spec{Paths: []string{"private"}})
		var e *Error
		if !asError(err, &e) || e.Reason != ReasonNoTargets || !strings.Contains(e.Message, "1 failed with PermissionDenied") {
			t.Errorf("%v", err)
		}
		want(t, "failures", failures(found), []string{"private: PermissionDenied"})
	})
}

func TestDiscoverSaysWhyThereIsNothing(t *testing.T) {
	d := newDisk(t).files("a.txt", "sub/b.bin", "old/c.sif").folder("box/.singularity.d").fifo("p.sif")
	_, err := Discover(t.Context(), d.root(""), Spec{Exclude: []string{"old"}})
	e := wantError(t, err, ReasonNoTargets)
	for _, part := range []string{"nothing to scan in ** with file names *.sif *.simg", "saw 7 entries in 3 directories",
		"1 failed with Unsupported", "2 files of other names not opened (a.txt, sub/b.bin): name them one by one", "1 excluded",
		"1 sandbox directory not entered (box)"} {
		if !strings.Contains(e.Message, part) {
			t.Errorf("%q does not say %q", e.Message, part)
		}
	}
}

func TestDiscoverStaysOnOneFileSystem(t *testing.T) {
	d := newDisk(t).files("a.sif").mount("mnt", "size=64k").files("mnt/b.sif", "mnt/deep/c.sif").link("alias.sif", "mnt/b.sif")
	found, err := Discover(t.Context(), d.root(""), Spec{Exclude: []string{"alias.sif"}})
	d.must(err)
	want(t, "targets", paths(found), []string{"a.sif"})
	want(t, "directories not entered", found.OtherFilesystems.Names, []string{"mnt"})

	found, err = Discover(t.Context(), d.root(""), Spec{Paths: []string{"**", "mnt/deep"}})
	d.must(err)
	want(t, "targets with the directory written", paths(found), []string{"a.sif", "mnt/b.sif=alias.sif", "mnt/deep/c.sif"})
}

func TestDiscoverEndsAtItsLimitsAndSaysSo(t *testing.T) {
	d := newDisk(t)
	for i := range 100 {
		d.files(fmt.Sprintf("d%02d/x.sif", i))
	}
	for _, tc := range []struct {
		name   string
		limits Limits
		says   string
	}{
		{"entries", Limits{Entries: 150}, "stopped after 150 entries"},
		{"memory", Limits{Memory: 40000}, "more than the 40000 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found, err := Discover(t.Context(), d.root(""), Spec{Limits: tc.limits})
			d.must(err)
			if len(found.Targets) == 0 || len(found.Targets) == 100 || found.Targets[0].Path != "d00/x.sif" {
				t.Errorf("%d targets", len(found.Targets))
			}
			if !strings.Contains(found.Stopped, tc.says) {
				t.Errorf("Stopped = %q", found.Stopped)
			}
		})
	}
	t.Run("memory is given back for directories that are done", func(t *testing.T) {
		// 100 names in the top directory and 100 targets take 53 kB; the 100 listings below take 26 kB, one at a time.
		found, err := Discover(t.Context(), d.root(""), Spec{Limits: Limits{Memory: 60_000}})
		d.must(err)
		if found.Stopped != "" || len(found.Targets) != 100 {
			t.Errorf("%d targets, %s", len(found.Targets), found.Stopped)
		}
	})
	t.Run("depth", func(t *testing.T) {
		d := newDisk(t).files("1/x.sif", "1/2/x.sif", "1/2/3/x.sif")
		found, err := Discover(t.Context(), d.root(""), Spec{Limits: Limits{Depth: 2}})
		d.must(err)
		want(t, "targets", paths(found), []string{"1/2/x.sif", "1/x.sif"})
		want(t, "failures", failures(found), []string{"1/2/3: Unsupported"})
	})
}

func TestDiscoverNamesAThousandFailuresAndCountsAll(t *testing.T) {
	d := newDisk(t)
	for i := range maxNamed + 5 {
		d.fifo(fmt.Sprintf("%04d.sif", i))
	}
	written := []string{"**"}
	for i := range maxNamed + 5 {
		written = append(written, fmt.Sprintf("missing/%d.sif", i))
	}
	found, err := Discover(t.Context(), d.root(""), Spec{Paths: written})
	wantError(t, err, ReasonNoTargets)
	if diff := cmp.Diff(map[string]int{ReasonUnsupported: maxNamed + 5, ReasonNoTargets: maxNamed + 5}, found.FailureCounts); diff != "" {
		t.Error(diff)
	}
	if len(found.Failures) != maxNamed+maxNamed+5 {
		t.Errorf("%d failures are named, want a thousand found ones and all that the user wrote", len(found.Failures))
	}
}

func TestDiscoverIsInterruptedByItsContext(t *testing.T) {
	d := newDisk(t).files("a/x.sif", "b/x.sif")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Discover(ctx, d.root(""), Spec{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	// At one request in 1000 s the second would come after the deadline: that is known at once.
	root := d.root("")
	root.SetPace(NewPace(0.001, 0))
	if _, err := Discover(ctx, root, Spec{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if waited := time.Since(start); waited > 30*time.Second {
		t.Errorf("waited %s for a deadline that could not be met", waited)
	}
}

func TestDiscoverFindsAmongFiftyThousandFilesQuickly(t *testing.T) {
	d := newDisk(t)
	if os.Geteuid() == 0 {
		d.mount("mnt", "size=1m").dir += "/mnt" // in memory: a busy disk takes a minute to make and delete this many
	}
	const directories, files = 100, 500
	for i := range directories {
		dir := fmt.Sprintf("d%02d", i)
		d.folder(dir)
		fd, err := unix.Open(d.path(dir), unix.O_PATH, 0)
		d.must(err)
		for j := range files {
			name := fmt.Sprintf("f%03d.sif", j)
			if j%2 == 0 {
				name += ".txt"
			}
			d.must(unix.Mknodat(fd, name, unix.S_IFREG|0o644, 0))
		}
		unix.Close(fd)
	}
	start := time.Now()
	found, err := Discover(t.Context(), d.root(""), Spec{})
	d.must(err)
	took := time.Since(start)
	t.Logf("%d entries in %s", found.Entries, took)
	if len(found.Targets) != directories*files/2 || found.Entries != directories*(files+1) || found.Directories != directories+1 {
		t.Errorf("%d targets, %d entries, %d directories", len(found.Targets), found.Entries, found.Directories)
	}
	// Measured 0.1 s; the bound only catches work that grows with the square of the number.
	if took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestDiscoverLeavesNoDescriptorOpen(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	d := newDisk(t).files("a.sif", "x/y/b.sif").link("l.sif", "a.sif").link("up.sif", "x/../../..").link("dir", "x").
		fifo("f.sif").sandbox("box").sandbox("box.sif")
	r := d.root("/vol")
	before := count()
	for range 20 {
		if _, err := Discover(t.Context(), r, Spec{Paths: []string{"**", "dir/*/*", "box", "a.sif", "none", "*/y/*.sif"}}); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"a.sif", "l.sif", "up.sif", "f.sif", "x", "box"} {
			if f, err := r.Open(p); err == nil {
				f.Close()
			}
		}
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestDiscoveredInfoIsWhatOpenSees(t *testing.T) {
	d := newDisk(t).files("a.sif").mode("a.sif", 0o640)
	d.must(os.Chtimes(filepath.Join(d.dir, "a.sif"), time.Unix(1, 5), time.Unix(1700000000, 123456789)))
	r := d.root("")
	found, err := Discover(t.Context(), r, Spec{})
	d.must(err)
	f, err := r.Open(found.Targets[0].Path)
	d.must(err)
	defer f.Close()
	if diff := cmp.Diff(f.Info(), found.Targets[0].Info); diff != "" {
		t.Error(diff)
	}
	info := f.Info()
	if info.ModTime != 1700000000123456789 || info.Mode != 0o640 || info.Size != 5 || info.Ino == 0 {
		t.Errorf("%+v", info)
	}
	if !strings.HasPrefix(Identity(info), fmt.Sprintf("%d:5:1700000000123456789:", info.Ino)) {
		t.Error(Identity(info))
	}
}
