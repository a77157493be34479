// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// alpine is a SIF with an Alpine of three packages, made once.
var alpine = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "scan-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tree := fixtures.NewTree(filepath.Join(dir, "tree"))
	fixtures.Alpine(tree)
	squashfs, sif := filepath.Join(dir, "squashfs"), filepath.Join(dir, "sif")
	if err := errors.Join(tree.Done(), fixtures.Squashfs{}.Make(tree.Root, squashfs), fixtures.NewSIF("amd64").System(squashfs).Write(sif)); err != nil {
		return nil, err
	}
	return os.ReadFile(sif)
})

// shelf is a directory of images.
type shelf struct {
	t   *testing.T
	dir string
}

func newShelf(t *testing.T) *shelf { return &shelf{t, t.TempDir()} }

func (s *shelf) path(name string) string { return filepath.Join(s.dir, name) }

func (s *shelf) image(name string) *shelf {
	body, err := alpine()
	if err != nil {
		s.t.Fatal(err)
	}
	return s.file(name, body)
}

func (s *shelf) file(name string, body []byte) *shelf {
	s.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(name)), 0o755), os.WriteFile(s.path(name), body, 0o644)); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// truncated is the image as an interrupted copy leaves it.
func (s *shelf) truncated(name string) *shelf {
	body, err := alpine()
	if err != nil {
		s.t.Fatal(err)
	}
	return s.file(name, body[:len(body)-4096])
}

// sink remembers what it is given.
type sink struct {
	total    int
	begun    []string
	released chan string
	notes    map[string]v1alpha1.EntryOutcome
	reports  map[string]string
	results  map[string]*scan.Result
	finished bool
	onBegin  func(path string)
}

func newSink() *sink {
	return &sink{notes: map[string]v1alpha1.EntryOutcome{}, reports: map[string]string{}, results: map[string]*scan.Result{}, released: make(chan string, 64)}
}

func (s *sink) Listed(n int) error { s.total = n; return nil }
func (s *sink) Begin(p scan.Place) error {
	s.begun = append(s.begun, p.Name)
	if s.onBegin != nil {
		s.onBegin(p.Name)
	}
	return nil
}
func (s *sink) Release(p scan.Place) error {
	s.released <- p.Name
	return nil
}
func (s *sink) Note(p scan.Place, o v1alpha1.EntryOutcome, report string) error {
	s.notes[p.Name], s.reports[p.Name] = o, report
	return nil
}
func (s *sink) Deliver(_ context.Context, r *scan.Result) error { s.results[r.Name] = r; return nil }
func (s *sink) Finish(context.Context) error                    { s.finished = true; return nil }

// reasons are the reasons of the results, by path.
func (s *sink) reasons() map[string]string {
	out := map[string]string{}
	for p, r := range s.results {
		out[p] = r.Report.Outcome.Reason
	}
	return out
}

func newScanner(t *testing.T) *scan.Scanner {
	t.Helper()
	e, err := native.New()
	if err != nil {
		t.Fatal(err)
	}
	return &scan.Scanner{Engine: e, EngineVersion: native.Version, Formats: []engine.Format{engine.FormatSPDX}, Now: time.Now, Log: logr.Discard()}
}

// run scans everything on the shelf.
func run(t *testing.T, s *shelf, scanner *scan.Scanner, known *handover.Knowledge, to *sink) (scan.Verdict, error) {
	t.Helper()
	root, err := volume.OpenRoot(s.dir, "/shared")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return scanner.Volume(context.Background(), root, volume.Spec{}, known, to)
}

