// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
	"github.com/sifscan/sifscan-operator/test/faults"
)

const (
	// seedVariable chooses the plan, scansVariable how many scans it has.
	seedVariable, scansVariable = "FAULTS_SEED", "FAULTS_SCANS"
	// shortScans is the number in make test, whose seed is always the same: what decides about a change does the same each time.
	shortScans = 12
	// nativeCPU and executedCPU make a scan of a few images take some seconds, in which it can be struck.
	nativeCPU, executedCPU = "100m", "300m"
)

// volumeImages are what every volume holds that keeps its claim.
var volumeImages = map[image][]string{
	alpine:     {"a0.sif", "a1.sif", "a2.sif", "a3.sif", "a4.sif", "a5.sif", "a6.sif", "a7.sif"},
	debian:     {"d0.sif", "d1.sif"},
	"well.sif": {"w0.sif", "w1.sif"},
}

var _ = Describe("Scans over which a seed breaks things", Label("faults"), Serial, func() {
	It("find what undisturbed ones find, say so without contradiction, and leave nothing behind", func() {
		plan := faults.New(numberOf(seedVariable, 1), int(numberOf(scansVariable, shortScans)))
		f := newField(plan)
		f.run()
		f.judge()
		AddReportEntry("Faults", f.tally.Table(plan)+f.checked(), ReportEntryVisibilityAlways)
		Expect(f.complaints).To(BeEmpty())
		struck, late := f.tally.Total()
		Expect(struck).To(BeNumerically(">", 2*late), "most scans were over before anything struck")
	})
})

// numberOf is a number that the environment may give.
func numberOf(variable string, unset uint64) uint64 {
	GinkgoHelper()
	text := os.Getenv(variable)
	if text == "" {
		return unset
	}
	n, err := strconv.ParseUint(text, 10, 32)
	Expect(err).NotTo(HaveOccurred(), variable)
	return n
}

// field is where a plan is carried out.
type field struct {
	plan  faults.Plan
	tally faults.Tally
	// sites by their number in the plan, and one where nothing is broken.
	sites       []*site
	undisturbed *site
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
}

// flown is a scan of the plan that was made.
type flown struct {
	planned faults.Scan
	scan    *v1alpha1.SIFScan
}

func newField(plan faults.Plan) *field {
	GinkgoHelper()
	f := &field{plan: plan, undisturbed: soundSite(), made: map[types.UID]bool{}}
	doomed := map[int]bool{}
	for _, s := range plan.Scans {
		doomed[s.Site] = s.Doomed
	}
	for i := range plan.Sites {
		if doomed[i] {
			f.sites = append(f.sites, newSite().image(alpine, volumeImages[alpine]...))
		} else {
			f.sites = append(f.sites, soundSite())
		}
	}
	return f
}

// soundSite is a site with every image and the database.
func soundSite() *site {
	GinkgoHelper()
	s := newSite()
	for i, paths := range volumeImages {
		s.image(i, paths...)
	}
	return s.file(string(advisories()), "osv.db")
}

// advisories is a database with a vulnerability of most images.
var advisories = sync.OnceValue(func() []byte {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "sifscan-e2e-osv-")
	Expect(err).NotTo(HaveOccurred())
	defer os.RemoveAll(dir)
	for id, name := range map[string]string{"TEST-2026-0001": "bash", "TEST-2026-0002": "openssl"} {
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
})

// wanted is the SIFScan of a planned scan.
func (s *site) wanted(planned faults.Scan, name string) wrapper {
	w := s.scan().limit(corev1.ResourceCPU, nativeCPU)
	switch {
	case planned.Executed:
		w = s.executed(v1alpha1.EngineQscanner).limit(corev1.ResourceCPU, executedCPU)
		// Without the platform, whose part the API server plays here: an image whose platform is away for long fails.
		w.Spec.Scanner.Qscanner = &v1alpha1.QscannerEngine{Mode: v1alpha1.QscannerInventoryOnly}
	case !planned.Doomed:
		w.Spec.Scanner.Native = &v1alpha1.NativeEngine{Database: &v1alpha1.DatabaseSource{ClaimName: claimName, Path: "osv.db"}}
	}
	w.Name = name
	w.Spec.Rescan = v1alpha1.RescanAlways
	return w.workers(planned.Workers).ttl(0)
}

