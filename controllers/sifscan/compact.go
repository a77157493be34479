// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"slices"
	"unique"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Of a SIFScan whose run is over the caches hold the SIFScan, its Job and its inventories' metadata, thousands of each. Half of
// what they take are texts that they repeat: here they get them in common.

// common returns a text that equals s, and for the same s the same memory.
func common[T ~string](s T) T { return unique.Make(s).Value() }

// compactMeta compacts what every object has, and drops what nobody reads from a cache.
func compactMeta(kind *metav1.TypeMeta, m *metav1.ObjectMeta) {
	kind.Kind, kind.APIVersion = common(kind.Kind), common(kind.APIVersion)
	m.ManagedFields = nil
	m.Namespace, m.UID = common(m.Namespace), common(m.UID)
	m.Labels = compactMap(m.Labels)
	for i := range m.OwnerReferences {
		o := &m.OwnerReferences[i]
		o.APIVersion, o.Kind, o.Name, o.UID = common(o.APIVersion), common(o.Kind), common(o.Name), common(o.UID)
	}
}

func compactMap(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	compact := make(map[string]string, len(m))
	for key, value := range m {
		compact[common(key)] = common(value)
	}
	return compact
}

// compactScan drops of a SIFScan what kubectl apply left in it, a copy of its spec. Of its metadata the operator
// writes nothing.
func compactScan(scan *v1alpha1.SIFScan) {
	compactMeta(&scan.TypeMeta, &scan.ObjectMeta)
	delete(scan.Annotations, corev1.LastAppliedConfigAnnotation)
	scan.Status.RunID = common(scan.Status.RunID)
	scan.Status.Conditions = slices.Clone(scan.Status.Conditions) // decoding JSON leaves room for as many again
	for i := range scan.Status.Conditions {
		c := &scan.Status.Conditions[i]
		c.Type, c.Status, c.Reason, c.Message = common(c.Type), common(c.Status), common(c.Reason), common(c.Message)
	}
}

// compactJob strips a Job of what the operator wrote into it itself and never reads again: a Job is kept for a day
// after its scan, and its template is most of it.
func compactJob(job *batchv1.Job) {
	compactMeta(&job.TypeMeta, &job.ObjectMeta)
	job.Spec = batchv1.JobSpec{Suspend: job.Spec.Suspend, Completions: job.Spec.Completions, Parallelism: job.Spec.Parallelism}
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		c.Type, c.Status, c.Reason, c.Message = common(c.Type), common(c.Status), common(c.Reason), common(c.Message)
	}
}

// compactPod strips a pod likewise.
func compactPod(pod *corev1.Pod) {
	compactMeta(&pod.TypeMeta, &pod.ObjectMeta)
	pod.Spec = corev1.PodSpec{NodeName: common(pod.Spec.NodeName), Containers: keepLimits(pod.Spec.Containers)}
}

func keepLimits(containers []corev1.Container) []corev1.Container {
	kept := make([]corev1.Container, len(containers))
	for i := range containers {
		kept[i] = corev1.Container{Name: common(containers[i].Name), Resources: containers[i].Resources}
	}
	return kept
}

// compact is what the caches hold of an object that is not stripped otherwise. Unknown kinds stay as they are: see Caches.
func compact(obj any) (any, error) {
	switch o := obj.(type) {
	case *v1alpha1.SIFScan:
		compactScan(o)
	case *batchv1.Job:
		compactJob(o)
	case *corev1.Pod:
		compactPod(o)
	case *metav1.PartialObjectMetadata:
		compactMeta(&o.TypeMeta, &o.ObjectMeta)
	}
	return obj, nil
}

// keepIdentity strips metadata down to what tells objects apart.
func keepIdentity(obj any) (any, error) {
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		m.ObjectMeta = metav1.ObjectMeta{
			Namespace: common(m.Namespace), Name: m.Name, UID: m.UID,
			ResourceVersion: m.ResourceVersion, DeletionTimestamp: m.DeletionTimestamp,
		}
		m.TypeMeta = metav1.TypeMeta{Kind: common(m.Kind), APIVersion: common(m.APIVersion)}
	}
	return obj, nil
}