// Between two writes of whoever copies an image it does not change while it is read, and looks cut.
func TestAnImageThatLooksCutIsBelievedOnceNobodyWritesIt(t *testing.T) {
	body, err := alpine()
	if err != nil {
		t.Fatal(err)
	}
	const settle = 50 * time.Millisecond
	half, now := body[:len(body)/2], time.Now()
	long := now.Add(-time.Hour)
	for name, tc := range map[string]struct {
		content []byte
		settle  time.Duration
		old     bool
		then    []byte // is there at its second turn
		want    string
		turns   int
	}{
		"nobody writes it":                               {half, settle, false, nil, v1alpha1.ReasonCorruptImage, 2},
		"nobody has written it for long":                 {half, settle, true, nil, v1alpha1.ReasonCorruptImage, 1},
		"somebody waits for the answer":                  {half, 0, false, nil, v1alpha1.ReasonCorruptImage, 1},
		"some of it comes":                               {half, settle, false, body[:len(body)-4096], v1alpha1.ReasonChanging, 2},
		"some of it comes, of which nothing was there":   {nil, settle, false, half, v1alpha1.ReasonChanging, 2},
		"all of it comes":                                {half, settle, false, body, "", 2},
		"all of it comes, of which 100 bytes were there": {body[:100], settle, false, body, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, to, scanner := newShelf(t).file("a.sif", tc.content).image("b.sif"), newSink(), newScanner(t)
			scanner.Settle, scanner.Now = tc.settle, func() time.Time { return now }
			written := now
			if tc.old {
				written = long
			}
			if err := os.Chtimes(s.path("a.sif"), written, written); err != nil {
				t.Fatal(err)
			}
			turns := 0
			to.onBegin = func(path string) {
				if path != "a.sif" {
					return
				}
				if turns++; turns == 2 && tc.then != nil {
					s.file("a.sif", tc.then)
				}
			}
			if _, err := run(t, s, scanner, nil, to); err != nil {
				t.Fatal(err)
			}
			if got := to.reasons(); got["a.sif"] != tc.want || got["b.sif"] != "" || turns != tc.turns {
				t.Errorf("reasons %q after %d turns, want %q after %d", got, turns, tc.want, tc.turns)
			}
		})
	}
}

func TestEveryTargetHasAnOutcomeWhateverItIs(t *testing.T) {
	s := newShelf(t).image("good.sif").truncated("cut.sif").file("text.sif", []byte("hello")).file("empty.sif", nil)
	if err := errors.Join(
		syscall.Mkfifo(s.path("fifo.sif"), 0o644),
		os.Symlink("/proc/self/environ", s.path("environ.sif")),
	); err != nil {
		t.Fatal(err)
	}
	to := newSink()
	verdict, err := run(t, s, newScanner(t), nil, to)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"good.sif":    "",
		"cut.sif":     v1alpha1.ReasonCorruptImage,
		"text.sif":    v1alpha1.ReasonUnsupported,
		"empty.sif":   v1alpha1.ReasonCorruptImage,
		"fifo.sif":    v1alpha1.ReasonUnsupported,
		"environ.sif": v1alpha1.ReasonUnsupported,
	}
	if diff := cmp.Diff(want, to.reasons()); diff != "" {
		t.Error(diff)
	}
	if verdict.Total() != len(want) || to.total != len(want) || !to.finished {
		t.Errorf("total %d, listed %d, finished %v; want %d, %d, true", verdict.Total(), to.total, to.finished, len(want), len(want))
	}
	good := to.results["good.sif"].Report
	if good.Target.Path != "/shared/good.sif" || good.Summary == nil || good.Summary.Packages != 3 || good.OS == nil || good.OS.Family != "alpine" {
		t.Errorf("the good image's report is %+v", good)
	}
	if good.Summary.Critical != nil || good.Summary.NotAssessed != 3 {
		t.Error("nothing was matched: severities must be absent and every package not assessed")
	}
	if to.results["cut.sif"].Identity != "" || to.results["good.sif"].Identity == "" {
		t.Error("only what was read well has an identity")
	}
}

