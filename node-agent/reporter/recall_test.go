// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/reporter/tree"
)

const (
	listed   = `{"packages": []}`
	identity = "1:2:3:4:settings:native-1:before"
	userPath = "/vol/sub/a.sif"
)

// archive is a reporter with one image's inventory on its shelf, and the report that names it.
type archive struct {
	*Reporter
	report         *v1alpha1.ScanReport
	file           string // of the inventory
	results, state string
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{results: t.TempDir(), state: t.TempDir()}
	v := &Volume{Dir: t.TempDir(), ClaimUID: "reports"}
	o := Options{
		Namespace: "hpc", Claims: []Claim{{Name: "shared", UID: "u1"}}, Engine: "native", ScanTypes: []string{"pkg"},
		Artifacts: v1alpha1.ArtifactsVolume, Volume: v, Rescan: v1alpha1.RescanWhenChanged,
	}
	o.setDefaults()
	hand, err := handover.OpenReporter(a.results, a.state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hand.Close() })
	a.Reporter = &Reporter{opts: o, hand: hand, log: logr.Discard(), inventory: newInventory(o), shelf: newShelf(v, "w")}
	name := report.Subject{ClaimUID: "u1", Path: "sub/a.sif", Engine: "native", ScanTypes: []string{"pkg"}}.Name()
	place := tree.PlaceOf("shared", "sub/a.sif", name)
	var kept v1alpha1.Artifact
	err = a.shelf.tree.Put(place, func(f *tree.Folder) (err error) {
		kept, err = putFile(f.File, a.shelf.tree.VolumePath(place, engine.InventoryFile), "application/json", func(w io.Writer) error {
			_, err := io.WriteString(w, listed)
			return err
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(v.Dir, kept.VolumePath)
	a.report = &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: name, Annotations: map[string]string{
			v1alpha1.AnnotationIdentity: identity, v1alpha1.AnnotationOutcome: v1alpha1.OutcomeScanned, v1alpha1.AnnotationStore: o.store(),
		}},
		Report: v1alpha1.Report{
			Target: v1alpha1.ReportTarget{Kind: "sif", Path: userPath, Architecture: "amd64"}, Image: &v1alpha1.ReportImage{Format: "sif"},
			Artifacts: []v1alpha1.Artifact{{Name: handover.ReportFile}, kept},
		},
	}
	a.known = map[string]knownReport{name: {}}
	return a
}

// ask is a scanner's question about the image, and what it is answered.
func (a *archive) ask(t *testing.T, e handover.Event) (*handover.Recalled, error) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme)
	if a.report != nil {
		b = b.WithObjects(a.report)
	}
	a.api = b.Build()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- a.hand.Follow(ctx, a.handler(ctx), func() error { return nil }) }()
	hand, err := handover.OpenScanner(a.results, a.state)
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close()
	got, asked := hand.Recall(ctx, e)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return got, asked
}

