// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/process"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// machine is an opener of containers that are none: what it hands out are a test's own files.
type machine struct {
	t     *testing.T
	live  scan.Live
	hands map[string]func() (*os.File, error) // ID and what → what is handed out
	taken []string
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, hands: map[string]func() (*os.File, error){}}
	m.live = scan.Live{Opener: m, Node: "n1"}
	return m
}

func (m *machine) List(context.Context) (*opener.Listing, error) {
	return &opener.Listing{Containers: m.live.Containers}, nil
}
func (m *machine) Close() error { return nil }
func (m *machine) Take(_ context.Context, id string, what opener.What) (*os.File, error) {
	m.taken = append(m.taken, id+" "+string(what))
	if hand := m.hands[id+" "+string(what)]; hand != nil {
		return hand()
	}
	return nil, &opener.Error{Code: opener.Denied, Message: "not yours"}
}

// runs adds a container of the image at path.
func (m *machine) runs(id, path string, change ...func(c *opener.Container)) *machine {
	m.t.Helper()
	c := opener.Container{Image: opener.Image{Path: path}}
	c.ID, c.Leader.PID, c.User, c.Source = id, 100+len(m.live.Containers), 4242, process.FromImage
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil {
		c.Image = opener.Image{Path: path, FileSystem: "ext4", Device: "8:1", Within: path, Known: true, Inode: st.Ino, Size: st.Size,
			ModTime: st.Mtim.Nano(), ChangeTime: st.Ctim.Nano(), UID: 4242, Mode: 0o600}
	}
	for _, f := range change {
		f(&c)
	}
	m.live.Containers = append(m.live.Containers, c)
	return m
}

// gives makes a container's image, or root, the file at path.
func (m *machine) gives(id string, what opener.What, path string) *machine {
	m.hands[id+" "+string(what)] = func() (*os.File, error) { return os.Open(path) }
	return m
}

func (m *machine) fails(id string, what opener.What, code opener.Code) *machine {
	m.hands[id+" "+string(what)] = func() (*os.File, error) { return nil, &opener.Error{Code: code, Message: "gone"} }
	return m
}

// liveSink remembers what it is told of containers, too.
type liveSink struct {
	*sink
	told []v1alpha1.InventoryContainer
}

func (s *liveSink) Container(c *v1alpha1.InventoryContainer) error {
	s.told = append(s.told, *c)
	return nil
}

func (m *machine) scan(scanner *scan.Scanner, known *handover.Knowledge) (*liveSink, scan.Verdict) {
	m.t.Helper()
	to := &liveSink{sink: newSink()}
	verdict, err := scanner.Run(context.Background(), scan.Wanted{Live: &m.live}, known, to)
	if err != nil {
		m.t.Fatal(err)
	}
	return to, verdict
}