func TestAnImageThatTheClusterKnowsIsNotOpened(t *testing.T) {
	s := newShelf(t).image("a.sif").image("b.sif")
	first := newSink()
	if _, err := run(t, s, newScanner(t), nil, first); err != nil {
		t.Fatal(err)
	}
	name := report.Subject{ClaimUID: "claim", Path: "sub/a.sif", Engine: native.Name, ScanTypes: []string{"pkg"}}.Name()
	known := &handover.Knowledge{
		Volumes: []handover.KnownVolume{{ClaimUID: "claim", SubPath: "sub"}},
		Reports: map[string]string{name: first.results["a.sif"].Identity},
	}
	second := newSink()
	verdict, err := run(t, s, newScanner(t), known, second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b.sif"}, second.begun); diff != "" {
		t.Errorf("opened: %s", diff)
	}
	if second.notes["a.sif"] != v1alpha1.EntryUnchanged || second.reports["a.sif"] != name {
		t.Errorf("a.sif is noted as %q with report %q", second.notes["a.sif"], second.reports["a.sif"])
	}
	if verdict.Counts[v1alpha1.EntryUnchanged] != 1 || verdict.Counts[v1alpha1.EntryScanned] != 1 {
		t.Errorf("counts %v", verdict.Counts)
	}
}

func TestChangedContentFormatsOrEngineOpenAnImageAgain(t *testing.T) {
	for name, change := range map[string]func(*shelf, *scan.Scanner){
		"content": func(s *shelf, _ *scan.Scanner) { s.image("a.sif") }, // written anew: same size, another ctime
		"formats": func(_ *shelf, sc *scan.Scanner) { sc.Formats = append(sc.Formats, engine.FormatCycloneDX) },
		"engine":  func(_ *shelf, sc *scan.Scanner) { sc.EngineVersion = "next" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t).image("a.sif")
			first, scanner := newSink(), newScanner(t)
			if _, err := run(t, s, scanner, nil, first); err != nil {
				t.Fatal(err)
			}
			change(s, scanner)
			report := report.Subject{Path: "a.sif", Engine: native.Name, ScanTypes: []string{"pkg"}}.Name()
			second := newSink()
			if _, err := run(t, s, scanner, &handover.Knowledge{Reports: map[string]string{report: first.results["a.sif"].Identity}}, second); err != nil {
				t.Fatal(err)
			}
			if len(second.begun) != 1 {
				t.Error("the image was not opened again")
			}
		})
	}
}

func TestATargetOfAnEarlierPodIsCountedAndNotScannedAgain(t *testing.T) {
	s := newShelf(t).image("a.sif").image("b.sif")
	to := newSink()
	verdict, err := run(t, s, newScanner(t), &handover.Knowledge{
		Entries: map[string]handover.KnownEntry{"a.sif": {Path: "a.sif", Outcome: v1alpha1.EntryFailed}},
	}, to)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b.sif"}, to.begun); diff != "" {
		t.Error(diff)
	}
	if verdict.Total() != 2 || verdict.Counts[v1alpha1.EntryFailed] != 1 {
		t.Errorf("counts %v", verdict.Counts)
	}
}

func TestAnImageThatKilledAScannerComesLastAndFailsAloneAfterTwoDeaths(t *testing.T) {
	s := newShelf(t).image("a.sif").image("b.sif").image("c.sif")
	to := newSink()
	to.onBegin = func(path string) {
		if to.results["a.sif"] == nil {
			t.Errorf("%s is opened before it is told of the image that is given up: its own death would be that one's reason", path)
		}
	}
	_, err := run(t, s, newScanner(t), &handover.Knowledge{
		Attempts: map[string]int32{"a.sif": 2, "b.sif": 1},
		Death:    "OOMKilled: raise spec.resources.limits.memory",
	}, to)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c.sif", "b.sif"}, to.begun); diff != "" {
		t.Errorf("opened: %s", diff)
	}
	poison := to.results["a.sif"]
	if poison.Report.Outcome.Reason != v1alpha1.ReasonOOMKilled || !strings.Contains(poison.Report.Outcome.Message, "raise spec.resources.limits.memory") {
		t.Errorf("the poison image's outcome is %+v", poison.Report.Outcome)
	}
	if poison.Outcome != v1alpha1.EntryFailed {
		t.Errorf("outcome %q", poison.Outcome)
	}
}

