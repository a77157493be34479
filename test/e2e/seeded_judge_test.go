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
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/faults"
)

// judge looks at what is left when everything is over. It collects what is wrong, and asserts nothing.
func (f *field) judge() {
	GinkgoHelper()
	f.check("every scan ended, and says so without contradicting itself, its inventories and its reports", f.eachScan)
	f.check("every image has one report, equal to that of an undisturbed scan", f.eachReport)
	f.check("what only the database was another for was not opened, but where its scanner died", f.matchedAgain)
	f.check("every document is there, and no other", f.eachDocument)
	f.check("the ScanSchedule made what it was asked for, each once, and knows how it ended", f.eachScheduled)
	f.check("another operator went on where the one at work was struck", f.tookTurns)
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
	last := map[int]types.UID{}
	for _, s := range f.scans {
		last[s.planned.Site] = s.scan.UID
	}
	for _, s := range f.scans {
		Expect(get(s.scan)()).NotTo(BeNil())
		inventories, err := workersLeft(s.scan)
		Expect(err).NotTo(HaveOccurred())
		var reports map[string]*v1alpha1.ScanReport
		if last[s.planned.Site] == s.scan.UID && !s.planned.Doomed || s.planned.Live {
			reports = f.grounds[s.planned.Site].kept()
		}
		for _, c := range f.contradictions(s.scan, inventories, reports) {
			f.complain("%s: %s", s.scan.Name, c)
		}
		if !faults.Final(s.scan) {
			f.complain("%s is not over: %s", s.scan.Name, conditionsOf(s.scan))
		}
		if got := s.scan.Status.Targets; s.targets != nil && (got == nil || *got != *s.targets) {
			f.complain("%s: %+v, want %+v: %s", s.scan.Name, got, *s.targets, conditionsOf(s.scan))
		}
		if s.planned.Live && !meta.IsStatusConditionTrue(s.scan.Status.Conditions, v1alpha1.ConditionComplete) {
			f.complain("%s did not end well: %s", s.scan.Name, conditionsOf(s.scan))
		}
	}
	if len(f.scans) != len(f.plan.Scans) {
		f.complain("%d scans were begun, of %d", len(f.scans), len(f.plan.Scans))
	}
	return len(f.scans)
}

// workersLeft returns what the workers of a scan's run left.
func workersLeft(scan *v1alpha1.SIFScan) ([]v1alpha1.ScanInventory, error) {
	list := &v1alpha1.ScanInventoryList{}
	err := admin.List(ctx, list, client.InNamespace(scan.Namespace), client.MatchingLabels{
		v1alpha1.LabelScanUID: string(scan.UID), v1alpha1.LabelRun: scan.Status.RunID}, client.HasLabels{v1alpha1.LabelWorker})
	return list.Items, err
}

// reportsIn returns a namespace's reports by name.
func reportsIn(namespace string) (map[string]*v1alpha1.ScanReport, error) {
	list := &v1alpha1.ScanReportList{}
	err := admin.List(ctx, list, client.InNamespace(namespace))
	all := map[string]*v1alpha1.ScanReport{}
	for i := range list.Items {
		all[list.Items[i].Name] = &list.Items[i]
	}
	return all, err
}

