// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reporter runs both halves of a scan pod, under the reporter's own account and the
// admission policies, against a real kube-apiserver and etcd.
package reporter

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	agent "github.com/sifscan/sifscan-operator/node-agent/reporter"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

const assets = "KUBEBUILDER_ASSETS"

var (
	ctx        = context.Background()
	restConfig *rest.Config
	scheme     = runtime.NewScheme()
	admin      client.Client
	// good is an image of an Alpine with three packages.
	good []byte
)

func TestReporter(t *testing.T) {
	if os.Getenv(assets) == "" {
		t.Fatalf("%s is not set: run make test-integration, or name a folder that holds etcd, kube-apiserver and kubectl", assets)
	}
	SetDefaultEventuallyTimeout(30 * time.Second)
	RegisterFailHandler(Fail)
	RunSpecs(t, "Reporter on a real API server")
}

var _ = BeforeSuite(func() {
	logf.SetLogger(logr.Discard())
	Expect(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))).To(Succeed())
	control := &envtest.Environment{}
	var err error
	restConfig, err = control.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(control.Stop()).To(Succeed()) })
	restConfig.QPS, restConfig.Burst = 500, 500
	admin, err = client.New(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, control.KubeConfig, 0o600)).To(Succeed())
	out, err := exec.Command(filepath.Join(os.Getenv(assets), "kubectl"), "--kubeconfig", kubeconfig,
		"apply", "--server-side", "-k", filepath.Join("..", "..", "..", "config", "default")).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))

	dir := GinkgoT().TempDir()
	tree := fixtures.NewTree(filepath.Join(dir, "tree"))
	fixtures.Alpine(tree)
	squashfs, sif := filepath.Join(dir, "squashfs"), filepath.Join(dir, "sif")
	Expect(errors.Join(tree.Done(), fixtures.Squashfs{}.Make(tree.Root, squashfs), fixtures.NewSIF("amd64").System(squashfs).Write(sif))).To(Succeed())
	good, err = os.ReadFile(sif)
	Expect(err).NotTo(HaveOccurred())

	// A policy takes a while to be in force after it was created.
	site := newSite()
	Eventually(func() error {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: site.namespace, GenerateName: "plain-"}}
		return site.account().Create(ctx, cm)
	}).Should(MatchError(ContainSubstring("ConfigMap")))
})

// site is a namespace with a claim and a SIFScan, and a directory that stands for the volume.
type site struct {
	namespace string
	claim     *corev1.PersistentVolumeClaim
	scan      *v1alpha1.SIFScan
	dir       string
	run       string
}

func newSite() *site {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "hpc-"}}
	Expect(admin.Create(ctx, ns)).To(Succeed())
	meta := metav1.ObjectMeta{Namespace: ns.Name, Name: v1alpha1.ReporterServiceAccount}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "shared"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	sifscan := &v1alpha1.SIFScan{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "images"},
		Spec:       v1alpha1.SIFScanSpec{Target: v1alpha1.Target{Volume: &v1alpha1.VolumeTarget{ClaimName: "shared"}}},
	}
	for _, obj := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: v1alpha1.ReporterClusterRole},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: meta.Name, Namespace: ns.Name}},
		},
		claim, sifscan,
	} {
		Expect(admin.Create(ctx, obj)).To(Succeed())
	}
	return &site{namespace: ns.Name, claim: claim, scan: sifscan, dir: GinkgoT().TempDir(), run: "v1-1"}
}

// account is a client with the reporter's rights.
func (s *site) account() client.WithWatch {
	GinkgoHelper()
	c := rest.CopyConfig(restConfig)
	c.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + s.namespace + ":" + v1alpha1.ReporterServiceAccount,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + s.namespace, "system:authenticated"},
	}
	out, err := client.NewWithWatch(c, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return out
}

func (s *site) image(names ...string) *site {
	GinkgoHelper()
	for _, name := range names {
		Expect(os.WriteFile(filepath.Join(s.dir, name), good, 0o644)).To(Succeed())
	}
	return s
}

// pod is one scan pod: two directories, and what of it ran.
type pod struct {
	site           *site
	results, state string
	opened         []string
	more           []agent.Claim // besides the site's
	grace          time.Duration // of the reporter, once it was told to end
	patience       time.Duration // of the scanner with the reporter
	shelf          *agent.Volume // for documents; nil: ConfigMaps
	asked          func(*scan.Scanner)
	index, workers int32 // of a run with several
}

