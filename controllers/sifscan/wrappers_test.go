// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// epoch is when every test begins.
var epoch = time.Date(2026, 3, 1, 1, 30, 0, 0, time.UTC)

const claimUID = types.UID("c1a1m000-0000-4000-8000-000000000000")

var config = OperatorConfig{
	AgentImage: "sifscan.io/sifscan-node-agent:dev",
	Identity:   Identity{User: 65532, Group: 65532},
}

type scanWrapper struct{ v1alpha1.SIFScan }

// makeScan returns a SIFScan as kubectl would send it, without the API server's defaults.
func makeScan() *scanWrapper {
	return &scanWrapper{v1alpha1.SIFScan{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: "shared-images", UID: "5ca00000-0000-4000-8000-000000000000", Generation: 1},
		Spec:       v1alpha1.SIFScanSpec{Target: v1alpha1.Target{Volume: &v1alpha1.VolumeTarget{ClaimName: "shared"}}},
	}}
}

func (w *scanWrapper) obj() *v1alpha1.SIFScan { return w.SIFScan.DeepCopy() }

func (w *scanWrapper) with(change func(*v1alpha1.SIFScan)) *scanWrapper {
	change(&w.SIFScan)
	return w
}

func (w *scanWrapper) volume(change func(*v1alpha1.VolumeTarget)) *scanWrapper {
	change(w.Spec.Target.Volume)
	return w
}

func (w *scanWrapper) qscanner(change func(*v1alpha1.QscannerEngine)) *scanWrapper {
	change(w.Spec.Scanner.Qscanner)
	return w
}

func (w *scanWrapper) annotation(key, value string) *scanWrapper {
	metav1.SetMetaDataAnnotation(&w.ObjectMeta, key, value)
	return w
}

func (w *scanWrapper) run() string { return RunID(&w.SIFScan) }

// job is the run's Job as the operator creates it.
func (w *scanWrapper) job() *batchv1.Job {
	job := BuildJob(JobInputs{Scan: w.obj(), Run: w.run(), Config: config, Identity: config.Identity, ClaimUIDs: []types.UID{claimUID}})
	job.UID = "a10b0000-0000-4000-8000-000000000000"
	job.CreationTimestamp = metav1.NewTime(epoch)
	return job
}

type podWrapper struct{ corev1.Pod }

// makePod returns a pod as the Job controller makes it: no kubelet has seen it yet.
func makePod(job *batchv1.Job) *podWrapper {
	return &podWrapper{corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name + "-0-abcde", CreationTimestamp: metav1.NewTime(epoch.Add(time.Second)),
			Labels:          job.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec:   *job.Spec.Template.Spec.DeepCopy(),
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}}
}

// obj is the pod as a cache shows it.
func (w *podWrapper) obj() *corev1.Pod { return cached(&w.Pod) }

func (w *podWrapper) named(name string) *podWrapper { w.Name = name; return w }

func (w *podWrapper) created(t time.Time) *podWrapper {
	w.CreationTimestamp = metav1.NewTime(t)
	return w
}

func (w *podWrapper) on(node string) *podWrapper { w.Spec.NodeName = node; return w }

func (w *podWrapper) phase(phase corev1.PodPhase) *podWrapper { w.Status.Phase = phase; return w }

func (w *podWrapper) failed(reason, message string) *podWrapper {
	w.Status.Phase, w.Status.Reason, w.Status.Message = corev1.PodFailed, reason, message
	return w
}

func (w *podWrapper) condition(kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) *podWrapper {
	w.Status.Conditions = append(w.Status.Conditions, corev1.PodCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(epoch.Add(2 * time.Second))})
	return w
}

func (w *podWrapper) scannerEnded(code int32, reason, message string) *podWrapper {
	w.Status.ContainerStatuses = append(w.Status.ContainerStatuses, corev1.ContainerStatus{
		Name:  scannerContainer,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}},
	})
	if w.Status.Phase = corev1.PodSucceeded; code != 0 {
		w.Status.Phase = corev1.PodFailed
	}
	return w
}

func (w *podWrapper) reporterEnded(code int32) *podWrapper {
	w.Status.InitContainerStatuses = append(w.Status.InitContainerStatuses, corev1.ContainerStatus{
		Name: reporterContainer, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}},
	})
	return w
}

// copierEnded is the end of a container that prepares the pod: the scanner never ran.
func (w *podWrapper) copierEnded(code int32, reason, message string) *podWrapper {
	w.waits(scannerContainer, "PodInitializing", "")
	w.Status.InitContainerStatuses = append(w.Status.InitContainerStatuses, corev1.ContainerStatus{
		Name:  copyEngineContainer,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}},
	})
	w.Status.Phase = corev1.PodFailed
	return w
}

func (w *podWrapper) waits(container, reason, message string) *podWrapper {
	status := corev1.ContainerStatus{Name: container, Image: config.AgentImage,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
	if container == reporterContainer {
		w.Status.InitContainerStatuses = append(w.Status.InitContainerStatuses, status)
	} else {
		w.Status.ContainerStatuses = append(w.Status.ContainerStatuses, status)
	}
	return w
}

type inventoryWrapper struct{ v1alpha1.ScanInventory }

func makeInventory(job string, worker, chunk int32) *inventoryWrapper {
	return &inventoryWrapper{v1alpha1.ScanInventory{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: inventoryName(job, worker, chunk)},
		Worker:     v1alpha1.InventoryWorker{Index: worker},
	}}
}

func (w *inventoryWrapper) total(n int32) *inventoryWrapper { w.Worker.Total = ptr.To(n); return w }

// entries adds n entries with an outcome; those that were read have a report each.
func (w *inventoryWrapper) entries(n int, outcome v1alpha1.EntryOutcome) *inventoryWrapper {
	for range n {
		path := fmt.Sprintf("%d.sif", len(w.Entries))
		entry := v1alpha1.InventoryEntry{Path: path, Outcome: outcome, CheckedAt: metav1.NewTime(epoch)}
		if outcome == v1alpha1.EntryScanned || outcome == v1alpha1.EntryUnchanged {
			entry.Report = "sr-" + path
		}
		w.Entries = append(w.Entries, entry)
	}
	return w
}

func makeReport(name string, annotations ...string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: name}}
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, annotations[i], annotations[i+1])
	}
	return m
}

func quantities(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}
