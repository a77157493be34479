// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
	"github.com/sifscan/sifscan-operator/test/faults"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// contents are what the images of a volume hold, by their numbers in the plan.
var contents = [faults.Contents]image{alpine, debian, "well.sif"}

// pathOf is the path of an image by its number.
func pathOf(image int) string { return fmt.Sprintf("%02d.sif", image) }

// field is where a plan is carried out.
type field struct {
	plan  faults.Plan
	tally faults.Tally
	// grounds by the number of their site in the plan.
	grounds []*ground
	// undisturbed are sites where nothing is broken, by the database, and undisturbedLive one for what runs.
	undisturbed     [databases]*site
	undisturbedLive *site
	// calm are the scans of these.
	calm []*v1alpha1.SIFScan
	// slurmd is the pod whose containers are what runs, and running how an undisturbed scan lists them.
	slurmd  *slurmd
	running []v1alpha1.ScanInventory
	// schedule, what it was asked for, and what it made.
	schedule *v1alpha1.ScanSchedule
	asked    []string
	made     map[types.UID]bool
	// shared is held by who breaks what every scan feels.
	shared sync.Mutex

	mu         sync.Mutex
	scans      []flown
	complaints []string
	// checks that were made, and how they went.
	checks []string
	// again counts images that only the database was another for, opened those of them that were opened nevertheless.
	again, opened int
	// takeovers counts operators that were killed or stopped, and found another at their work.
	takeovers int
}

// flown is a scan of the plan that was made.
type flown struct {
	planned faults.Scan
	scan    *v1alpha1.SIFScan
	// targets that it must count; nil where it must not.
	targets *v1alpha1.TargetCounts
}

// ground is a site of the plan.
type ground struct {
	*site
	volume faults.Volume
	// opened are the files of the volume that were opened since it was called last.
	opened func() map[string]bool
	// archive is the directory of the volume for documents; empty where they are in ConfigMaps.
	archive string
}

func newField(plan faults.Plan) *field {
	GinkgoHelper()
	f := &field{plan: plan, made: map[types.UID]bool{}, undisturbedLive: siteWithoutClaim()}
	for i := range f.undisturbed {
		f.undisturbed[i] = soundSite()
	}
	kinds := map[int]faults.Scan{}
	for _, s := range plan.Scans {
		kinds[s.Site] = s
	}
	for i := range plan.Sites {
		f.grounds = append(f.grounds, newGround(kinds[i]))
	}
	// As many containers as tell whether they are told apart. They run on while the disk is full.
	f.slurmd = newSlurmd(func(*fixtures.Tree) {}, map[string][]string{
		"ranks": execOf(liveImage(0), "--ranks=3", slurmCgroup("4711", "0")),
		"batch": execOf(liveImage(1), "--setuid", slurmCgroup("4712", "batch")),
	})
	for i := range faults.LiveImages { // as the plan does later
		Expect(touch(filepath.Join(f.slurmd.dir, liveImage(i)))).To(Succeed())
	}
	return f
}

// liveImage is the name of an image that runs, by its number.
func liveImage(image int) string {
	return [faults.LiveImages]string{"science.sif", "plain.sqsh"}[image]
}

// newGround makes the site of scans of a kind.
func newGround(kind faults.Scan) *ground {
	GinkgoHelper()
	switch {
	case kind.Doomed:
		s := newSite()
		for i := range faults.Images {
			s.image(alpine, pathOf(i))
		}
		return &ground{site: s}
	case kind.Live:
		return &ground{site: siteWithoutClaim()}
	}
	g := &ground{site: soundSite()}
	if kind.Archived {
		g.archive = g.reportsVolume(65532)
	}
	g.opened = watchNames(g.dir)
	return g
}

// soundSite is a site with every image and the databases.
func soundSite() *site {
	GinkgoHelper()
	s := newSite()
	for i := range faults.Images {
		s.image(contents[faults.FirstContent(i)], pathOf(i))
	}
	for i, database := range advisories() {
		s.file(string(database), databasePath(i))
	}
	return s
}

const databases = 2

func databasePath(database int) string { return fmt.Sprintf("osv-%d.db", database) }

