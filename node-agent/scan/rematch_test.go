// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/reporter"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
	"github.com/sifscan/sifscan-operator/test/opens"
)

// clock of all scans: what differs between two of them is then no time.
var clock = time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC)

// advisories are two databases that one night lies between.
var advisories = map[string]map[string]string{
	"yesterday": {"musl": "AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"},
	"today":     {"musl": "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "busybox": "AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"},
	"tomorrow":  {"musl": "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "busybox": "AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N", "in-no-image": "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
}

// matching is a scanner with a database, of all documents.
func matching(t *testing.T, day string) *scan.Scanner {
	t.Helper()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "osv.db")
	for name, vector := range advisories[day] {
		record := fmt.Sprintf(`{"id":"TEST-%s","modified":"2026-11-20T00:00:00Z","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/%s"}],
			"affected":[{"package":{"ecosystem":"Alpine:v3.19","name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`, name, vector, name)
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := osvdb.Build(t.Context(), out, osvdb.Source{From: dir, Now: clock}); err != nil {
		t.Fatal(err)
	}
	db, err := osvdb.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	e, err := native.New()
	if err != nil {
		t.Fatal(err)
	}
	return &scan.Scanner{
		Engine: e.WithDatabase(db), EngineVersion: native.Version, Database: db.Info().Digest,
		Types:   []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight, engine.ScanSecrets},
		Formats: []engine.Format{engine.FormatJSON, engine.FormatSPDX, engine.FormatCycloneDX}, Reports: report.Formats,
		Now: func() time.Time { return clock }, Log: logr.Discard(),
	}
}

// cluster is an API and a volume for documents, which last longer than a pod.
type cluster struct {
	t         *testing.T
	api       client.Client
	documents string
	runs      int
	// options and known change what the next runs are told.
	options func(*reporter.Options)
	known   func(*handover.Knowledge)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), metav1.AddMetaToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return &cluster{
		t: t, api: fake.NewClientBuilder().WithScheme(scheme).Build(), documents: t.TempDir(),
		options: func(*reporter.Options) {}, known: func(*handover.Knowledge) {},
	}
}