func TestAnImageOf128RanksIsReadOnceAndNotThroughItsPosition(t *testing.T) {
	path := newShelf(t).image("a.sif").path("a.sif")
	shared, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if _, err := shared.Seek(123, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	for i := range 128 {
		id := fmt.Sprint("c", i)
		m.runs(id, path)
		m.hands[id+" image"] = func() (*os.File, error) {
			fd, err := unix.Dup(int(shared.Fd())) // as pidfd_getfd: one position for both
			return os.NewFile(uintptr(fd), path), err
		}
	}
	to, _ := m.scan(newScanner(t), nil)
	if diff := cmp.Diff([]string{"c0 image"}, m.taken); diff != "" {
		t.Error(diff)
	}
	r := to.results[path]
	if r == nil || r.Report.Summary == nil || r.Report.Summary.Packages != 3 || r.Report.Outcome.Coverage != v1alpha1.CoverageComplete {
		t.Fatalf("results %+v", to.results)
	}
	if size := r.Report.Target.SizeBytes; r.Report.Scanner.BytesRead > 2*size {
		t.Errorf("%d bytes of %d were read", r.Report.Scanner.BytesRead, size)
	}
	if at, err := shared.Seek(0, io.SeekCurrent); at != 123 || err != nil {
		t.Errorf("the user's position is %d by now, %v", at, err)
	}
	if len(to.told) != 2 || to.told[0].Ranks != 128 || len(to.told[0].PIDs) != v1alpha1.MaxInventoryPIDs || to.told[0].Report != "" {
		t.Errorf("told %+v", to.told)
	}
	if last := to.told[1]; !strings.HasPrefix(last.Report, "sr-") || last.Coverage != v1alpha1.CoverageComplete {
		t.Errorf("told %+v at the end", last)
	}
	if e := r.Report.RunningExamples; len(e) != 1 || e[0].Node != "n1" || e[0].User != 4242 || r.Report.Target.Node != "n1" {
		t.Errorf("examples %+v of %+v", e, r.Report.Target)
	}
}

func TestWhatCannotBeReadOfALiveContainerIsNeverClean(t *testing.T) {
	shelf := newShelf(t).image("a.sif").truncated("cut.sif").file("empty/.keep", nil)
	box := filepath.Join(t.TempDir(), "box")
	if err := fixtures.NewTree(box).With(fixtures.Debian).Done(); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	a := shelf.path("a.sif")
	luks := filepath.Join(t.TempDir(), "encrypted.sif")
	if err := fixtures.NewSIF("amd64").Partition(fixtures.FSEncrypted, fixtures.PartPrimary, 1, a).Write(luks); err != nil {
		t.Fatal(err)
	}
	layered, squashfs := filepath.Join(t.TempDir(), "layered.sif"), filepath.Join(t.TempDir(), "squashfs")
	if err := (fixtures.Squashfs{}).Make(box, squashfs); err != nil {
		t.Fatal(err)
	}
	err := fixtures.NewSIF("amd64").System(squashfs).Partition(fixtures.FSExt3, fixtures.PartOverlay, 1, a).Write(layered)
	if err != nil {
		t.Fatal(err)
	}
	sandbox := func(c *opener.Container) { c.Source = process.FromDirectory }
	writable := func(c *opener.Container) { c.Writable = true }
	for name, c := range map[string]struct {
		arrange          func(m *machine)
		reason, coverage string
		packages         int32
		says             string
	}{
		"the rank that is asked first ended": {func(m *machine) {
			m.runs("c1", a).runs("c2", a).fails("c1", opener.TheImage, opener.Vanished).gives("c2", opener.TheImage, a)
		}, "", v1alpha1.CoverageComplete, 3, ""},
		"all ended": {func(m *machine) {
			m.runs("c1", a).runs("c2", a).fails("c1", opener.TheImage, opener.Vanished).fails("c2", opener.TheImage, opener.Vanished)
		}, v1alpha1.ReasonNoTargets, v1alpha1.CoverageVanished, 0, "gone"},
		"another user's, without rights": {func(m *machine) { m.runs("c1", a) },
			v1alpha1.ReasonPermissionDenied, v1alpha1.CoverageUnreachable, 0, "not yours"},
		"its file system never answers": {func(m *machine) { m.runs("c1", a).fails("c1", opener.TheImage, opener.Silent) },
			v1alpha1.ReasonBackendUnreachable, v1alpha1.CoverageUnreachable, 0, ""},
		"a writable layer over it": {func(m *machine) { m.runs("c1", a, writable).gives("c1", opener.TheImage, a) },
			"", v1alpha1.CoveragePartial, 3, "layers over the image was not read"},
		"a broken image": {func(m *machine) {
			m.runs("c1", shelf.path("cut.sif")).gives("c1", opener.TheImage, shelf.path("cut.sif"))
		},
			v1alpha1.ReasonCorruptImage, "", 0, ""},
		"a sandbox": {func(m *machine) {
			m.runs("c1", box, sandbox).fails("c1", opener.TheImage, opener.Missing).gives("c1", opener.TheRoot, box)
		},
			"", v1alpha1.CoverageComplete, 3, ""},
		"an encrypted image, whose container shows what is in it": {func(m *machine) {
			m.runs("c1", luks).gives("c1", opener.TheImage, luks).gives("c1", opener.TheRoot, box)
		}, "", v1alpha1.CoverageComplete, 3, ""},
		"an encrypted image, whose container shows nothing": {func(m *machine) { m.runs("c1", luks).gives("c1", opener.TheImage, luks) },
			v1alpha1.ReasonUnsupported, "", 0, "encrypted"},
		"an overlay of the image's own, which the container shows": {func(m *machine) {
			m.runs("c1", layered).gives("c1", opener.TheImage, layered).gives("c1", opener.TheRoot, box)
		}, "", v1alpha1.CoverageComplete, 3, ""},
		"an overlay of the image's own, whose container shows nothing": {func(m *machine) { m.runs("c1", layered).gives("c1", opener.TheImage, layered) },
			v1alpha1.ReasonIncomplete, v1alpha1.CoveragePartial, 3, "the overlay partition with id 2"},
		"a root that looks empty": {func(m *machine) {
			m.runs("c1", box, sandbox).fails("c1", opener.TheImage, opener.Missing).gives("c1", opener.TheRoot, empty)
		}, v1alpha1.ReasonPermissionDenied, v1alpha1.CoverageUnreachable, 0, ""},
		"a container that ended while its root was asked for": {func(m *machine) {
			m.runs("c1", box, sandbox).fails("c1", opener.TheImage, opener.Missing).fails("c1", opener.TheRoot, opener.Vanished)
		}, v1alpha1.ReasonNoTargets, v1alpha1.CoverageVanished, 0, ""},
		"written to since it was listed": {func(m *machine) {
			m.runs("c1", a, func(c *opener.Container) { c.Image.ModTime-- }).gives("c1", opener.TheImage, a)
		}, v1alpha1.ReasonChanging, v1alpha1.CoveragePartial, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			c.arrange(m)
			to, verdict := m.scan(newScanner(t), nil)
			if len(to.results) != 1 || verdict.Total() != 1 {
				t.Fatalf("results %v", to.reasons())
			}
			r := to.results[m.live.Containers[0].Image.Path].Report
			packages := int32(0)
			if r.Summary != nil {
				packages = r.Summary.Packages
			}
			if r.Outcome.Reason != c.reason || r.Outcome.Coverage != c.coverage || packages != c.packages || !strings.Contains(r.Outcome.Message, c.says) {
				t.Errorf("%+v, %d packages; want %q, %q, %d", r.Outcome, packages, c.reason, c.coverage, c.packages)
			}
			if last := to.told[len(to.told)-1]; last.Coverage != c.coverage || last.Report == "" {
				t.Errorf("told %+v at the end", last)
			}
		})
	}
}

