// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/faults"
)

// judge looks at what is left when everything is over. It collects what is wrong, and asserts nothing.
func (f *field) judge() {
	GinkgoHelper()
	f.check("every scan ended, and says so without contradicting itself, its inventories and its reports", f.eachScan)
	f.check("every image has one report, equal to that of an undisturbed scan", f.eachReport)
	f.check("every document is there, and no other", f.eachDocument)
	f.check("the ScanSchedule made what it was asked for, each once, and knows how it ended", f.eachScheduled)
	f.removeDoomed()
	f.check("no Job, pod, process or directory of a pod is left", f.nothingLeft)
}

// check runs one check and remembers it for the table.
func (f *field) check(name string, look func() (n int)) {
	before := len(f.complaints)
	n, verdict := look(), "ok "
	if len(f.complaints) > before {
		verdict = "NOT"
	}
	f.checks = append(f.checks, fmt.Sprintf("%s %s (%d)", verdict, name, n))
}

// checked lists the checks.
func (f *field) checked() string { return strings.Join(f.checks, "\n") }

func (f *field) eachScan() int {
	GinkgoHelper()
	for _, s := range f.scans {
		Expect(get(s.scan)()).NotTo(BeNil())
		reports := f.sites[s.planned.Site].kept()
		if s.planned.Doomed {
			reports = nil
		}
		for _, c := range faults.OfScan(s.scan, inventoriesOf(s.scan), reports) {
			f.complain("%s: %s", s.scan.Name, c)
		}
		if !faults.Final(s.scan) {
			f.complain("%s is not over: %s", s.scan.Name, conditionsOf(s.scan))
		}
		if want := int32(f.images()); !s.planned.Doomed && (s.scan.Status.Targets == nil || s.scan.Status.Targets.Scanned != want) {
			f.complain("%s: %+v, want %d scanned: %s", s.scan.Name, s.scan.Status.Targets, want, conditionsOf(s.scan))
		}
	}
	if len(f.scans) != len(f.plan.Scans) {
		f.complain("%d scans were begun, of %d", len(f.scans), len(f.plan.Scans))
	}
	return len(f.scans)
}

func inventoriesOf(scan *v1alpha1.SIFScan) []v1alpha1.ScanInventory {
	GinkgoHelper()
	list := &v1alpha1.ScanInventoryList{}
	Expect(admin.List(ctx, list, client.InNamespace(scan.Namespace), client.MatchingLabels{
		v1alpha1.LabelScanUID: string(scan.UID), v1alpha1.LabelRun: scan.Status.RunID}, client.HasLabels{v1alpha1.LabelWorker})).To(Succeed())
	return list.Items
}

// kept returns the site's reports by name.
func (s *site) kept() map[string]*v1alpha1.ScanReport {
	GinkgoHelper()
	list := &v1alpha1.ScanReportList{}
	Expect(admin.List(ctx, list, client.InNamespace(s.namespace))).To(Succeed())
	all := map[string]*v1alpha1.ScanReport{}
	for i := range list.Items {
		all[list.Items[i].Name] = &list.Items[i]
	}
	return all
}

// about is what a site has one report of.
type about struct{ engine, path string }

// byImage returns reports by what they are about, and complains of two.
func (f *field) byImage(s *site) map[about]*v1alpha1.ScanReport {
	GinkgoHelper()
	all := map[about]*v1alpha1.ScanReport{}
	for name, r := range s.kept() {
		key := about{r.Report.Scanner.Engine, r.Report.Target.Path}
		if other := all[key]; other != nil {
			f.complain("%v has two reports, %s and %s", key, name, other.Name)
		}
		all[key] = r
	}
	return all
}

func (f *field) eachReport() (n int) {
	GinkgoHelper()
	undisturbed := f.byImage(f.undisturbed)
	engines := f.engines()
	for i, s := range f.sites {
		reports := f.byImage(s)
		if f.isDoomed(i) {
			if len(reports) > 0 {
				f.complain("%d reports are left of a claim that is gone", len(reports))
			}
			continue
		}
		want := 0
		claim := s.getClaim()
		for key, before := range undisturbed {
			if key.engine != engines[i] {
				continue
			}
			want++
			got := reports[key]
			if got == nil {
				f.complain("volume %d: %v has no report", i, key)
				continue
			}
			if diff := faults.Difference(before, got); diff != "" {
				f.complain("volume %d: the report of %v (- undisturbed, + this one): %s", i, key, diff)
			}
			for _, c := range faults.OfReport(got) {
				f.complain("volume %d: the report of %v: %s", i, key, c)
			}
			if len(got.OwnerReferences) != 1 || got.OwnerReferences[0].UID != claim.UID {
				f.complain("volume %d: the report of %v belongs to %v", i, key, got.OwnerReferences)
			}
		}
		if len(reports) != want {
			f.complain("volume %d has %d reports, want %d", i, len(reports), want)
		}
		n += len(reports)
	}
	return n
}

// engines of the sites.
func (f *field) engines() map[int]string {
	all := map[int]string{}
	for _, s := range f.plan.Scans {
		all[s.Site] = string(v1alpha1.EngineNative)
		if s.Executed {
			all[s.Site] = string(v1alpha1.EngineQscanner)
		}
	}
	return all
}

