// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// nodeSetKind is Slinky's kind of a group of slurmd pods, as far as the operator looks at it.
const nodeSetKind = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: nodesets.slinky.slurm.net}
spec:
  group: slinky.slurm.net
  scope: Namespaced
  names: {kind: NodeSet, plural: nodesets}
  versions:
  - {name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`

// nodeSetOf makes a NodeSet, and returns what its pods say of it.
func nodeSetOf(namespace string) metav1.OwnerReference {
	GinkgoHelper()
	kubectl("apply", "-f", writeFile("nodesets.yaml", nodeSetKind))
	set := &unstructured.Unstructured{}
	set.SetAPIVersion("slinky.slurm.net/v1beta1")
	set.SetKind("NodeSet")
	set.SetNamespace(namespace)
	set.SetName("gpu")
	Eventually(func() error { return client.IgnoreAlreadyExists(admin.Create(ctx, set)) }).Should(Succeed(), "the kind is served some time after it was made")
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(set), set)).To(Succeed())
	return metav1.OwnerReference{APIVersion: set.GetAPIVersion(), Kind: set.GetKind(), Name: set.GetName(), UID: set.GetUID(), Controller: ptr.To(true)}
}

var _ = Describe("What a tenant's pod says of its node", Serial, func() {
	It("is not believed, whatever its labels, annotations and owners are", func() {
		namespace := newNamespace()
		makeNode(namespace, namespace)
		of := nodeSetOf(newNamespace()) // somebody else's
		invented := of
		invented.UID = "5e700000-0000-4000-8000-000000000000"
		for name, owners := range map[string][]metav1.OwnerReference{"no-owner": nil, "of-another-namespace": {of}, "of-none": {invented}} {
			pod := slurmdPod(namespace, name, namespace)
			change(pod, func(p *corev1.Pod) {
				p.OwnerReferences = owners
				metav1.SetMetaDataAnnotation(&p.ObjectMeta, "nodeset.slinky.slurm.net/pod-cordon", "true")
			})
			pod.Status.Conditions = []corev1.PodCondition{{Type: "SlurmNodeStateDrain", Status: corev1.ConditionTrue}}
			Expect(admin.Status().Update(ctx, pod)).To(Succeed())
		}
		scan := scanOf(namespace, "running", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: namespace}})
		Expect(admin.Create(ctx, scan)).To(Succeed())
		listingOf(scan, namespace)
	})
})
