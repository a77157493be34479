// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	// smallTmp is less than what the image large unpacks to, and more than any other image does.
	smallTmp = "50Mi"
	// pendingDeadline of the operator under test (hack/e2e.sh).
	pendingDeadline = time.Minute
)

var _ = Describe("A limit", func() {
	It("of tmp is known before an image is unpacked, and holds what the engine writes: no pod is evicted", func() {
		s := newSite().secret().image("well.sif", "a.sif", "e.sif").image(large, "b.sif").image(filling, "c.sif").image(fillingFast, "d.sif")
		wanted := s.qscanner()
		wanted.Spec.Tmp.SizeLimit = ptr.To(resource.MustParse(smallTmp))
		scan := wanted.create()
		most := mostIn(awaitProcess(scan, "scanner").inside("/tmp"))
		Eventually(get(scan)).WithTimeout(recovery).Should(HaveField("Status.CompletionTime", Not(BeNil())))

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"a.sif": v1alpha1.EntryScanned, "b.sif": v1alpha1.EntryFailed, "c.sif": v1alpha1.EntryFailed, "d.sif": v1alpha1.EntryFailed,
			"e.sif": v1alpha1.EntryScanned,
		}))
		Expect(reportOf(scan, "b.sif")).To(failWith(v1alpha1.ReasonTmpTooSmall, "raise spec.tmp.sizeLimit"))
		limit := resource.MustParse(smallTmp)
		within := And(BeNumerically(">", limit.Value()/2), BeNumerically("<=", limit.Value()))
		for _, path := range []string{"c.sif", "d.sif"} {
			Expect(reportOf(scan, path)).To(failWith(v1alpha1.ReasonTmpExhausted, "raise spec.tmp.sizeLimit"), path)
			Expect(stoppedAt(reportOf(scan, path))).To(within, path)
		}
		Expect(most()).To(within, "kubelet never had a reason to evict")
		Expect(podsOf(scan)).To(HaveExactElements(HaveField("Status.Phase", corev1.PodSucceeded)), "nor did it")
	})

	It("of tmp that an image would not fit into is told before anything is written, with a size that is enough", func() {
		s := newSite().secret().image(large, "a.sif")
		wanted := s.qscanner()
		scratch := s.scratch(&wanted.Spec.Tmp, smallTmp)
		long := time.Now().Add(-time.Hour).Truncate(time.Second)
		Expect(os.Chtimes(scratch, long, long)).To(Succeed())
		scan := wanted.create()
		Eventually(get(scan)).Should(HaveField("Status.CompletionTime", Not(BeNil())))
		Expect(scan).To(WithTransform(conditionsOf, ContainSubstring(degraded)))
		report := reportOf(scan, "a.sif")
		Expect(report).To(failWith(v1alpha1.ReasonTmpTooSmall, "within "+smallTmp+": raise spec.tmp.sizeLimit (--tmp-limit) to at least "))
		// Whatever is made in a directory, and be it removed again, is the time of its last modification.
		Expect(modified(scratch)).To(BeTemporally("==", long), "something was written to tmp")

		By("running again with the size that it names")
		enough := report.Report.Outcome.Message[strings.LastIndexByte(report.Report.Outcome.Message, ' ')+1:]
		tmp := v1alpha1.Tmp{}
		scratch = s.scratch(&tmp, enough)
		Expect(os.Chtimes(scratch, long, long)).To(Succeed())
		change(scan, func(scan *v1alpha1.SIFScan) {
			scan.Spec.Tmp = tmp
			metav1.SetMetaDataAnnotation(&scan.ObjectMeta, v1alpha1.AnnotationRescanAt, "with more room")
		})
		Eventually(get(scan)).Should(have("Complete=True/Succeeded", "Ready=True/Succeeded", "PolicyPassed=True/Succeeded"))
		Expect(outcomesOf(scan)).To(Equal(outcomes{"a.sif": v1alpha1.EntryScanned}))
		Expect(modified(scratch)).NotTo(BeTemporally("==", long), "an extraction shows in the directory's time")
	})

	It("of time for a run ends it, keeps what is done, and the next run goes on from there", func() {
		s := busySite()
		wanted := s.busyScan()
		wanted.Spec.Deadline = &metav1.Duration{Duration: 30 * time.Second}
		scan := wanted.create()
		holdMidway(scan) // a scan that hangs
		Eventually(get(scan)).WithTimeout(recovery).Should(And(beStalled(v1alpha1.ReasonDeadlineExceeded), say("longer than spec.deadline of 30s")))
		kept := reportsOf(scan)
		Expect(kept).NotTo(BeEmpty())
		// The scanner is stopped: only the end of the pod's grace period ends it. Nothing waits for that here.
		for _, pod := range podsOf(scan) {
			if p, running := agentOf(pod.UID, scannerCommand); running {
				p.signal(unix.SIGCONT)
			}
		}
		Eventually(func() int { return len(jobsOf(scan)) + len(podsOf(scan)) }).WithTimeout(recovery).Should(BeZero())

		change(scan, func(scan *v1alpha1.SIFScan) {
			scan.Spec.Deadline = nil
			metav1.SetMetaDataAnnotation(&scan.ObjectMeta, v1alpha1.AnnotationRescanAt, "with more time")
		})
		Eventually(get(scan)).WithTimeout(recovery).Should(beDone())
		Expect(scan.Status.Targets.Unchanged).To(BeNumerically(">=", len(kept)))
		for path, report := range kept {
			Expect(reportsOf(scan)[path].Report.ObservedAt).To(Equal(report.Report.ObservedAt), "%s was scanned again", path)
		}
	})
})

