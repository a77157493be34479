// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// nodeNamespace holds the pods that scan nodes.
const nodeNamespace = "sifscan-node"

// nodeTokenSecret is the Secret in it that hack/e2e.sh names to the operator.
const nodeTokenSecret = "node-qualys"

// running begins a SIFScan of what runs in a slurmd pod.
func (s *site) running(pod *slurmd) wrapper {
	return wrapper{&v1alpha1.SIFScan{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "running"},
		Spec: v1alpha1.SIFScanSpec{Target: v1alpha1.Target{Running: &v1alpha1.RunningTarget{
			PodSelector:   &metav1.LabelSelector{MatchLabels: map[string]string{"slinky.slurm.net/cluster": pod.Namespace}},
			PodNamespaces: []string{pod.Namespace},
		}}},
	}}
}

var _ = Describe("Containers that run in a slurmd pod", Ordered, func() {
	const shadow = "--env=APPTAINER_CONTAINER=/etc/shadow"
	var (
		pod  *slurmd
		s    *site
		scan *v1alpha1.SIFScan
		// seen of the pods that scanned the node.
		seen map[string]observed
	)

	BeforeAll(func() {
		home := []string{"--home=" + imagesPoint + "/home", "--scratch-files=50000"}
		pod = newSlurmd(func(*fixtures.Tree) {}, map[string][]string{
			"ranks":    execOf("science.sif", "--ranks=128", slurmCgroup("4711", "0")),
			"instance": apptainer("instance", home, "science.sif", "web", "/usr/bin/sleep", "infinity"),
			"setuid":   execOf("plain.sqsh", "--setuid", "--cleanenv", slurmCgroup("4712", "batch")),
			"private":  execOf("private/secret.sif", "--underlay", shadow),
			"writable": execOf("science.sif", "--writable-tmpfs", "--pid"),
			"sandbox":  execOf("sandbox", append(home, "--setuid")...),
		})
		s = siteWithoutClaim()
		scan = s.running(pod).create()
		seen = observeNodePods(scan)
		Eventually(get(scan)).Should(beDone())
	})

	// groups are the inventory's containers by image and mode.
	groups := func() map[string]v1alpha1.InventoryContainer {
		GinkgoHelper()
		list := &v1alpha1.ScanInventoryList{}
		Expect(admin.List(ctx, list, client.InNamespace(scan.Namespace))).To(Succeed())
		all := map[string]v1alpha1.InventoryContainer{}
		for _, inventory := range list.Items {
			for _, c := range inventory.Containers {
				name := fmt.Sprintf("%s %s", strings.TrimPrefix(c.Image, imagesPoint+"/"), c.Mode)
				if c.Writable {
					name += " writable"
				}
				Expect(all).NotTo(HaveKey(name))
				all[name] = c
			}
		}
		return all
	}

	It("are listed with their user, image, mode, job and pod", func() {
		of := groups()
		Expect(of).To(HaveLen(6))
		Expect(of).To(HaveKeyWithValue("science.sif exec", And(HaveField("Ranks", int32(128)), HaveField("PIDs", HaveLen(20)),
			HaveField("Slurm", HaveValue(And(HaveField("Job", "4711"), HaveField("Step", "0"), HaveField("Source", v1alpha1.SlurmFromCgroup)))))))
		Expect(of).To(HaveKeyWithValue("science.sif instance", HaveField("Ranks", int32(1))))
		Expect(of).To(HaveKeyWithValue("plain.sqsh exec",
			HaveField("Slurm", HaveValue(And(HaveField("Job", "4712"), HaveField("Step", "batch"))))))
		Expect(of).To(HaveKeyWithValue("private/secret.sif exec",
			HaveField("Slurm", HaveValue(HaveField("Source", v1alpha1.SlurmFromEnvironment)))))
		Expect(of).To(HaveKey("science.sif exec writable"))
		Expect(of).To(HaveKey("sandbox exec"))
		for _, c := range of {
			Expect(c.User).To(BeEquivalentTo(nodeUser))
			Expect(c.Pod).To(HaveValue(And(HaveField("UID", string(pod.UID)), HaveField("Namespace", pod.Namespace), HaveField("Name", pod.Name),
				HaveField("Labels", HaveKeyWithValue("slinky.slurm.net/cluster", pod.Namespace)))))
		}
	})

	It("are scanned, each image once", func() {
		reports := map[string]v1alpha1.ScanReport{}
		for path, report := range reportsOf(scan) {
			reports[strings.TrimPrefix(path, imagesPoint+"/")] = report
		}
		Expect(reports).To(HaveLen(4))
		for image, kind := range map[string]string{"science.sif": "sif", "plain.sqsh": "squashfs", "private/secret.sif": "sif", "sandbox": "sandbox"} {
			Expect(reports).To(HaveKey(image))
			Expect(reports[image].Report.Target.Kind).To(Equal(kind))
			Expect(reports[image].Report.Summary.Packages).To(BeEquivalentTo(3), "%s: the home directory has another package", image)
			Expect(reports[image].Report.Outcome.Reason).To(BeEmpty())
		}
		for name, c := range groups() {
			image, _, _ := strings.Cut(name, " ")
			Expect(c.Report).To(Equal(reports[image].Name), name)
		}
		for _, name := range []string{"private/secret.sif exec", "science.sif exec", "science.sif instance", "plain.sqsh exec"} {
			Expect(groups()[name].Coverage).To(Equal(v1alpha1.CoverageComplete), name)
		}
		Expect(groups()["science.sif exec writable"].Coverage).To(Equal(v1alpha1.CoveragePartial), "its own layer is not read")
	})

	It("are read by engines of the site, which get their files extracted", func() {
		Expect(admin.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: nodeNamespace, Name: nodeTokenSecret},
			StringData: map[string]string{v1alpha1.QscannerTokenKey: engineToken},
		})).To(Succeed())
		DeferCleanup(func() {
			Expect(admin.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: nodeNamespace, Name: nodeTokenSecret}})).To(Succeed())
		})
		for engine, finished := range map[v1alpha1.Engine]string{v1alpha1.EngineQscanner: v1alpha1.ReasonSucceeded, v1alpha1.EngineTrivy: v1alpha1.ReasonNotAssessed} {
			by := siteWithoutClaim().running(pod)
			by.Spec.Scanner.Engine = engine
			by.Spec.Scanner.Timeout = &metav1.Duration{Duration: time.Minute}
			by.create()
			Eventually(get(by.SIFScan)).Should(have("Complete=True/"+finished, "Ready=True/"+finished), "%s", engine)
			reports := reportsOf(by.SIFScan)
			Expect(reports).To(HaveLen(4), "%s", engine)
			for path, report := range reports {
				Expect(report.Report.Outcome.Reason).To(BeEmpty(), "%s of %s", path, engine)
				Expect(report.Report.Summary.Packages).To(BeEquivalentTo(3), "%s of %s", path, engine)
				Expect(report.Report.Scanner.Engine).To(BeEquivalentTo(engine))
			}
		}
	})

	It("are counted in the SIFScan", func() {
		Expect(scan.Status.Nodes).To(HaveValue(And(HaveField("Selected", int32(1)), HaveField("Done", int32(1)))))
		Expect(scan.Status.Containers).To(HaveValue(And(HaveField("Found", int32(133)), HaveField("Images", int32(4)))))
	})

	It("are only listed where no more is asked for", func() {
		before := reportsOf(scan)
		list := s.running(pod)
		list.Name = "list"
		list.Spec.Target.Running.ListOnly = true
		list.Spec.Target.Running.SlurmJobID = "4711"
		list.create()
		Eventually(get(list.SIFScan)).Should(HaveField("Status.Containers", HaveValue(HaveField("Found", int32(128)))))
		Eventually(get(list.SIFScan)).Should(WithTransform(conditionsOf, ContainSubstring("Complete=True")))
		Expect(reportsOf(scan)).To(Equal(before), "no image was read")
	})

	It("are looked at by an opener of two capabilities and read by a scanner that has none", func() {
		const ptraceAndSearch = "0000000000080004"
		Expect(seen["opener"]).To(Equal(observed{name: "opener", uid: "0 0 0 0", effective: ptraceAndSearch, bounding: ptraceAndSearch, seccomp: "2", noNewPrivileges: "1"}))
		Expect(seen["scanner"]).To(Equal(observed{name: "scanner", uid: "65530 65530 65530 65530", effective: "0000000000000000", bounding: "0000000000000000",
			seccomp: "2", noNewPrivileges: "1"}))
	})

	It("leave nothing in the namespace of the pods that looked at them", func() {
		mine := []client.ListOption{client.InNamespace(nodeNamespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)}}
		Eventually(func() (int, error) {
			accounts := &corev1.ServiceAccountList{}
			err := admin.List(ctx, accounts, mine...)
			return len(accounts.Items), err
		}).Should(BeZero(), "a ServiceAccount of a run that is over")
	})
})