func TestTheInventoryOfAnUnchangedImageIsGivenBack(t *testing.T) {
	a := newArchive(t)
	got, err := a.ask(t, handover.Event{Path: "sub/a.sif", Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Inventory) != listed || got.Architecture != "amd64" || got.Image == nil || got.Image.Format != "sif" {
		t.Errorf("it is %+v with %s", got, got.Inventory)
	}
	have, err := a.stored(t.Context(), &v1alpha1.ScanReport{ObjectMeta: a.report.ObjectMeta, Report: v1alpha1.Report{Target: a.report.Report.Target}})
	if err != nil || have == nil || have.Annotations[v1alpha1.AnnotationIdentity] != identity || a.last != nil {
		t.Errorf("what it replaces is %+v, %v", have, err)
	}
}

func TestAnInventoryIsGivenBackOnlyOfTheScanThatIsMeantAndAsItWasWritten(t *testing.T) {
	asked := handover.Event{Path: "sub/a.sif", Identity: identity}
	inventory := func(a *archive) *v1alpha1.Artifact { return &a.report.Report.Artifacts[1] }
	for name, c := range map[string]struct {
		change func(a *archive) error
		event  handover.Event
		why    string
	}{
		"documents are in ConfigMaps": {func(a *archive) error { a.shelf = nil; return nil }, asked, "reads none"},
		"everything is to be opened":  {func(a *archive) error { a.opts.Rescan = v1alpha1.RescanAlways; return nil }, asked, "reads none"},
		"the report was not known":    {func(a *archive) error { a.known = nil; return nil }, asked, "not known"},
		"the report is gone":          {func(a *archive) error { a.report = nil; return nil }, asked, "gone"},
		"a volume that there is not":  {nil, handover.Event{Path: "sub/a.sif", Volume: 7, Identity: identity}, "volume 7"},
		"another scan is meant":       {nil, handover.Event{Path: "sub/a.sif", Identity: "1:2:3:5:settings:native-1:before"}, "another scan"},
		"no scan is meant": {
			func(a *archive) error { a.report.Annotations[v1alpha1.AnnotationIdentity] = ""; return nil }, handover.Event{Path: "sub/a.sif"}, "another scan",
		},
		"the last scan failed": {
			func(a *archive) error {
				a.report.Annotations[v1alpha1.AnnotationOutcome] = v1alpha1.ReasonOOMKilled
				return nil
			}, asked, "another scan",
		},
		"its documents are elsewhere": {
			func(a *archive) error { a.report.Annotations[v1alpha1.AnnotationStore] = "Volume:other"; return nil }, asked, "another scan",
		},
		"no inventory was kept":        {func(a *archive) error { inventory(a).Name = "sbom.spdx.json"; return nil }, asked, "names no inventory.json"},
		"the inventory is another's":   {func(a *archive) error { inventory(a).VolumePath = "shared/b.sif@sr-1/inventory.json"; return nil }, asked, "names no inventory.json"},
		"the inventory is too large":   {func(a *archive) error { inventory(a).SizeBytes = engine.MaxInventory + 1; return nil }, asked, "that are read"},
		"the inventory has a size < 0": {func(a *archive) error { inventory(a).SizeBytes = -1; return nil }, asked, "that are read"},
		"the file has grown":           {func(a *archive) error { return os.WriteFile(a.file, []byte(listed+" "), 0o640) }, asked, "that are read"},
		"the file was changed":         {func(a *archive) error { return os.WriteFile(a.file, []byte(strings.ToUpper(listed)), 0o640) }, asked, "somebody changed it"},
		"the file was cut":             {func(a *archive) error { return os.Truncate(a.file, 3) }, asked, "somebody changed it"},
		"the file is gone":             {func(a *archive) error { return os.Remove(a.file) }, asked, "no such file"},
		"a link is in the file's place": {func(a *archive) error {
			return errors.Join(os.Rename(a.file, a.file+"1"), os.Symlink(a.file+"1", a.file))
		}, asked, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive(t)
			if c.change != nil {
				if err := c.change(a); err != nil {
					t.Fatal(err)
				}
			}
			got, err := a.ask(t, c.event)
			if !errors.Is(err, handover.ErrNotKept) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("given back: %+v, %v", got, err)
			}
		})
	}
}

func TestTheScannerIsToldWhetherItMayAsk(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a *archive)
		want   bool
	}{
		"documents are on a volume":   {func(*archive) {}, true},
		"documents are in ConfigMaps": {func(a *archive) { a.shelf = nil }, false},
		"everything is to be opened":  {func(a *archive) { a.opts.Rescan = v1alpha1.RescanAlways }, false},
	} {
		a := newArchive(t)
		c.change(a)
		told := false
		if err := a.tellKnown(func(k handover.Known) error { told = told || k.Recalls; return nil }); err != nil || told != c.want {
			t.Errorf("%s: told %v, %v", name, told, err)
		}
	}
}

func TestAQuestionWithoutANumberIsNone(t *testing.T) {
	a := newArchive(t)
	if err := a.recall(t.Context(), handover.Event{Type: handover.EventRecall, Path: "sub/a.sif", Identity: identity}); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.hand.Answered(""); ok {
		t.Error("the answer passes for one on every entry that has no folder")
	}
}