func TestALayerIsOfItsContainerAlone(t *testing.T) {
	path := newShelf(t).image("a.sif").path("a.sif")
	m := newMachine(t).runs("c1", path).runs("c2", path, func(c *opener.Container) { c.Writable = true }).gives("c1", opener.TheImage, path)
	to, _ := m.scan(newScanner(t), nil)
	got := map[bool]string{}
	for _, c := range to.told[2:] {
		got[c.Writable] = c.Coverage
	}
	if got[false] != v1alpha1.CoverageComplete || got[true] != v1alpha1.CoveragePartial || to.results[path].Report.Outcome.Coverage != v1alpha1.CoveragePartial {
		t.Errorf("coverage %v, of the report %+v", got, to.results[path].Report.Outcome)
	}
}

// With --writable a container writes into the overlay of the image itself, which its root shows, and its root alone.
func TestALayerThatTheContainersRootShowsIsRead(t *testing.T) {
	shelf := newShelf(t).image("a.sif")
	box := filepath.Join(t.TempDir(), "box")
	if err := fixtures.NewTree(box).With(fixtures.Debian).Done(); err != nil {
		t.Fatal(err)
	}
	layered, squashfs := filepath.Join(t.TempDir(), "layered.sif"), filepath.Join(t.TempDir(), "squashfs")
	err := errors.Join(fixtures.Squashfs{}.Make(box, squashfs),
		fixtures.NewSIF("amd64").System(squashfs).Partition(fixtures.FSExt3, fixtures.PartOverlay, 1, shelf.path("a.sif")).Write(layered))
	if err != nil {
		t.Fatal(err)
	}
	writable := func(c *opener.Container) { c.Writable = true }
	older := func(c *opener.Container) { c.Image.ModTime-- }
	for name, c := range map[string]struct {
		m                *machine
		reason, coverage string
		says             string // all of it; empty: nothing
	}{
		"alone": {newMachine(t).runs("c1", layered, writable).gives("c1", opener.TheRoot, box), "", v1alpha1.CoverageComplete, ""},
		"beside another with a layer of its own": {newMachine(t).runs("c1", layered, writable).runs("c2", layered, writable).gives("c1", opener.TheRoot, box),
			"", v1alpha1.CoveragePartial, "what containers wrote into their own layers over the image was not read"},
		"where it may not be read": {newMachine(t).runs("c1", layered, writable, older), v1alpha1.ReasonChanging, v1alpha1.CoveragePartial,
			"the image was modified while it was read: a container that was started with --writable writes into it, and only its root, which the scan's user may not read, shows all of that"},
	} {
		t.Run(name, func(t *testing.T) {
			to, _ := c.m.gives("c1", opener.TheImage, layered).scan(newScanner(t), nil)
			o := to.results[layered].Report.Outcome
			if last := to.told[len(to.told)-1]; o.Reason != c.reason || o.Coverage != c.coverage || o.Message != c.says || last.Coverage != c.coverage {
				t.Errorf("%+v, told %s", o, last.Coverage)
			}
		})
	}
}