// observed is what the kernel says of a container's process.
type observed struct{ name, uid, effective, bounding, seccomp, noNewPrivileges string }

// observeNodePods watches the pods of a scan of nodes until it has seen an opener and a scanner at work.
func observeNodePods(scan *v1alpha1.SIFScan) map[string]observed {
	GinkgoHelper()
	seen := map[string]observed{}
	mine := []client.ListOption{client.InNamespace(nodeNamespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)}}
	Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(admin.List(ctx, pods, mine...)).To(Succeed())
		for i := range pods.Items {
			for _, name := range []string{"opener", "scanner"} {
				if p, ok := agentOf(pods.Items[i].UID, subcommands[name]); ok {
					if o, err := p.observe(); err == nil && o.name == "node-agent" {
						o.name = name
						seen[name] = o
					}
				}
			}
		}
		g.Expect(seen).To(HaveLen(2))
	}).WithPolling(pollClosely).Should(Succeed())
	return seen
}

func (p process) observe() (o observed, err error) {
	text, err := os.ReadFile(p.file("status"))
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.Join(strings.Fields(value), " ")
		switch name {
		case "Name":
			o.name = value
		case "Uid":
			o.uid = value
		case "CapEff":
			o.effective = value
		case "CapBnd":
			o.bounding = value
		case "Seccomp":
			o.seccomp = value
		case "NoNewPrivs":
			o.noNewPrivileges = value
		}
	}
	return o, err
}