// night is a run of both halves of a scan pod over the shelf. It returns how often an image was opened.
func (c *cluster) night(s *shelf, scanner *scan.Scanner) (opened int, verdict scan.Verdict) {
	t := c.t
	t.Helper()
	c.runs++
	run := fmt.Sprintf("run-%d", c.runs)
	o := reporter.Options{
		Namespace: "hpc", ScanName: "nightly", ScanUID: "uid", Run: run, Job: "nightly-" + run, Claims: []reporter.Claim{{Name: "shared", UID: "claim"}},
		Engine: native.Name, ScanTypes: scanner.ScanTypes(), Artifacts: v1alpha1.ArtifactsVolume, MaxFindings: 20,
		Volume: &reporter.Volume{Dir: c.documents, ClaimUID: "documents"}, Rescan: v1alpha1.RescanWhenChanged, Now: scanner.Now,
	}
	c.options(&o)
	results, state := t.TempDir(), t.TempDir()
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	reported := make(chan error, 1)
	go func() { reported <- reporter.Run(ctx, c.api, results, state, o, logr.Discard()) }()
	hand, err := handover.OpenScanner(results, state)
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close()
	known, err := hand.Known(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c.known(known)
	root, err := volume.OpenRoot(s.dir, "/shared")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	count, err := opens.Watch(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	verdict, err = scanner.Volume(ctx, root, volume.Spec{}, known, &scan.HandoverSink{Hand: hand, Dir: results, StoreTimeout: time.Minute, Log: logr.Discard()})
	opened, stopped := count.Stop()
	end()
	if err := errors.Join(err, stopped, <-reported); err != nil {
		t.Fatal(err)
	}
	return opened, verdict
}

// kept is everything that the cluster keeps, but for what no two scans have in common: how much was read of an image, and
// what follows from it.
func (c *cluster) kept() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	for _, r := range c.reports() {
		r.ResourceVersion = ""
		delete(r.Annotations, v1alpha1.AnnotationRun)
		all["ScanReport "+r.Name] = asText(c.t, &r)
	}
	err := filepath.WalkDir(c.documents, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && d.Name() == handover.ReportFile {
			var r *v1alpha1.ScanReport
			if r, err = report.Read(bytes.NewReader(text)); err == nil {
				delete(r.Annotations, v1alpha1.AnnotationRun)
				text = []byte(asText(c.t, r))
			}
		}
		all[strings.TrimPrefix(path, c.documents)] = string(text)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// asText is a report without what its scan read.
func asText(t *testing.T, r *v1alpha1.ScanReport) string {
	t.Helper()
	r.Report.Scanner.BytesRead = 0
	for i := range r.Report.Artifacts {
		if a := &r.Report.Artifacts[i]; a.Name == handover.ReportFile {
			if document := r.Annotations[v1alpha1.AnnotationDocument]; document != "" && !strings.HasPrefix(document, a.SHA256+"/") {
				t.Errorf("%s is annotated as %s", a.SHA256, document)
			}
			delete(r.Annotations, v1alpha1.AnnotationDocument)
			a.SHA256, a.SizeBytes = "", 0
		}
	}
	var b strings.Builder
	if err := report.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (c *cluster) reports() []v1alpha1.ScanReport {
	c.t.Helper()
	var all v1alpha1.ScanReportList
	if err := c.api.List(c.t.Context(), &all); err != nil {
		c.t.Fatal(err)
	}
	return all.Items
}

// found is what the reports say of vulnerabilities: of each image, its severities.
func (c *cluster) found() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	for _, r := range c.reports() {
		all[r.Report.Target.Path] = r.Annotations[v1alpha1.AnnotationCounts]
	}
	return all
}

func TestAnImageOfWhichOnlyTheDatabaseIsAnotherIsMatchedAgainAndNotOpened(t *testing.T) {
	s := newShelf(t).image("a.sif").image("sub/b.sif")
	yesterday, today := matching(t, "yesterday"), matching(t, "today")
	again, opening := newCluster(t), newCluster(t)
	for _, c := range []*cluster{again, opening} {
		if opened, _ := c.night(s, yesterday); opened == 0 {
			t.Fatal("nobody opens an image, or nobody counts it")
		}
	}
	if diff := cmp.Diff(map[string]string{"/shared/a.sif": "0/1/0/0/0", "/shared/sub/b.sif": "0/1/0/0/0"}, again.found()); diff != "" {
		t.Fatal(diff)
	}

	opening.options = func(o *reporter.Options) { o.Rescan = v1alpha1.RescanAlways }
	if opened, _ := opening.night(s, today); opened == 0 {
		t.Error("rescan: Always opened nothing")
	}
	opened, verdict := again.night(s, today)
	if opened != 0 || verdict.Counts[v1alpha1.EntryScanned] != 2 || verdict.Total() != 2 {
		t.Errorf("opened %d times, verdict %+v", opened, verdict)
	}
	if diff := cmp.Diff(map[string]string{"/shared/a.sif": "1/0/1/0/0", "/shared/sub/b.sif": "1/0/1/0/0"}, again.found()); diff != "" {
		t.Error(diff)
	}
	kept := again.kept()
	if len(kept) != 2+2*6 {
		t.Errorf("%d things are kept", len(kept))
	}
	if diff := cmp.Diff(opening.kept(), kept); diff != "" {
		t.Errorf("(-opened +matched again):\n%s", diff)
	}

	opened, verdict = again.night(s, today)
	if opened != 0 || verdict.Counts[v1alpha1.EntryUnchanged] != 2 {
		t.Errorf("the night after: opened %d times, verdict %+v", opened, verdict)
	}
}

func TestAnImageOfWhichAnotherSIFScanMadeMoreDocumentsIsNotOpened(t *testing.T) {
	s, cluster := newShelf(t).image("a.sif"), newCluster(t)
	more, less, other := matching(t, "today"), matching(t, "today"), matching(t, "today")
	more.Reports = []report.Format{report.SARIF}
	less.Formats, less.Reports = []engine.Format{engine.FormatSPDX}, nil
	other.Formats, other.Reports = []engine.Format{engine.FormatSPDX}, []report.Format{report.Table}
	for _, night := range []struct {
		of     string
		by     *scan.Scanner
		opened bool
		files  int // report.json is always there
	}{
		{"the first that asks", less, true, 2},
		{"one that asks for more", more, true, 5},
		{"the first again", less, false, 5},
		{"the second again", more, false, 5},
		{"one that asks for another document", other, true, 3},
		{"the second, of whose documents some are gone", more, true, 5},
	} {
		opened, verdict := cluster.night(s, night.by)
		if (opened > 0) != night.opened || verdict.Total() != 1 {
			t.Errorf("%s: opened %d times, verdict %+v", night.of, opened, verdict)
		}
		if files := cluster.files(); len(files) != night.files {
			t.Errorf("%s: %d documents are there, want %d", night.of, len(files), night.files)
		}
	}
}

func TestAnImageIsOpenedWhereItsPackageListIsNotToBeHadOrNotEnough(t *testing.T) {
	for name, c := range map[string]struct {
		before, after func(*cluster, *shelf, *scan.Scanner)
		why           string // in the log; empty: the image is not even compared
	}{
		"rescan: Always": {after: func(c *cluster, _ *shelf, _ *scan.Scanner) {
			c.options = func(o *reporter.Options) { o.Rescan = v1alpha1.RescanAlways }
		}},
		"documents are in ConfigMaps": {before: func(c *cluster, _ *shelf, _ *scan.Scanner) {
			c.options = func(o *reporter.Options) { o.Artifacts, o.Volume = v1alpha1.ArtifactsConfigMap, nil }
		}, why: "spec.reports.volume"},
		"no inventory is made": {before: func(_ *cluster, _ *shelf, sc *scan.Scanner) {
			sc.Formats = []engine.Format{engine.FormatSPDX}
		}, why: "spec.scanner.formats"},
		"other documents are asked for": {after: func(_ *cluster, _ *shelf, sc *scan.Scanner) {
			sc.Formats = []engine.Format{engine.FormatJSON}
		}},
		"other directories are left out": {after: func(_ *cluster, _ *shelf, sc *scan.Scanner) { sc.ExcludeDirs = []string{"opt"} }},
		"another engine":                 {after: func(_ *cluster, _ *shelf, sc *scan.Scanner) { sc.EngineVersion = "next" }},
		"the image was written anew":     {after: func(_ *cluster, s *shelf, _ *scan.Scanner) { s.image("a.sif") }},
		"the inventory is gone": {after: func(c *cluster, _ *shelf, _ *scan.Scanner) {
			c.inventory(os.Remove)
		}, why: "no such file"},
		"the inventory was changed": {after: func(c *cluster, _ *shelf, _ *scan.Scanner) {
			c.inventory(func(path string) error { return os.WriteFile(path, []byte("{}"), 0o640) })
		}, why: "somebody changed it"},
		"the inventory is no inventory, and its report agrees": {after: func(c *cluster, _ *shelf, _ *scan.Scanner) {
			c.forge(`{"packages": []}`)
		}, why: "another kind of scan"},
		"the inventory is of another version, and its report agrees": {after: func(c *cluster, _ *shelf, _ *scan.Scanner) {
			c.inventory(func(path string) error {
				text, err := os.ReadFile(path)
				c.forge(strings.Replace(string(text), native.Version, native.Version+"1", 1))
				return err
			})
		}, why: "another kind of scan"},
		"a scanner died of it": {after: func(c *cluster, _ *shelf, _ *scan.Scanner) {
			c.known = func(k *handover.Knowledge) { k.Attempts["a.sif"] = 1 }
		}, why: "died"},
	} {
		t.Run(name, func(t *testing.T) {
			s, cluster := newShelf(t).image("a.sif"), newCluster(t)
			yesterday, today := matching(t, "yesterday"), matching(t, "today")
			if c.before != nil {
				c.before(cluster, s, yesterday)
				c.before(cluster, s, today)
			}
			cluster.night(s, yesterday)
			if c.after != nil {
				c.after(cluster, s, today)
			}
			var log strings.Builder
			today.Log = funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{})
			opened, verdict := cluster.night(s, today)
			if opened == 0 || verdict.Counts[v1alpha1.EntryScanned] != 1 {
				t.Errorf("opened %d times, verdict %+v", opened, verdict)
			}
			if diff := cmp.Diff(map[string]string{"/shared/a.sif": "1/0/1/0/0"}, cluster.found()); diff != "" {
				t.Error(diff)
			}
			if told := strings.Contains(log.String(), "opened nevertheless"); told != (c.why != "") || !strings.Contains(log.String(), c.why) {
				t.Errorf("the log does not tell %q: %s", c.why, log.String())
			}
		})
	}
}

// files are those of the only image on the volume for documents, each of which its ScanReport must name with the right digest.
func (c *cluster) files() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	for _, a := range c.reports()[0].Report.Artifacts {
		text, err := os.ReadFile(filepath.Join(c.documents, a.VolumePath))
		if err != nil {
			c.t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != a.SHA256 || int64(len(text)) != a.SizeBytes {
			c.t.Errorf("%s is not what the ScanReport says", a.Name)
		}
		all[a.Name] = string(text)
	}
	return all
}

// stayed names the files that are the same in both.
func stayed(before, after map[string]string) (names []string) {
	for name := range before {
		if before[name] == after[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// later is the scanner an hour later.
func later(s *scan.Scanner) *scan.Scanner {
	at := s.Now().Add(time.Hour)
	s.Now = func() time.Time { return at }
	return s
}

func TestDocumentsThatWouldSayTheSameStayAsTheyAre(t *testing.T) {
	s, c := newShelf(t).image("a.sif"), newCluster(t)
	night := func(scanner *scan.Scanner, verdict string) map[string]string {
		t.Helper()
		opened, _ := c.night(s, scanner)
		if (opened > 0) != (verdict == "opened") {
			t.Errorf("opened %d times", opened)
		}
		if len(c.reports()[0].Report.Artifacts) != 6 {
			t.Errorf("kept: %+v", c.reports()[0].Report.Artifacts)
		}
		return c.files()
	}
	first := night(matching(t, "yesterday"), "opened")
	second := night(later(matching(t, "today")), "closed")
	if diff := cmp.Diff([]string{engine.SPDXFile}, stayed(first, second)); diff != "" {
		t.Errorf("with other findings (-want +got):\n%s", diff)
	}
	tomorrow := later(later(matching(t, "tomorrow")))
	third := night(tomorrow, "closed")
	all := []string{engine.InventoryFile, report.TableFile, engine.SARIFFile, engine.CycloneDXFile, engine.SPDXFile}
	slices.Sort(all)
	if diff := cmp.Diff(all, stayed(second, third)); diff != "" {
		t.Errorf("with the same findings (-want +got):\n%s", diff)
	}
	if db := c.reports()[0].Report.Scanner.Database; db.Digest != tomorrow.Database || !strings.Contains(third[handover.ReportFile], tomorrow.Database) {
		t.Errorf("the reports name the database %s", db.Digest)
	}
	if diff := cmp.Diff(map[string]string{"/shared/a.sif": "1/0/1/0/0"}, c.found()); diff != "" {
		t.Error(diff)
	}
	if fourth := night(later(later(later(matching(t, "yesterday")))), "closed"); fourth[engine.SARIFFile] == third[engine.SARIFFile] {
		t.Error("what stayed once stays for ever")
	}
}

func TestADocumentThatIsNotTheOneTheReportNamesIsNotTakenOver(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		told   string
	}{
		"it is gone":   {os.Remove, ""},
		"it has grown": {func(path string) error { return os.WriteFile(path, []byte(strings.Repeat(" ", 1<<20)), 0o640) }, ""},
		"a link is in its place": {func(path string) error {
			return errors.Join(os.Rename(path, path+".1"), os.Symlink(path+".1", path))
		}, ""},
		"it says something else": {func(path string) error {
			text, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(text, []byte("musl"), []byte("muse"), 1), 0o640))
		}, "somebody changed it"},
	} {
		t.Run(name, func(t *testing.T) {
			s, cluster := newShelf(t).image("a.sif"), newCluster(t)
			cluster.night(s, matching(t, "yesterday"))
			spdx := filepath.Join(filepath.Dir(cluster.inventoryPath()), engine.SPDXFile)
			before, err := os.ReadFile(spdx)
			if err := errors.Join(err, c.change(spdx)); err != nil {
				t.Fatal(err)
			}
			if opened, _ := cluster.night(s, matching(t, "today")); opened != 0 {
				t.Errorf("opened %d times", opened)
			}
			if c.told == "" {
				if got := cluster.files()[engine.SPDXFile]; got != string(before) {
					t.Errorf("it was not made anew: %.200s", got)
				}
				return
			}
			if got, is := cluster.files()[engine.SPDXFile]; is {
				t.Errorf("it was taken over: %.200s", got)
			}
			r := cluster.reports()[0]
			if said := r.Report.Outcome.Message; !strings.Contains(said, c.told) || r.Annotations[v1alpha1.AnnotationNotKept] == "" {
				t.Errorf("the ScanReport says %q", said)
			}
			if opened, _ := cluster.night(s, matching(t, "today")); opened == 0 || cluster.files()[engine.SPDXFile] != string(before) {
				t.Error("the next night does not make it anew")
			}
		})
	}
}

// inventory does something with the only inventory on the volume for documents.
func (c *cluster) inventory(do func(path string) error) {
	c.t.Helper()
	if err := do(c.inventoryPath()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) inventoryPath() string {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.documents, "shared", "*", engine.InventoryFile))
	if err != nil || len(files) != 1 {
		c.t.Fatalf("inventories: %v, %v", files, err)
	}
	return files[0]
}

// forge replaces the only inventory, and what its report says of it.
func (c *cluster) forge(text string) {
	c.t.Helper()
	c.inventory(func(path string) error { return os.WriteFile(path, []byte(text), 0o640) })
	r := c.reports()[0]
	for i := range r.Report.Artifacts {
		if a := &r.Report.Artifacts[i]; a.Name == engine.InventoryFile {
			sum := sha256.Sum256([]byte(text))
			a.SHA256, a.SizeBytes = hex.EncodeToString(sum[:]), int64(len(text))
		}
	}
	if err := c.api.Update(c.t.Context(), &r); err != nil {
		c.t.Fatal(err)
	}
}
