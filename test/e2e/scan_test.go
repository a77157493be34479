// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// mountPath is where the users of a site see its volume.
const mountPath = "/shared"

// wrapper builds a SIFScan. Methods can be chained.
type wrapper struct{ *v1alpha1.SIFScan }

// scan begins a SIFScan of the site's volume.
func (s *site) scan() wrapper {
	return wrapper{&v1alpha1.SIFScan{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "images"},
		Spec: v1alpha1.SIFScanSpec{
			Target: v1alpha1.Target{Volume: &v1alpha1.VolumeTarget{ClaimName: claimName, MountPath: mountPath}},
			// Little is asked for, so that several pods find room on a small node at a time.
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
			}},
		},
	}}
}

func (w wrapper) paths(paths ...v1alpha1.PathPattern) wrapper {
	w.Spec.Target.Volume.Paths = paths
	return w
}

func (w wrapper) exclude(patterns ...v1alpha1.PathPattern) wrapper {
	w.Spec.Target.Volume.Exclude = patterns
	return w
}

func (w wrapper) limit(name corev1.ResourceName, quantity string) wrapper {
	if w.Spec.Resources.Limits == nil {
		w.Spec.Resources.Limits = corev1.ResourceList{}
	}
	w.Spec.Resources.Limits[name] = resource.MustParse(quantity)
	return w
}

func (w wrapper) ttl(d time.Duration) wrapper {
	w.Spec.TTLAfterFinished = &metav1.Duration{Duration: d}
	return w
}

func (w wrapper) suspended() wrapper {
	w.Spec.Suspend = true
	return w
}

// create creates the SIFScan.
func (w wrapper) create() *v1alpha1.SIFScan {
	GinkgoHelper()
	Expect(admin.Create(ctx, w.SIFScan)).To(Succeed())
	return w.SIFScan
}

// change updates an object over whatever happened to it meanwhile.
func change[T client.Object](obj T, fn func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		fn(obj)
		return admin.Update(ctx, obj)
	}).Should(Succeed())
}

// rescan asks for another run of the same spec.
func rescan(scan *v1alpha1.SIFScan, value string) {
	GinkgoHelper()
	change(scan, func(s *v1alpha1.SIFScan) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, value)
	})
}