func TestFivePoisonImagesFailAndTheRestIsScanned(t *testing.T) {
	s := newShelf(t)
	for _, name := range []string{"a.sif", "b.sif", "c.sif", "d.sif", "e.sif", "f.sif", "g.sif", "h.sif"} {
		s.image(name)
	}
	poison := "abdgh"
	known := &handover.Knowledge{Entries: map[string]handover.KnownEntry{}, Attempts: map[string]int32{}, Death: "OOMKilled: raise it"}
	root, err := volume.OpenRoot(s.dir, "/shared")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	reasons := map[string]string{}
	deaths := 0
	for ended := false; !ended && deaths < 100; {
		to := newSink()
		ctx, kill := context.WithCancel(t.Context())
		to.onBegin = func(path string) {
			if strings.Contains(poison, path[:1]) {
				known.Attempts[path]++ // as its reporter counts
				deaths++
				kill()
			}
		}
		_, err := newScanner(t).Volume(ctx, root, volume.Spec{}, known, to)
		kill()
		for path, reason := range to.reasons() {
			known.Entries[path] = handover.KnownEntry{Path: path, Outcome: to.results[path].Outcome}
			reasons[path] = reason
		}
		ended = err == nil
	}
	want := map[string]string{"c.sif": "", "e.sif": "", "f.sif": ""}
	for _, c := range poison {
		want[string(c)+".sif"] = v1alpha1.ReasonOOMKilled
	}
	if diff := cmp.Diff(want, reasons); diff != "" || deaths != v1alpha1.MaxDeaths*len(poison) {
		t.Errorf("%d deaths (-want +got)\n%s", deaths, diff)
	}
}

func TestNoTargetsIsSaidAndStored(t *testing.T) {
	to := newSink()
	verdict, err := run(t, newShelf(t).file("readme.txt", []byte("x")), newScanner(t), nil, to)
	if err != nil {
		t.Fatal(err)
	}
	if verdict.Reason != v1alpha1.ReasonNoTargets || verdict.Message == "" || !to.finished || to.total != 0 {
		t.Errorf("verdict %+v, finished %v, total %d", verdict, to.finished, to.total)
	}
}