func TestAListingOpensNothing(t *testing.T) {
	path := newShelf(t).image("a.sif").path("a.sif")
	m := newMachine(t).runs("c1", path, func(c *opener.Container) {
		c.Slurm, c.PodUID, c.Instance = process.Slurm{Job: "7", Step: "0", Task: "3", Source: process.FromCgroup}, "8d1c0f5e-0123-4567-89ab-0123456789ab", true
	}).runs("c2", path)
	m.live.ListOnly = true
	to, verdict := m.scan(newScanner(t), nil)
	if len(m.taken) != 0 || len(to.results) != 0 || verdict.Reason != "" || !to.finished {
		t.Errorf("taken %v, results %v, verdict %+v", m.taken, to.reasons(), verdict)
	}
	if len(to.told) != 2 || to.told[0].Key == "" || to.told[0].Key != to.told[1].Key {
		t.Fatalf("told %+v", to.told)
	}
	first := to.told[0]
	if *first.Slurm != (v1alpha1.InventorySlurm{Job: "7", Step: "0", Task: "3", Source: v1alpha1.SlurmFromCgroup}) || first.Pod.UID == "" || first.Mode != v1alpha1.ContainerInstance {
		t.Errorf("told %+v", first)
	}
}

func TestNothingAliveIsSaidAndIsNoFailure(t *testing.T) {
	m := newMachine(t)
	m.live.Reason, m.live.Nothing = v1alpha1.ReasonNoContainers, "no container is alive"
	to, verdict := m.scan(newScanner(t), nil)
	if verdict.Reason != v1alpha1.ReasonNoContainers || verdict.Message != "no container is alive" || !to.finished || to.total != 0 {
		t.Errorf("%+v", verdict)
	}
}