// advisories are databases with vulnerabilities of most images: the second knows fewer.
var advisories = sync.OnceValue(func() (all [databases][]byte) {
	GinkgoHelper()
	records := map[string]string{"TEST-2026-0001": "bash", "TEST-2026-0002": "openssl"}
	for i := range all {
		all[i] = database(records)
		delete(records, "TEST-2026-0002")
	}
	return all
})

// database of vulnerabilities of Debian's packages, by the names of the records.
func database(packages map[string]string) []byte {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "sifscan-e2e-osv-")
	Expect(err).NotTo(HaveOccurred())
	defer os.RemoveAll(dir)
	for id, name := range packages {
		record, err := json.Marshal(map[string]any{
			"schema_version": "1.7.0", "id": id, "modified": time.Now().UTC().Format(time.RFC3339),
			"severity": []map[string]string{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}},
			"affected": []any{map[string]any{
				"package": map[string]string{"ecosystem": "Debian:12", "name": name},
				"ranges":  []any{map[string]any{"type": "ECOSYSTEM", "events": []map[string]string{{"introduced": "0"}}}},
			}},
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(dir, id+".json"), record, 0o644)).To(Succeed())
	}
	out := filepath.Join(dir, "osv.db")
	_, err = osvdb.Build(ctx, out, osvdb.Source{From: dir, Now: time.Now()})
	Expect(err).NotTo(HaveOccurred())
	content, err := os.ReadFile(out)
	Expect(err).NotTo(HaveOccurred())
	return content
}

// wanted is the SIFScan of a planned scan of a volume.
func (s *site) wanted(planned faults.Scan, name string) wrapper {
	w := s.scan().limit(corev1.ResourceCPU, nativeCPU)
	switch {
	case planned.Executed:
		w = s.executed(v1alpha1.EngineQscanner).limit(corev1.ResourceCPU, executedCPU)
		// Without the platform, whose part the API server plays here: an image whose platform is away for long fails.
		w.Spec.Scanner.Qscanner = &v1alpha1.QscannerEngine{Mode: v1alpha1.QscannerInventoryOnly}
	case !planned.Doomed:
		w.Spec.Scanner.Native = &v1alpha1.NativeEngine{Database: &v1alpha1.DatabaseSource{ClaimName: claimName, Path: databasePath(planned.Database)}}
	}
	if planned.Archived {
		w.reportsOn("")
	}
	w.Name = name
	w.Spec.Rescan = v1alpha1.RescanAlways
	if planned.WhenChanged {
		w.Spec.Rescan = v1alpha1.RescanWhenChanged
	}
	return w.workers(planned.Workers).ttl(0)
}

// wanted is the SIFScan of a planned scan.
func (f *field) wanted(planned faults.Scan, name string) wrapper {
	s := f.grounds[planned.Site].site
	if !planned.Live {
		return s.wanted(planned, name)
	}
	w := s.running(f.slurmd)
	w.Name, w.Spec.Target.Running.ListOnly = name, planned.Listed
	return w.ttl(0)
}

// scanUndisturbed scans every image once with each engine and database, and what runs.
func (f *field) scanUndisturbed() {
	GinkgoHelper()
	f.calm = []*v1alpha1.SIFScan{
		f.undisturbed[0].wanted(faults.Scan{Workers: 1, Executed: true}, "executed").unlimited().create(),
		f.undisturbedLive.running(f.slurmd).ttl(0).create(),
	}
	for i, s := range f.undisturbed {
		f.calm = append(f.calm, s.wanted(faults.Scan{Workers: 1, Database: i}, "native").unlimited().create())
	}
	for _, scan := range f.calm {
		Eventually(get(scan)).WithTimeout(recovery).Should(WithTransform(faults.Final, BeTrue()))
	}
	Expect(f.undisturbed[0].kept()).To(HaveLen(2 * faults.Images))
	Expect(f.undisturbed[1].kept()).To(HaveLen(faults.Images))
	Expect(f.undisturbedLive.kept()).To(HaveLen(faults.LiveImages))
	var err error
	f.running, err = workersLeft(f.calm[1])
	Expect(err).NotTo(HaveOccurred())
}

// unlimited takes the limit away that lets a scan last until it is struck.
func (w wrapper) unlimited() wrapper {
	delete(w.Spec.Resources.Limits, corev1.ResourceCPU)
	return w
}