var _ = Describe("A node", func() {
	It("that is cordoned takes no scan, which is Stalled at its deadline, and runs once it may", func() {
		n := newGhost()
		change(n.Node, func(n *corev1.Node) { n.Spec.Unschedulable = true })
		s := newSite().image(alpine, "a.sif")
		scan := s.onGhost(n).create()
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonUnschedulable), say("no node takes the scan pod: ")))
		waitingSince := time.Now()
		Eventually(get(scan)).WithTimeout(2 * pendingDeadline).Should(And(beStalled(v1alpha1.ReasonUnschedulable), say("no node takes the scan pod: ")))
		Expect(time.Since(waitingSince)).To(BeNumerically(">", pendingDeadline/2))
		Expect(podsOf(scan)).To(HaveExactElements(And(
			HaveField("Spec.PriorityClassName", "sifscan-low"), HaveField("Spec.Priority", HaveValue(BeEquivalentTo(-10))),
			HaveField("Spec.PreemptionPolicy", HaveValue(Equal(corev1.PreemptNever))))))
		n.offer()
		Eventually(get(scan)).Should(beDone())
	})

	It("that is gone loses its pods, and the run goes on elsewhere", func() {
		n := newGhost()
		s := newSite().image(alpine, "a.sif")
		scan := s.onGhost(n).create()
		Eventually(func() []corev1.Pod { return podsOf(scan) }).Should(HaveExactElements(HaveField("Spec.NodeName", n.Name)))
		lost := podsOf(scan)[0]
		n.offer()
		change(n.Node, func(n *corev1.Node) { n.Spec.Unschedulable = true })
		n.silent(6 * time.Minute)

		Eventually(get(scan)).Should(beDone())
		Expect(podsOf(scan)).To(HaveExactElements(And(HaveField("Spec.NodeName", Not(Equal(n.Name))), HaveField("UID", Not(Equal(lost.UID))))))
		Expect(jobsOf(scan)).To(HaveExactElements(HaveField("Status.Failed", BeZero())), "a node that is gone uses up no attempt")
		told := &eventsv1.EventList{}
		Expect(admin.List(ctx, told, client.InNamespace(s.namespace))).To(Succeed())
		Expect(told.Items).To(ContainElement(And(HaveField("Reason", v1alpha1.ReasonNodeGone), HaveField("Note", ContainSubstring("node "+n.Name+" has not been ready since")))))
	})

	It("that is drained during a scan costs no image and no attempt", func() {
		s := busySite()
		scan := s.busyScan().create()
		scanner := holdMidway(scan)
		kept := reportsOf(scan)
		pod := podsOf(scan)[0]
		// What kubectl drain asks for, of this pod alone: the other scans of this node are tests, too.
		Expect(admin.SubResource("eviction").Create(ctx, &pod, &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		})).To(Succeed())
		scanner.goOnToEnd()
		Eventually(get(scan)).WithTimeout(recovery).Should(beDone())
		expectAllScannedOnce(scan, kept)
		Expect(podsOf(scan)).To(HaveExactElements(And(HaveField("UID", Not(Equal(pod.UID))), HaveField("Status.Phase", corev1.PodSucceeded))), "another pod went on")
		Expect(jobsOf(scan)).To(HaveExactElements(HaveField("Status.Failed", BeZero())))
	})
})

