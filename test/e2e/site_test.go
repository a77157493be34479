// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// claimName of every site's volume.
const claimName = "shared-images"

// site is what a group of users has: a namespace that enforces Pod Security "restricted", and a
// shared volume, which is a directory of this machine.
type site struct {
	namespace string
	// dir is the volume's root, as its file server sees it.
	dir string
}

// newSite makes a site whose volume is empty.
func newSite() *site {
	GinkgoHelper()
	s := siteWithoutClaim()
	s.claim()
	return s
}

// siteWithoutClaim makes a site whose PersistentVolumeClaim is not there yet.
func siteWithoutClaim() *site {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "hpc-", Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted",
	}}}
	createNamespace(ns)
	s := &site{namespace: ns.Name}
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			s.explain()
		}
		Expect(client.IgnoreNotFound(admin.Delete(ctx, ns))).To(Succeed())
	})
	var err error
	s.dir, err = os.MkdirTemp("", "sifscan-e2e-volume-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, s.dir)
	Expect(os.Chmod(s.dir, 0o755)).To(Succeed())
	s.volume()
	return s
}

// createNamespace creates a namespace and waits for its account: until that is there it takes no pods.
func createNamespace(ns *corev1.Namespace) {
	GinkgoHelper()
	Expect(admin.Create(ctx, ns)).To(Succeed())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}}
	Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(account), account) }).Should(Succeed())
}

// volume makes the PersistentVolume.
func (s *site) volume() {
	GinkgoHelper()
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              s.namespace,
			ClaimRef:                      &corev1.ObjectReference{Namespace: s.namespace, Name: claimName},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: s.dir, Type: ptr.To(corev1.HostPathDirectory)},
			},
		},
	}
	Expect(admin.Create(ctx, volume)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, volume))).To(Succeed()) })
}

// claim makes the PersistentVolumeClaim.
func (s *site) claim() *corev1.PersistentVolumeClaim {
	GinkgoHelper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: claimName},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			StorageClassName: &s.namespace,
			VolumeName:       s.namespace,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	Expect(admin.Create(ctx, claim)).To(Succeed())
	return claim
}

// getClaim returns the PersistentVolumeClaim as it is now.
func (s *site) getClaim() *corev1.PersistentVolumeClaim {
	GinkgoHelper()
	claim := &corev1.PersistentVolumeClaim{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: claimName}, claim)).To(Succeed())
	return claim
}

// annotated sets an annotation of the namespace, as an administrator does.
func (s *site) annotated(key, value string) *site {
	GinkgoHelper()
	change(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, func(ns *corev1.Namespace) {
		metav1.SetMetaDataAnnotation(&ns.ObjectMeta, key, value)
	})
	return s
}

// image puts copies of an image on the volume.
func (s *site) image(i image, paths ...string) *site {
	GinkgoHelper()
	return s.file(string(i.content()), paths...)
}

// file puts files of one content on the volume.
func (s *site) file(content string, paths ...string) *site {
	GinkgoHelper()
	return s.with(func(t *fixtures.Tree) {
		for _, path := range paths {
			t.File(path, content)
		}
	})
}

// with puts whatever a tree can hold on the volume.
func (s *site) with(build func(*fixtures.Tree)) *site {
	GinkgoHelper()
	tree := fixtures.NewTree(s.dir)
	build(tree)
	Expect(tree.Done()).To(Succeed())
	return s
}

// path of a file of the volume on this machine.
func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// explain writes what a failed spec leaves to the spec's output.
func (s *site) explain() {
	for _, args := range [][]string{
		{"get", "sifscan,scanreport,job,pod", "-o", "wide"},
		{"get", "sifscan", "-o", `jsonpath={range .items[*]}{.metadata.name}{range .status.conditions[*]}{"\n  "}{.type}={.status} {.reason}: {.message}{end}{"\n"}{end}`},
		{"get", "scaninventory", "-o", "yaml"},
		{"get", "scanreport", "-o", `jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations}{"\n"}{end}`},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"logs", "--selector=app.kubernetes.io/managed-by=sifscan-operator", "--all-containers", "--prefix", "--tail=40"},
	} {
		out, _ := tryKubectl("", append([]string{"-n", s.namespace}, args...)...) // it fails where there is nothing to show
		GinkgoWriter.Printf("\n--- kubectl -n %s %s\n%s\n", s.namespace, strings.Join(args, " "), ending(out))
	}
}

// ending returns the last part of a long text.
func ending(text string) string {
	const most = 12 << 10
	if len(text) > most {
		return "[…]" + text[len(text)-most:]
	}
	return text
}