func (f *field) isDoomed(site int) bool {
	return slices.ContainsFunc(f.plan.Scans, func(s faults.Scan) bool { return s.Site == site && s.Doomed })
}

// eachDocument: reports name documents that are there and whole, and there are no others but those that the next run removes.
func (f *field) eachDocument() (n int) {
	GinkgoHelper()
	for i, s := range f.sites {
		list := &corev1.ConfigMapList{}
		Expect(admin.List(ctx, list, client.InNamespace(s.namespace), client.HasLabels{v1alpha1.LabelArtifactOf})).To(Succeed())
		there := map[string]*corev1.ConfigMap{}
		for j := range list.Items {
			there[list.Items[j].Name] = &list.Items[j]
		}
		for _, r := range s.kept() {
			for _, a := range r.Report.Artifacts {
				n++
				if err := whole(there[a.ConfigMap], a); err != nil {
					f.complain("volume %d: %s of %s: %v", i, a.Name, r.Report.Target.Path, err)
				}
			}
			for _, a := range r.Report.Artifacts {
				delete(there, a.ConfigMap)
			}
			for name := range strings.SplitSeq(r.Annotations[v1alpha1.AnnotationSuperseded], ",") {
				delete(there, name)
			}
		}
		for name := range there {
			f.complain("volume %d: no report knows the documents in %s", i, name)
		}
	}
	return n
}

// whole reports in what a document is not as its report says.
func whole(holder *corev1.ConfigMap, a v1alpha1.Artifact) error {
	if holder == nil {
		return fmt.Errorf("ConfigMap %s is not there", a.ConfigMap)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(holder.BinaryData[a.Name+".gz"]))
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, unpacked); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("its SHA-256 is %s, the report says %s", got, a.SHA256)
	}
	return nil
}

func (f *field) eachScheduled() int {
	GinkgoHelper()
	if f.schedule == nil {
		return 0
	}
	made := &v1alpha1.SIFScanList{}
	look := func() []string {
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(f.schedule), f.schedule)).To(Succeed())
		Expect(admin.List(ctx, made, client.InNamespace(f.schedule.Namespace))).To(Succeed())
		return faults.OfSchedule(f.schedule, made.Items, f.asked)
	}
	// It learns of the end of its last scan only after that scan says so.
	_ = until(ctx, recovery, func() error {
		if wrong := look(); len(wrong) > 0 {
			return errors.New(wrong[0])
		}
		return nil
	})
	for _, c := range look() {
		f.complain("the ScanSchedule: %s", c)
	}
	return len(made.Items)
}

// removeDoomed deletes the SIFScans whose claims are gone, which go on waiting for new ones.
func (f *field) removeDoomed() {
	GinkgoHelper()
	for _, s := range f.scans {
		if s.planned.Doomed {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, s.scan))).To(Succeed())
		}
	}
}

// podDirectory is the UID of a pod in a control group, or among kubelet's directories.
var podDirectory = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// nothingLeft waits until kubelet has cleaned up, which it does every few seconds, and complains of what stays.
func (f *field) nothingLeft() int {
	GinkgoHelper()
	var left []string
	_ = until(ctx, recovery, func() error {
		if left = f.left(); len(left) > 0 {
			return errors.New(left[0])
		}
		return nil
	})
	for _, what := range left {
		f.complain("left behind: %s", what)
	}
	return len(f.sites)
}

// left lists Jobs and pods of the sites, and processes and directories of pods that are not there any more.
func (f *field) left() (left []string) {
	GinkgoHelper()
	pods, jobs := &corev1.PodList{}, &batchv1.JobList{}
	Expect(admin.List(ctx, jobs)).To(Succeed())
	Expect(admin.List(ctx, pods)).To(Succeed())
	ours := map[string]bool{f.undisturbed.namespace: true}
	for _, s := range f.sites {
		ours[s.namespace] = true
	}
	there := map[string]bool{}
	for _, job := range jobs.Items {
		if ours[job.Namespace] {
			left = append(left, "Job "+job.Namespace+"/"+job.Name)
		}
	}
	for _, pod := range pods.Items {
		there[string(pod.UID)] = true
		if ours[pod.Namespace] {
			left = append(left, "pod "+pod.Namespace+"/"+pod.Name)
		}
	}
	directories, _ := filepath.Glob(clusterDir("data", "kubelet", "root", "pods", "*")) // the pattern is well-formed
	for _, directory := range directories {
		if uid := filepath.Base(directory); podDirectory.MatchString(uid) && !there[uid] {
			left = append(left, "directory "+directory)
		}
	}
	groups, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	for _, group := range groups {
		text, _ := os.ReadFile(group) // it may end meanwhile
		_, own, ok := strings.Cut(string(text), "/sifscan-operator/"+os.Getenv(clusterVariable)+"/pods/")
		if uid := podDirectory.FindString(own); ok && uid != "" && !there[uid] {
			left = append(left, "process "+filepath.Base(filepath.Dir(group))+" of pod "+uid)
		}
	}
	return left
}