// stoppedAt is how many bytes an engine had written when it was stopped, as its image's report tells.
func stoppedAt(report v1alpha1.ScanReport) int64 {
	GinkgoHelper()
	_, said, found := strings.Cut(report.Report.Outcome.Message, "it was stopped at ")
	Expect(found).To(BeTrue(), report.Report.Outcome.Message)
	size, _, _ := strings.Cut(said, ";")
	quantity, err := resource.ParseQuantity(size)
	Expect(err).NotTo(HaveOccurred())
	return quantity.Value()
}

// mostIn begins to look at how much disk the files of a directory take, and returns the function that ends it and tells the most.
func mostIn(dir string) func() int64 {
	stop, found := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		look := time.NewTicker(pollClosely)
		defer look.Stop()
		for {
			select {
			case <-stop:
				found <- most
				return
			case <-look.C:
				most = max(most, taken(dir))
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-found
	}
}

// taken is the disk that the files of a directory take, which may vanish meanwhile.
func taken(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			sum += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return sum
}

func modified(path string) time.Time {
	GinkgoHelper()
	info, err := os.Stat(path)
	Expect(err).NotTo(HaveOccurred())
	return info.ModTime()
}

var _ = Describe("Two operators", Serial, func() {
	It("take turns: one that is told to end gives the lead away at once", func() {
		replicas := func(n int32) {
			GinkgoHelper()
			change(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "sifscan-system", Name: "sifscan-manager"}},
				func(d *appsv1.Deployment) { d.Spec.Replicas = &n })
		}
		pods := func() ([]corev1.Pod, error) {
			list := &corev1.PodList{}
			err := admin.List(ctx, list, client.InNamespace("sifscan-system"), client.MatchingLabels{"app.kubernetes.io/component": "manager"})
			return list.Items, err
		}
		key := client.ObjectKey{Namespace: "sifscan-system", Name: "manager.sifscan.io"}
		// leading is the name of the pod that a lease names, or nothing; client-go adds a number of its own.
		leading := func(l *coordinationv1.Lease) string {
			name, _, _ := strings.Cut(ptr.Deref(l.Spec.HolderIdentity, ""), "_")
			return name
		}
		leader := func() string {
			lease := &coordinationv1.Lease{}
			Expect(admin.Get(ctx, key, lease)).To(Succeed())
			return leading(lease)
		}
		DeferCleanup(func() {
			replicas(1)
			Eventually(pods).Should(HaveLen(1))
		})
		replicas(2)
		Eventually(pods).Should(HaveExactElements(HaveField("Status.ContainerStatuses", HaveExactElements(HaveField("Ready", true))),
			HaveField("Status.ContainerStatuses", HaveExactElements(HaveField("Ready", true)))))
		first := leader()
		Consistently(leader, 3*time.Second).Should(Equal(first))

		turns, err := admin.Watch(ctx, &coordinationv1.LeaseList{}, client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(turns.Stop)
		Expect(admin.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "sifscan-system", Name: first}})).To(Succeed())
		// The lease of a leader that died names it until another takes it, 15 s after it was renewed.
		for _, next := range []gomegatypes.GomegaMatcher{BeEmpty(), And(Not(BeEmpty()), Not(Equal(first)))} {
			Eventually(turns.ResultChan()).Should(Receive(HaveField("Object", WithTransform(leading, next))))
		}
		s := newSite().image(alpine, "a.sif")
		Eventually(get(s.scan().create())).Should(beDone())
	})
})

var _ = Describe("A node that is full but for 50m of CPU", Serial, func() {
	It("still tells what runs on it", func() {
		full := fillNode("50m")
		s := siteWithoutClaim()
		scan := wrapper{&v1alpha1.SIFScan{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "list"},
			Spec:       v1alpha1.SIFScanSpec{Target: v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: full, ListOnly: true}}},
		}}.create()
		Eventually(get(scan)).Should(And(
			HaveField("Status.CompletionTime", Not(BeNil())), HaveField("Status.Nodes", HaveValue(HaveField("Done", BeEquivalentTo(1))))))

		By("and does not take a scan that asks for more")
		other := newSite().image(alpine, "a.sif")
		volume := other.scan()
		volume.Spec.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("100m")
		Eventually(get(volume.create())).Should(And(beWaiting(v1alpha1.ReasonUnschedulable), say("Insufficient cpu")))
	})
})