// run carries the plan out. The volumes that are removed are so from the beginning; everything else waits for
// the undisturbed scans to be over.
func (f *field) run() {
	GinkgoHelper()
	f.schedule = f.newSchedule()
	running, over := context.WithCancel(ctx)
	defer over()
	go replaceOperator(running)
	var lanes sync.WaitGroup
	lanes.Go(func() { f.doomed() })
	f.scanUndisturbed()
	for lane := 1; lane < f.plan.Lanes; lane++ {
		lanes.Go(func() { f.lane(lane) })
	}
	lanes.Wait()
}

// scanUndisturbed scans every image once with each engine.
func (f *field) scanUndisturbed() {
	GinkgoHelper()
	var all []*v1alpha1.SIFScan
	for name, planned := range map[string]faults.Scan{"native": {Workers: 1}, "executed": {Workers: 1, Executed: true}} {
		all = append(all, f.undisturbed.wanted(planned, name).create())
	}
	for _, scan := range all {
		Eventually(get(scan)).WithTimeout(recovery).Should(WithTransform(faults.Final, BeTrue()))
	}
	Expect(f.undisturbed.kept()).To(HaveLen(2 * f.images()))
}

// images is how many a volume has.
func (f *field) images() (n int) {
	for _, paths := range volumeImages {
		n += len(paths)
	}
	return n
}

// newSchedule makes the ScanSchedule of the scheduled lane, which runs when it is asked to.
func (f *field) newSchedule() *v1alpha1.ScanSchedule {
	GinkgoHelper()
	for _, planned := range f.plan.Scans {
		if planned.Scheduled {
			s := f.sites[planned.Site]
			schedule := &v1alpha1.ScanSchedule{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "asked"},
				Spec: v1alpha1.ScanScheduleSpec{
					Schedule: "0 0 1 1 *", SuccessfulHistoryLimit: ptr.To[int32](100), FailedHistoryLimit: ptr.To[int32](100),
					Template: v1alpha1.SIFScanTemplate{Spec: s.wanted(planned, "").Spec},
				},
			}
			Expect(admin.Create(ctx, schedule)).To(Succeed())
			return schedule
		}
	}
	return nil
}

// lane runs its scans one after the other, and each with its faults.
func (f *field) lane(lane int) {
	for i, planned := range f.plan.Lane(lane) {
		name := fmt.Sprintf("scan-%d-%d", lane, i)
		if err := f.one(planned, name); err != nil {
			f.complain("%s: %v", name, err)
		}
	}
}

// one runs a scan to its end.
func (f *field) one(planned faults.Scan, name string) error {
	scan, err := f.begin(planned, name)
	if err != nil {
		return err
	}
	atWork, over := context.WithCancel(ctx)
	var strikes sync.WaitGroup
	victim := victim{namespace: scan.Namespace, uid: scan.UID}
	for _, fault := range planned.Faults {
		strikes.Go(func() {
			if err := f.strike(atWork, victim, fault); err != nil {
				f.complain("%s: %s: %v", name, fault.Kind, err)
			}
		})
	}
	err = until(ctx, recovery, func() error { return f.ended(scan) })
	over()
	strikes.Wait()
	return errors.Join(err, f.unread(scan))
}

// unread reports which images a scan did not read, and why. The next scan of the volume replaces their reports.
func (f *field) unread(scan *v1alpha1.SIFScan) error {
	if t := scan.Status.Targets; t == nil || int(t.Scanned) == f.images() {
		return nil // judged when all is over
	}
	list := &v1alpha1.ScanReportList{}
	if err := until(ctx, recovery, func() error { return admin.List(ctx, list, client.InNamespace(scan.Namespace)) }); err != nil {
		return err
	}
	var all []error
	for _, r := range list.Items {
		if o := r.Report.Outcome; o.Reason != "" {
			all = append(all, fmt.Errorf("%s: %s: %s", r.Report.Target.Path, o.Reason, o.Message))
		}
	}
	return errors.Join(all...)
}

