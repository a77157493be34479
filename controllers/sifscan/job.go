// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// exitUsage is the scanner's exit code for a command line it does not understand. Operator and
// agent image then differ in version, and trying again changes nothing.
const exitUsage = 2

// exitCrash is the reporter's exit code where the scanner crashed and has exitUsage, too, as whatever Go's runtime ends.
const exitCrash = 128 + 6

// JobInputs is everything that a scan Job is made from.
type JobInputs struct {
	Scan *v1alpha1.SIFScan
	Run  string
	// Workers that share the images. Default: 1.
	Workers  int32
	Config   OperatorConfig
	Identity Identity
	// Database to match packages with; nil: none.
	Database *v1alpha1.DatabaseSource
	// JavaDB that qscanner reads; nil: none.
	JavaDB *v1alpha1.DatabaseSource
	// ReportsUID is the UID of the claim that documents are kept on; empty where there is none.
	ReportsUID types.UID
	// ClaimUIDs of the claims that are scanned tell volumes apart that had the same name one after the other.
	ClaimUIDs []types.UID
}

// BuildJob returns the Job of a run. The same inputs give the same Job.
func BuildJob(in JobInputs) *batchv1.Job {
	in.Workers = max(in.Workers, 1)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: in.Scan.Namespace,
			Name:      JobName(in.Scan.Name, in.Run),
			Labels:    in.labels(),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(),
				Kind:       "SIFScan",
				Name:       in.Scan.Name,
				UID:        in.Scan.UID,
				Controller: ptr.To(true),
			}},
		},
		Spec: batchv1.JobSpec{
			CompletionMode:       ptr.To(batchv1.IndexedCompletion),
			Completions:          ptr.To(in.Workers),
			Parallelism:          ptr.To(in.Workers),
			BackoffLimitPerIndex: ptr.To[int32](backoffLimit),
			// Two pods of one worker would write one inventory.
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			PodFailurePolicy:     podFailures(),
			Template:             in.podTemplate(),
		},
	}
	enqueue(job, &in.Scan.Spec.Scheduling)
	return job
}

// podFailures are the deaths of a pod that are nobody's fault, and the one that every other pod would die.
func podFailures() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
		}},
	},
		onExit(reporterContainer, exitCrash, batchv1.PodFailurePolicyActionCount), // the first rule that matches decides
		onExit(scannerContainer, exitUsage, batchv1.PodFailurePolicyActionFailJob),
	}}
}

func onExit(container string, code int32, action batchv1.PodFailurePolicyAction) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
		ContainerName: ptr.To(container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{code},
	}}
}

func (in JobInputs) labels() map[string]string {
	return map[string]string{
		v1alpha1.LabelScan:      v1alpha1.LabelValue(in.Scan.Name),
		v1alpha1.LabelScanUID:   string(in.Scan.UID),
		v1alpha1.LabelRun:       in.Run,
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
	}
}
