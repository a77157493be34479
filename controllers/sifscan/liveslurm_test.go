// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestOnlyPodsOfANodeSetSayThatSlurmDrainsTheirNode(t *testing.T) {
	version := schema.GroupVersion{Group: slinkyNodeSets.Group, Version: "v1beta1"}
	set := &metav1.PartialObjectMetadata{}
	set.SetGroupVersionKind(version.WithKind(slinkyNodeSets.Kind))
	set.SetNamespace("slurm")
	set.SetName("gpu")
	set.SetUID("set")
	for name, tc := range map[string]struct {
		change  func(*corev1.Pod)
		unknown bool // the cluster does not know NodeSets
		want    bool
	}{
		"a pod of the set":                 {func(*corev1.Pod) {}, false, true},
		"of an older version of the set":   {func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "slinky.slurm.net/v1alpha1" }, false, true},
		"a pod that nobody controls":       {func(p *corev1.Pod) { p.OwnerReferences = nil }, false, false},
		"a pod that the set only owns":     {func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil }, false, false},
		"a pod of something else":          {func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "StatefulSet" }, false, false},
		"a pod of another group's NodeSet": {func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "evil.net/v1" }, false, false},
		"a pod in another namespace":       {func(p *corev1.Pod) { p.Namespace = "tenant" }, false, false},
		"a pod of a set that was deleted":  {func(p *corev1.Pod) { p.OwnerReferences[0].UID = "old" }, false, false},
		"a pod where there are no sets":    {func(*corev1.Pod) {}, true, false},
		"a pod with other labels":          {func(p *corev1.Pod) { delete(p.Labels, "app.kubernetes.io/name") }, false, false},
		"a pod that ended":                 {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			scheme, mapper := runtime.NewScheme(), meta.NewDefaultRESTMapper([]schema.GroupVersion{version})
			if err := clientgoscheme.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			pod := &slurmd(func(p *corev1.Pod) {
				p.Annotations, p.Labels = map[string]string{slinkyPodCordon: "true"}, maps.Clone(slinkyWorkers)
			})[0]
			tc.change(pod)
			api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(pod)
			if !tc.unknown {
				mapper.Add(version.WithKind(slinkyNodeSets.Kind), meta.RESTScopeNamespace)
				metav1.AddToGroupVersion(scheme, version)
				api = api.WithObjects(set)
			}
			server := api.WithRESTMapper(mapper).Build()
			got, err := (&Reconciler{Client: cacheOf(server), Live: server}).drainedWorkers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, drained := got["n1"]; drained != tc.want {
				t.Errorf("nodes out of service: %v, want n1 among them: %v", got, tc.want)
			}
		})
	}
}
