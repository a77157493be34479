// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
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

var _ = Describe("Scans over which a seed breaks things", Label("faults"), Serial, func() {
	It("find what undisturbed ones find, say so without contradiction, and leave nothing behind", func() {
		plan := faults.New(numberOf(seedVariable, 1), int(numberOf(scansVariable, shortScans)))
		withReplicas()
		f := newField(plan)
		Eventually(works).WithTimeout(recovery).Should(Succeed())
		f.run()
		By("judging what is left")
		f.judge()
		AddReportEntry("Faults", f.tally.Table(plan)+f.checked(), ReportEntryVisibilityAlways)
		if len(f.complaints) > 0 {
			Fail(strings.Join(f.complaints, "\n"))
		}
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
	By("scanning undisturbed")
	f.scanUndisturbed()
	By("striking")
	for lane := 1; lane < f.plan.Lanes; lane++ {
		lanes.Go(func() { f.lane(lane) })
	}
	lanes.Wait()
}

// newSchedule makes the ScanSchedule of the scheduled lane, which runs when it is asked to.
func (f *field) newSchedule() *v1alpha1.ScanSchedule {
	GinkgoHelper()
	for _, planned := range f.plan.Scans {
		if planned.Scheduled {
			s := f.grounds[planned.Site]
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
	targets, expected, err := f.change(planned)
	if err != nil {
		return err
	}
	scan, err := f.begin(planned, name, targets)
	if err != nil {
		return err
	}
	atWork, over := context.WithCancel(ctx)
	var strikes sync.WaitGroup
	for _, fault := range planned.Faults {
		strikes.Go(func() {
			if err := f.strike(atWork, victimOf(scan), fault); err != nil {
				f.complain("%s: %s: %v", name, fault.Kind, err)
			}
		})
	}
	err = until(ctx, recovery, func() error { return f.ended(scan) })
	over()
	strikes.Wait()
	f.closed(planned, name, expected)
	return errors.Join(err, f.unread(scan, targets), f.consistent(scan))
}

// consistent complains of what a scan that ended says otherwise than its inventories and reports, which the next scan of the
// volume replaces.
func (f *field) consistent(scan *v1alpha1.SIFScan) error {
	return until(ctx, recovery, func() error {
		inventories, err := workersLeft(scan)
		if err != nil {
			return err
		}
		reports, err := reportsIn(scan.Namespace)
		if err != nil {
			return err
		}
		for _, c := range f.contradictions(scan, inventories, reports) {
			f.complain("%s when it ended: %s", scan.Name, c)
		}
		return nil
	})
}

// contradictions of a scan. Its reports are nil where those of a later one took their place, or their claim is gone.
func (f *field) contradictions(scan *v1alpha1.SIFScan, inventories []v1alpha1.ScanInventory, reports map[string]*v1alpha1.ScanReport) []string {
	if scan.Spec.Target.Running != nil {
		return faults.OfLiveScan(scan, inventories, f.running, reports)
	}
	return faults.OfScan(scan, inventories, reports)
}

// unread reports which images a scan did not read, and why. The next scan of the volume replaces their reports.
func (f *field) unread(scan *v1alpha1.SIFScan, targets *v1alpha1.TargetCounts) error {
	if t := scan.Status.Targets; t == nil || targets == nil || *t == *targets {
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
	switch {
	case !faults.Final(scan) || scan.Status.CompletionTime == nil:
		return errors.New("it has not ended: " + conditionsOf(scan))
	case scan.Spec.Target.Running != nil && strings.Contains(messageOf(scan), corev1.TaintNodeDiskPressure):
		// No pod is sent to a node whose disk is full: it says so, and is asked again, as an administrator would.
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRescanAt, scan.Status.CompletionTime.UTC())
		err := admin.Patch(ctx, scan.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
		return errors.Join(errors.New("it is asked again: "+messageOf(scan)), err)
	}
	return nil
}

// begin makes the SIFScan, or has the ScanSchedule make it.
func (f *field) begin(planned faults.Scan, name string, targets *v1alpha1.TargetCounts) (*v1alpha1.SIFScan, error) {
	scan := f.wanted(planned, name).SIFScan
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
	f.scans = append(f.scans, flown{planned, scan, targets})
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
	first, err := f.begin(during, fmt.Sprintf("scan-0-%d", i), nil)
	if err != nil {
		return err
	}
	if err := f.strike(ctx, victimOf(first), during.Faults[0]); err != nil {
		return err
	}
	second, err := f.begin(after, fmt.Sprintf("scan-0-%d", i+1), nil)
	if err != nil {
		return err
	}
	for _, scan := range []*v1alpha1.SIFScan{first, second} {
		if err := until(ctx, recovery, func() error { return clearly(scan) }); err != nil {
			return fmt.Errorf("%s, whose claim is gone: %w", scan.Name, err)
		}
	}
	// The second came while Kubernetes took the claim away: a scheduler that did not see that yet starts its pod, and the claim stays for as
	// long as that runs. What it is asked for once the claim is gone never begins.
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: second.Namespace, Name: claimName}}
	if err := until(ctx, recovery, func() error { return gone(claim) }); err != nil {
		return err
	}
	again := fmt.Sprintf(`{"metadata":{"annotations":{%q:"again"}}}`, v1alpha1.AnnotationRescanAt)
	err = until(ctx, recovery, func() error {
		return admin.Patch(ctx, second.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(again)))
	})
	if err != nil {
		return err
	}
	err = until(ctx, recovery, func() error {
		if err := clearly(second); err != nil || second.Status.LastHandledRescanAt == "again" {
			return err
		}
		return errors.New("it was not asked again")
	})
	if err != nil {
		return fmt.Errorf("%s, which is asked for again: %w", second.Name, err)
	}
	if !faults.Stalled(second, v1alpha1.ReasonVolumeNotFound) || second.Status.Inventories > 0 {
		return fmt.Errorf("%s began after its claim was removed: %s: %s", second.Name, conditionsOf(second), messageOf(second))
	}
	return nil
}

// gone reports that an object is there.
func gone(object client.Object) error {
	err := admin.Get(ctx, client.ObjectKeyFromObject(object), object)
	if err == nil {
		return fmt.Errorf("%s %s is not gone", object.GetObjectKind().GroupVersionKind().Kind, object.GetName())
	}
	return client.IgnoreNotFound(err)
}

// messageOf is what Ready says.
func messageOf(scan *v1alpha1.SIFScan) string {
	if c := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return ""
}

// clearly reports in which way a SIFScan does not say clearly how it stands, without its claim.
func clearly(scan *v1alpha1.SIFScan) error {
	if err := admin.Get(ctx, client.ObjectKeyFromObject(scan), scan); err != nil {
		return err
	}
	ended := faults.Final(scan) && scan.Status.CompletionTime != nil
	if !ended && !faults.Stalled(scan, v1alpha1.ReasonVolumeNotFound) {
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