// kept returns the site's reports by name.
func (s *site) kept() map[string]*v1alpha1.ScanReport {
	GinkgoHelper()
	all, err := reportsIn(s.namespace)
	Expect(err).NotTo(HaveOccurred())
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

// awaitCollector: what a claim that is gone owned is removed by Kubernetes, in its own time.
func (f *field) awaitCollector(s *site) {
	GinkgoHelper()
	err := InterceptGomegaFailure(func() {
		Eventually(func() (map[string]*v1alpha1.ScanReport, error) { return reportsIn(s.namespace) }).WithTimeout(recovery).Should(BeEmpty())
	})
	if err != nil {
		f.complain("reports are left of a claim that is gone: %v", err)
	}
}

func (f *field) eachReport() (n int) {
	GinkgoHelper()
	for i, g := range f.grounds {
		reports := f.byImage(g.site)
		if f.isDoomed(i) {
			f.awaitCollector(g.site)
			continue
		}
		want := f.wantedReports(i, reports)
		for key, before := range want {
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
			f.owned(i, key, got)
		}
		if len(reports) != len(want) {
			f.complain("volume %d has %d reports, want %d", i, len(reports), len(want))
		}
		n += len(reports)
	}
	return n
}

// matchedAgain complains where many images were opened that only the database was another for: one is where a scanner died
// that had it in its hands.
func (f *field) matchedAgain() int {
	if 4*f.opened > f.again {
		f.complain("of %d images that only the database was another for %d were opened", f.again, f.opened)
	}
	return f.again
}

// wantedReports are those of a site, as undisturbed scans of what its images hold now made them.
func (f *field) wantedReports(site int, reports map[about]*v1alpha1.ScanReport) map[about]*v1alpha1.ScanReport {
	GinkgoHelper()
	g, engine := f.grounds[site], f.engines()[site]
	if f.isLive(site) {
		return f.byImage(f.undisturbedLive)
	}
	want := map[about]*v1alpha1.ScanReport{}
	var undisturbed [databases]map[about]*v1alpha1.ScanReport
	for i := range undisturbed {
		undisturbed[i] = f.byImage(f.undisturbed[i])
	}
	for i := range faults.Images {
		own := about{engine, mountPath + "/" + pathOf(i)}
		like := about{engine, mountPath + "/" + pathOf(holding(g.volume.Content(i)))}
		r := undisturbed[g.volume.Database(i)][like].DeepCopy()
		r.Report.Target.Path = own.path
		if got := reports[own]; g.volume.Again(i) && got != nil && got.Report.Scanner.BytesRead == 0 {
			r.Report.Scanner.BytesRead = 0 // what is kept of it was matched
		}
		if g.archive != "" { // where the whole report is, too
			whole := v1alpha1.Artifact{Name: "report.json", MediaType: "application/json"}
			r.Report.Artifacts = append([]v1alpha1.Artifact{whole}, r.Report.Artifacts...)
		}
		want[own] = r
	}
	return want
}

// holding is an image that holds a content before anything is replaced.
func holding(content int) (image int) {
	for faults.FirstContent(image) != content {
		image++
	}
	return image
}

// owned complains where a report of a volume is not its claim's, or one of what runs no SIFScan's.
func (f *field) owned(site int, key about, r *v1alpha1.ScanReport) {
	GinkgoHelper()
	if f.isLive(site) {
		if len(r.OwnerReferences) == 0 || slices.ContainsFunc(r.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind != "SIFScan" }) {
			f.complain("volume %d: the report of %v belongs to %v", site, key, r.OwnerReferences)
		}
		return
	}
	if claim := f.grounds[site].getClaim(); len(r.OwnerReferences) != 1 || r.OwnerReferences[0].UID != claim.UID {
		f.complain("volume %d: the report of %v belongs to %v", site, key, r.OwnerReferences)
	}
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

// tookTurns complains where the same operator always came back first. One that is stopped for long cannot: that is a
// complaint of its own.
func (f *field) tookTurns() int {
	count := f.plan.Count()
	if struck := count[faults.KillOperator] + count[faults.StopOperator]; struck > 2 && f.takeovers == 0 {
		f.complain("the operator was struck %d times, and no other went on", struck)
	}
	return f.takeovers
}

func (f *field) isLive(site int) bool {
	return slices.ContainsFunc(f.plan.Scans, func(s faults.Scan) bool { return s.Site == site && s.Live })
}

func (f *field) isDoomed(site int) bool {
	return slices.ContainsFunc(f.plan.Scans, func(s faults.Scan) bool { return s.Site == site && s.Doomed })
}

// eachDocument: reports name documents that are there and whole, and there are no others but those that the next run removes.
func (f *field) eachDocument() (n int) {
	GinkgoHelper()
	for i, s := range f.grounds {
		if s.archive != "" {
			n += f.eachArchived(s)
		}
		list := &corev1.ConfigMapList{}
		Expect(admin.List(ctx, list, client.InNamespace(s.namespace), client.HasLabels{v1alpha1.LabelArtifactOf})).To(Succeed())
		there := map[string]*corev1.ConfigMap{}
		for j := range list.Items {
			there[list.Items[j].Name] = &list.Items[j]
		}
		for _, r := range s.kept() {
			for _, a := range r.Report.Artifacts {
				if s.archive != "" {
					continue
				}
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

// eachArchived: documents on a volume are there and whole, and nothing else is.
func (f *field) eachArchived(g *ground) (n int) {
	GinkgoHelper()
	there := map[string]bool{}
	Expect(filepath.WalkDir(g.archive, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			there[path] = true
		}
		return err
	})).To(Succeed())
	for _, r := range g.kept() {
		for _, a := range r.Report.Artifacts {
			n++
			path := filepath.Join(g.archive, a.VolumePath)
			text, err := os.ReadFile(path)
			if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != a.SHA256 {
				f.complain("%s of %s is not what its report says: %v", a.VolumePath, r.Report.Target.Path, err)
			}
			delete(there, path)
		}
	}
	for path := range there {
		f.complain("no report knows the document %s", path)
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

// leftOf lists the objects of a kind that were made for the scans: by their labels, and Jobs and pods also by where they are.
func (f *field) leftOf(list client.ObjectList) (left []string) {
	GinkgoHelper()
	Expect(admin.List(ctx, list)).To(Succeed())
	scans, namespaces := map[string]bool{}, map[string]bool{}
	for _, s := range f.scans {
		scans[string(s.scan.UID)] = true
		namespaces[s.scan.Namespace] = true
	}
	for _, s := range f.calm {
		scans[string(s.UID)] = true
		namespaces[s.Namespace] = true
	}
	Expect(meta.EachListItem(list, func(item runtime.Object) error {
		o := item.(client.Object)
		_, job := item.(*batchv1.Job)
		_, pod := item.(*corev1.Pod)
		if scans[o.GetLabels()[v1alpha1.LabelScanUID]] || (job || pod) && namespaces[o.GetNamespace()] {
			left = append(left, fmt.Sprintf("%T %s/%s", o, o.GetNamespace(), o.GetName()))
		}
		return nil
	})).To(Succeed())
	return left
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
	return len(f.grounds)
}

// left lists Jobs and pods of the plan's scans, and what such scans need elsewhere, and processes and directories of pods
// that are not there any more.
func (f *field) left() (left []string) {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(admin.List(ctx, pods)).To(Succeed())
	there := map[string]bool{}
	for _, pod := range pods.Items {
		there[string(pod.UID)] = true
	}
	for _, list := range []client.ObjectList{pods, &batchv1.JobList{}, &corev1.ServiceAccountList{}, &rbacv1.RoleBindingList{}} {
		left = append(left, f.leftOf(list)...)
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