// ended reports why a scan is not over. One that is Stalled for something that may still come is not.
func (f *field) ended(scan *v1alpha1.SIFScan) error {
	if err := admin.Get(ctx, client.ObjectKeyFromObject(scan), scan); err != nil {
		return err
	}
	if faults.Final(scan) && scan.Status.CompletionTime != nil {
		return nil
	}
	return errors.New("it has not ended: " + conditionsOf(scan))
}

// begin makes the SIFScan, or has the ScanSchedule make it.
func (f *field) begin(planned faults.Scan, name string) (*v1alpha1.SIFScan, error) {
	s := f.sites[planned.Site]
	scan := s.wanted(planned, name).SIFScan
	var err error
	if planned.Scheduled {
		scan, err = f.ask(name)
	} else {
		err = until(ctx, recovery, func() error { return ignoreExists(admin.Create(ctx, scan)) })
	}
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scans = append(f.scans, flown{planned, scan})
	return scan, nil
}

// ignoreExists takes an object that is there for one whose creation was not answered.
func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// ask has the ScanSchedule make a scan, and finds it.
func (f *field) ask(value string) (*v1alpha1.SIFScan, error) {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRunNow, value)
	err := until(ctx, recovery, func() error {
		return admin.Patch(ctx, f.schedule.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
	})
	if err != nil {
		return nil, err
	}
	f.asked = append(f.asked, value)
	var found *v1alpha1.SIFScan
	err = until(ctx, recovery, func() error {
		list := &v1alpha1.SIFScanList{}
		if err := admin.List(ctx, list, client.InNamespace(f.schedule.Namespace)); err != nil {
			return err
		}
		for i := range list.Items {
			if scan := &list.Items[i]; !f.made[scan.UID] {
				f.made[scan.UID], found = true, scan
				return nil
			}
		}
		return errors.New("the ScanSchedule made no SIFScan")
	})
	return found, err
}

// doomed runs the scans whose claims go, two of each: one is at work, or about to be, the other comes after.
func (f *field) doomed() {
	lane := f.plan.Lane(0)
	for i := 0; i+1 < len(lane); i += 2 {
		if err := f.doom(lane[i], lane[i+1], i); err != nil {
			f.complain("claim %d: %v", i/2, err)
		}
	}
}

func (f *field) doom(during, after faults.Scan, i int) error {
	first, err := f.begin(during, fmt.Sprintf("scan-0-%d", i))
	if err != nil {
		return err
	}
	if err := f.strike(ctx, victim{namespace: first.Namespace, uid: first.UID}, during.Faults[0]); err != nil {
		return err
	}
	second, err := f.begin(after, fmt.Sprintf("scan-0-%d", i+1))
	if err != nil {
		return err
	}
	for _, scan := range []*v1alpha1.SIFScan{first, second} {
		if err := until(ctx, recovery, func() error { return clearly(scan) }); err != nil {
			return fmt.Errorf("%s, whose claim is gone: %w", scan.Name, err)
		}
	}
	// The second never began: only the first can have ended well.
	if c := conditionsOf(second); !faults.Stalled(second, v1alpha1.ReasonVolumeNotFound) {
		return fmt.Errorf("%s began after its claim was removed: %s", second.Name, c)
	}
	return nil
}

// clearly reports in which way a SIFScan does not say clearly how it stands, without its claim.
func clearly(scan *v1alpha1.SIFScan) error {
	if err := admin.Get(ctx, client.ObjectKeyFromObject(scan), scan); err != nil {
		return err
	}
	ended := faults.Final(scan) && scan.Status.CompletionTime != nil
	missing := faults.Stalled(scan, v1alpha1.ReasonVolumeNotFound) || faults.Stalled(scan, v1alpha1.ReasonUnschedulable)
	if !ended && !missing {
		return errors.New("it gives no clear reason: " + conditionsOf(scan))
	}
	return nil
}

func (f *field) complain(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complaints = append(f.complaints, fmt.Sprintf(format, args...))
}

// until calls fn until it has no complaint, and returns the last one when the time is over.
func until(ctx context.Context, most time.Duration, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		err := fn()
		if err == nil || !pause(ctx, 200*time.Millisecond) {
			return err
		}
	}
}

// pause waits; false where ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