func TestALiveImageThatDidNotChangeIsNotOpened(t *testing.T) {
	path := newShelf(t).image("a.sif").path("a.sif")
	scanner := newScanner(t)
	scanner.Now = func() time.Time { return time.Unix(1e9, 0) }
	first := newMachine(t).runs("c1", path).gives("c1", opener.TheImage, path)
	to, _ := first.scan(scanner, nil)
	name := to.told[1].Report
	known := &handover.Knowledge{Reports: map[string]string{name: to.results[path].Identity}}

	again := newMachine(t).runs("c9", path)
	to, verdict := again.scan(scanner, known)
	if verdict.Counts[v1alpha1.EntryUnchanged] != 1 || len(again.taken) != 0 || to.reports[path] != name {
		t.Errorf("%+v, taken %v", verdict, again.taken)
	}
	if last := to.told[len(to.told)-1]; last.Report != name || last.Coverage != v1alpha1.CoverageComplete {
		t.Errorf("told %+v", last)
	}
	layered := newMachine(t).runs("c9", path, func(c *opener.Container) { c.Writable = true }).gives("c9", opener.TheImage, path)
	if _, verdict := layered.scan(scanner, known); verdict.Counts[v1alpha1.EntryScanned] != 1 {
		t.Errorf("what a writable layer hides is not unchanged: %+v", verdict)
	}
}

func TestTwoImagesOfOnePathAreTwoTargets(t *testing.T) {
	shelf := newShelf(t).image("a.sif").image("b.sif")
	same := func(c *opener.Container) { c.Image.Path = "/image.sif" }
	m := newMachine(t).runs("c1", shelf.path("a.sif"), same).runs("c2", shelf.path("b.sif"), same).
		gives("c1", opener.TheImage, shelf.path("a.sif")).gives("c2", opener.TheImage, shelf.path("b.sif"))
	to, verdict := m.scan(newScanner(t), nil)
	if len(to.results) != 2 || verdict.Counts[v1alpha1.EntryScanned] != 2 {
		t.Errorf("results %v", to.reasons())
	}
}

// external is an engine that is executed and asks for a directory; it notes what it finds there.
type external struct {
	engine.Engine
	directory string
	files     []string
}

func (e *external) Ready(context.Context) error { return nil }
func (e *external) NeedsDirectory() bool        { return true }
func (e *external) Scan(ctx context.Context, t engine.Target) (*engine.Result, error) {
	e.directory = t.Directory
	_ = filepath.WalkDir(t.Directory, func(p string, d os.DirEntry, _ error) error {
		e.files = append(e.files, strings.TrimPrefix(p, t.Directory))
		return nil
	})
	return e.Engine.Scan(ctx, t)
}

func TestAnEngineThatNeedsADirectoryGetsACopyAndNeverTheContainersRoot(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	if err := fixtures.NewTree(box).With(fixtures.Debian).Symlink("etc/passwd", "/../../../etc/passwd").Done(); err != nil {
		t.Fatal(err)
	}
	inner, err := native.New()
	if err != nil {
		t.Fatal(err)
	}
	for limit, reason := range map[int64]string{64 << 20: "", 8 << 10: rootfs.ReasonTmpTooSmall} {
		tmp, e := t.TempDir(), &external{Engine: inner}
		scanner := newScanner(t)
		scanner.Engine, scanner.Tmp, scanner.SetBy = e, scan.Tmp{Dir: tmp, Limit: limit}, engine.ByOperator
		m := newMachine(t).runs("c1", box, func(c *opener.Container) { c.Source = process.FromDirectory }).
			fails("c1", opener.TheImage, opener.Missing).gives("c1", opener.TheRoot, box)
		to, _ := m.scan(scanner, nil)
		got := to.results[box].Report.Outcome
		if got.Reason != reason || reason != "" && !strings.HasSuffix(got.Message, "raise --node-scans-tmp-limit, for instance to 1Mi") {
			t.Errorf("limit %d: %+v", limit, got)
		}
		if reason == "" && (!strings.HasPrefix(e.directory, tmp) || len(e.files) < 5) {
			t.Errorf("the engine read %q and saw %v", e.directory, e.files)
		}
		if left, _ := filepath.Glob(tmp + "/*"); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