func (s *site) pod() *pod {
	return &pod{site: s, results: GinkgoT().TempDir(), state: GinkgoT().TempDir(), grace: 20 * time.Second, patience: 20 * time.Second}
}

func (p *pod) options() agent.Options {
	s := p.site
	o := agent.Options{
		Namespace: s.namespace, Node: "n1", PodUID: "uid-of-pod", ScanName: s.scan.Name, ScanUID: string(s.scan.UID), Run: s.run, Job: s.scan.Name + "-" + s.run,
		Claims: append([]agent.Claim{{Name: s.claim.Name, UID: string(s.claim.UID)}}, p.more...), Engine: native.Name, ScanTypes: []string{"pkg"},
		Artifacts: v1alpha1.ArtifactsConfigMap, MaxFindings: 20, Rescan: v1alpha1.RescanWhenChanged, FlushEvery: 50 * time.Millisecond, Grace: p.grace,
		Worker: p.index, Workers: p.workers, LookEvery: 50 * time.Millisecond,
	}
	if p.shelf != nil {
		o.Artifacts, o.Volume = v1alpha1.ArtifactsVolume, p.shelf
	}
	return o
}

// start starts the reporter over api. The function it returns is the kubelet's SIGTERM, and returns the reporter's error.
func (p *pod) start(api client.Client) func() error {
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(running, api, p.results, p.state, p.options(), logr.Discard()) }()
	return func() error { cancel(); return <-ended }
}

// noting notes what is opened.
type noting struct {
	*scan.HandoverSink
	pod *pod
}

func (n noting) Begin(p scan.Place) error {
	n.pod.opened = append(n.pod.opened, p.Name)
	return n.HandoverSink.Begin(p)
}

// scanAll runs the scanner to its end.
func (p *pod) scanAll() (scan.Verdict, error) {
	GinkgoHelper()
	hand, err := handover.OpenScanner(p.results, p.state)
	Expect(err).NotTo(HaveOccurred())
	defer hand.Close()
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	known, err := hand.Known(waiting)
	Expect(err).NotTo(HaveOccurred())
	root, err := volume.OpenRoot(p.site.dir, "/shared")
	Expect(err).NotTo(HaveOccurred())
	defer root.Close()
	e, err := native.New()
	Expect(err).NotTo(HaveOccurred())
	scanner := &scan.Scanner{
		Engine: e, EngineVersion: native.Version, Formats: []engine.Format{engine.FormatSPDX}, Now: time.Now, Log: logr.Discard(),
	}
	if p.asked != nil {
		p.asked(scanner)
	}
	sink := noting{&scan.HandoverSink{Hand: hand, Dir: p.results, StoreTimeout: p.patience, Log: logr.Discard()}, p}
	if p.workers > 1 {
		wanted := scan.Wanted{Volumes: []scan.Volume{{Root: root, Spec: &volume.Spec{}}}}
		return scanner.RunShare(waiting, wanted, known, sink, scan.Share{Workers: int(p.workers), Index: int(p.index), List: hand})
	}
	return scanner.Volume(ctx, root, volume.Spec{}, known, sink)
}

// whole runs a pod from start to end.
func (p *pod) whole(api client.Client) *pod {
	GinkgoHelper()
	end := p.start(api)
	_, err := p.scanAll()
	Expect(err).NotTo(HaveOccurred())
	Expect(end()).To(Succeed())
	return p
}

func list[L client.ObjectList](s *site, into L) L {
	GinkgoHelper()
	Expect(admin.List(ctx, into, client.InNamespace(s.namespace))).To(Succeed())
	return into
}

func (s *site) reports() []v1alpha1.ScanReport { return list(s, &v1alpha1.ScanReportList{}).Items }

func (s *site) inventories() []v1alpha1.ScanInventory {
	return list(s, &v1alpha1.ScanInventoryList{}).Items
}

// artifacts are the names of the ConfigMaps with documents.
func (s *site) artifacts() []string {
	GinkgoHelper()
	var names []string
	all := &corev1.ConfigMapList{}
	Expect(admin.List(ctx, all, client.InNamespace(s.namespace), client.HasLabels{v1alpha1.LabelArtifactOf})).To(Succeed())
	for _, cm := range all.Items {
		names = append(names, cm.Name)
	}
	return names
}
