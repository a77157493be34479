// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func (w wrapper) workers(n int32) wrapper {
	w.Spec.Parallelism = ptr.To(n)
	return w
}

// copySlowly begins to copy an image to the volume, over a line that delivers every other second. It ends with finish.
func (s *site) copySlowly(i image, path string) (finish func()) {
	GinkgoHelper()
	content := i.content()
	const least, piece = 1 << 20, 64 << 10
	s.file(string(content[:least]), path)
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		line := time.NewTicker(2 * time.Second)
		defer line.Stop()
		out, err := os.OpenFile(s.path(path), os.O_WRONLY|os.O_APPEND, 0)
		for written := least; err == nil; {
			select {
			case <-stop:
				_, err = out.Write(content[written:])
				stopped <- errors.Join(err, out.Close())
				return
			case <-line.C:
				if written+2*piece < len(content) { // it takes longer than any scan here
					_, err = out.Write(content[written : written+piece])
					written += piece
				}
			}
		}
		stopped <- err
	}()
	end := sync.OnceValue(func() error {
		close(stop)
		return <-stopped
	})
	DeferCleanup(end)
	return func() {
		GinkgoHelper()
		Expect(end()).To(Succeed())
	}
}

// awaitWorker waits until the scanner of one of several workers reads its first image.
func awaitWorker(scan *v1alpha1.SIFScan, index string) process {
	GinkgoHelper()
	var found process
	Eventually(func() bool {
		for _, pod := range podsOf(scan) {
			p, ok := agentOf(pod.UID, scannerCommand)
			if !ok || pod.Annotations[batchv1.JobCompletionIndexAnnotation] != index {
				continue
			}
			journal, _ := os.ReadFile(p.inside("/results/journal.jsonl")) // it ends with its pod
			found = p
			return strings.Contains(string(journal), `"begun"`)
		}
		return false
	}).WithPolling(pollClosely).Should(BeTrue(), "worker %s never read an image", index)
	return found
}

// covered matches the condition that tells the share that was checked.
func covered(status, message string) func(*v1alpha1.SIFScan) bool {
	return func(scan *v1alpha1.SIFScan) bool {
		c := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionCovered)
		return c != nil && string(c.Status) == status && strings.Contains(c.Message, message)
	}
}

var _ = Describe("Several workers", func() {
	It("share the images of a volume, and one that is killed midway costs none of them", func() {
		s := busySite()
		scan := s.busyScan().workers(4).create()
		victim := awaitWorker(scan, "2")
		victim.signal(unix.SIGSTOP)
		kept := reportsOf(scan)
		Expect(len(kept)).To(BeNumerically("<", many))
		victim.signal(unix.SIGKILL)

		Eventually(get(scan)).WithTimeout(recovery).Should(And(beDone(), WithTransform(covered("True", "40 images"), BeTrue())))
		expectAllScannedOnce(scan, kept)
		for path, report := range reportsOf(scan) {
			Expect(report.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationRun, string(scan.UID)+"/"+scan.Status.RunID), path)
		}
		ended := map[string]int{}
		for _, pod := range podsOf(scan) {
			ended[pod.Annotations[batchv1.JobCompletionIndexAnnotation]+" "+string(pod.Status.Phase)]++
		}
		Expect(ended).To(Equal(map[string]int{"0 Succeeded": 1, "1 Succeeded": 1, "2 Failed": 1, "2 Succeeded": 1, "3 Succeeded": 1}))
		Expect(scan.Status.Inventories).To(BeEquivalentTo(4))

		By("running again, with nothing to open")
		opened := watchOpens(s.path("07.sif"))
		rescan(scan, "again")
		Eventually(get(scan)).WithTimeout(recovery).Should(And(beDone(), HaveField("Status.Targets.Unchanged", BeEquivalentTo(many))))
		Expect(opened()).To(BeFalse())
	})

	It("leave an image that is being copied to the next run, by name", func() {
		s := newSite().image(debian, "still.sif")
		finish := s.copySlowly(debian, "copied.sif")
		scan := s.busyScan().workers(2).create()
		Eventually(get(scan)).Should(beDone(partial))
		finish()
		Expect(outcomesOf(scan)).To(Equal(outcomes{"copied.sif": v1alpha1.EntryChanging, "still.sif": v1alpha1.EntryScanned}))
		Expect(meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionPartial).Message).To(ContainSubstring("copied.sif"))
		Expect(scan).To(WithTransform(covered("False", "50.0 % checked: 1 of 2 images"), BeTrue()))

		rescan(scan, "when it is whole")
		Eventually(get(scan)).Should(And(beDone(), WithTransform(covered("True", "2 images"), BeTrue())))
		Expect(outcomesOf(scan)).To(Equal(outcomes{"copied.sif": v1alpha1.EntryScanned, "still.sif": v1alpha1.EntryUnchanged}))
		Expect(podsOf(scan)).To(HaveEach(HaveField("Status.Phase", corev1.PodSucceeded)))
	})
})