func TestTheEndOfTheRunIsNoFailureOfTheImageInHand(t *testing.T) {
	s := newShelf(t).image("a.sif").image("b.sif")
	root, err := volume.OpenRoot(s.dir, "/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := errors.New("evicted")
	to := newSink()
	to.onBegin = func(string) { cancel(ended) }
	_, err = newScanner(t).Volume(ctx, root, volume.Spec{}, nil, to)
	if !errors.Is(err, ended) {
		t.Errorf("got %v, want the cause of the end", err)
	}
	if len(to.results) != 0 || to.finished {
		t.Errorf("results %v were delivered after the end", to.reasons())
	}
	if diff := cmp.Diff([]string{"a.sif"}, to.begun); diff != "" {
		t.Errorf("begun after the end: %s", diff)
	}
	if got := <-to.released; got != "a.sif" {
		t.Errorf("released %q: it would count as a death", got)
	}
}

// hanging is an engine whose read comes back only when it is let go.
type hanging struct{ began, letGo chan struct{} }

func (hanging) Name() string { return "native" }
func (h hanging) Scan(context.Context, engine.Target) (*engine.Result, error) {
	close(h.began)
	<-h.letGo
	return nil, errors.New("let go")
}

func TestARunThatIsToldToEndReleasesItsImageAlsoWhereTheReadHangs(t *testing.T) {
	root, err := volume.OpenRoot(newShelf(t).image("a.sif").dir, "/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx, cancel := context.WithCancel(t.Context())
	h, to, scanner := hanging{make(chan struct{}), make(chan struct{})}, newSink(), newScanner(t)
	scanner.Engine = h
	ended := make(chan error, 1)
	go func() {
		_, err := scanner.Volume(ctx, root, volume.Spec{}, nil, to)
		ended <- err
	}()
	<-h.began
	cancel()
	if got := <-to.released; got != "a.sif" {
		t.Errorf("released %q", got)
	}
	close(h.letGo)
	if err := <-ended; !errors.Is(err, context.Canceled) || len(to.results) > 0 {
		t.Errorf("got %v, results %v", err, to.reasons())
	}
}

// touched is an engine that somebody writes the image under.
type touched struct {
	engine.Engine
	path string
}

func (e touched) Scan(ctx context.Context, t engine.Target) (*engine.Result, error) {
	if strings.HasSuffix(t.DisplayName, filepath.Base(e.path)) {
		if err := os.Chtimes(e.path, time.Now(), time.Now()); err != nil {
			return nil, err
		}
	}
	return e.Engine.Scan(ctx, t)
}

func TestAnImageThatWaitsForItsSecondTurnIsNotInHand(t *testing.T) {
	s, to, scanner := newShelf(t).image("a.sif").image("b.sif"), newSink(), newScanner(t)
	scanner.Engine = touched{scanner.Engine, s.path("a.sif")}
	var released []string
	to.onBegin = func(path string) {
		if path == "b.sif" {
			released = append(released, <-to.released)
		}
	}
	if _, err := run(t, s, scanner, nil, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a.sif", "b.sif", "a.sif"}, to.begun); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a.sif"}, released); diff != "" {
		t.Errorf("before the next was begun: %s", diff)
	}
}

func TestAnImageHasItsTime(t *testing.T) {
	s := newShelf(t).image("a.sif")
	scanner := newScanner(t)
	scanner.Timeout = time.Nanosecond
	to := newSink()
	if _, err := run(t, s, scanner, nil, to); err != nil {
		t.Fatal(err)
	}
	o := to.results["a.sif"].Report.Outcome
	if o.Reason != v1alpha1.ReasonDeadlineExceeded || !strings.Contains(o.Message, "spec.scanner.timeout") {
		t.Errorf("outcome %+v", o)
	}
}

// panicking is an engine with a defect.
type panicking struct{}

func (panicking) Name() string { return "native" }
func (panicking) Scan(context.Context, engine.Target) (*engine.Result, error) {
	panic("index out of range")
}

func TestAPanicFailsItsImageAlone(t *testing.T) {
	s := newShelf(t).image("a.sif").truncated("b.sif")
	scanner := newScanner(t)
	scanner.Engine = panicking{}
	to := newSink()
	if _, err := run(t, s, scanner, nil, to); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a.sif": v1alpha1.ReasonEngineFailed, "b.sif": v1alpha1.ReasonCorruptImage}
	if diff := cmp.Diff(want, to.reasons()); diff != "" {
		t.Error(diff)
	}
}

func TestFoldersAreCompleteAndTakeTheOldOnesPlace(t *testing.T) {
	s, out := newShelf(t).image("a b\n.sif"), t.TempDir()
	if err := os.Mkdir(filepath.Join(out, ".tmp-left"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		to, err := scan.NewFolderSink(out, &strings.Builder{})
		if err != nil {
			t.Fatal(err)
		}
		root, err := volume.OpenRoot(s.dir, "/shared")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newScanner(t).Volume(context.Background(), root, volume.Spec{}, nil, to); err != nil {
			t.Fatal(err)
		}
		root.Close()
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Fatalf("found %v, want one folder", entries)
	}
	name := entries[0].Name()
	if name != scan.FolderName(`/shared/a b\x0a.sif`) || strings.ContainsAny(name, " \n\\") {
		t.Errorf("the folder is called %q", name)
	}
	body, err := os.ReadFile(filepath.Join(out, name, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got v1alpha1.ScanReport
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Kind != "ScanReport" || got.Report.Target.Path != `/shared/a b\x0a.sif` || got.Report.Summary.Packages != 3 {
		t.Errorf("report.json holds %+v", got)
	}
	if _, err := os.Stat(filepath.Join(out, name, "sbom.spdx.json")); err != nil {
		t.Error(err)
	}
}
