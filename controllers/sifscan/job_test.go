// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/golden"
)

func TestBuildJob(t *testing.T) {
	for _, tc := range []struct {
		name, golden string
		scan         *scanWrapper
		identity     Identity
	}{
		{"a claim and nothing else gives every default", "job-defaults.yaml", makeScan(), config.Identity},
		{"every field has its place", "job-every-field.yaml", makeScan().with(everySetting).with(func(s *v1alpha1.SIFScan) {
			s.Name = "a-name-that-is-longer-than-a-job-may-have.example"
			s.Spec.Deadline = &metav1.Duration{Duration: 8 * time.Hour}
			s.Spec.Resources = corev1.ResourceRequirements{
				Limits:   quantities("cpu", "3500m", "memory", "8Gi", "ephemeral-storage", "1Gi"),
				Requests: quantities("memory", "2Gi"),
			}
			s.Spec.Scheduling = v1alpha1.Scheduling{
				NodeSelector: map[string]string{"pool": "scan"},
				Tolerations:  []corev1.Toleration{{Key: "hpc", Operator: corev1.TolerationOpExists}},
				Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
						MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}},
					}}},
				}},
				PriorityClassName: "low",
				SchedulerName:     "slurm-bridge",
				QueueName:         "scans",
				Labels:            map[string]string{"team": "hpc", v1alpha1.LabelManagedBy: "somebody-else"},
				Annotations:       map[string]string{"sidecar.istio.io/inject": "false"},
			}
		}), Identity{User: 4242, Group: 100, SupplementalGroups: []int64{2000, 2001}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scan := tc.scan.obj()
			job := BuildJob(JobInputs{Scan: scan, Run: RunID(scan), Config: config, Identity: tc.identity, ClaimUIDs: []types.UID{claimUID}})
			compareWithGolden(t, tc.golden, job)
			if diff := cmp.Diff(tc.scan.obj(), scan); diff != "" {
				t.Errorf("BuildJob changed its input:\n%s", diff)
			}
		})
	}
}

// compareWithGolden compares a Job with a file in testdata.
func compareWithGolden(t *testing.T, name string, job *batchv1.Job) {
	t.Helper()
	got, err := yaml.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, name, got)
}

// What follows holds for every Job, whatever the SIFScan says. It is told apart from the golden
// files so that rewriting those cannot lose it.
func TestEveryScanPod(t *testing.T) {
	scan := makeScan().with(everySetting).obj()
	pod := BuildJob(JobInputs{Scan: scan, Run: RunID(scan), Config: config, Identity: config.Identity, ClaimUIDs: []types.UID{claimUID}}).Spec.Template.Spec
	scanner, reporter := pod.Containers[0], pod.InitContainers[0]

	for claim, holds := range map[string]bool{
		"mounts no token by itself":                 pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken,
		"has no fsGroup":                            pod.SecurityContext.FSGroup == nil,
		"has the claim read-only in the volume":     pod.Volumes[0].PersistentVolumeClaim.ReadOnly,
		"has the claim read-only in the mount":      mountOf(scanner, targetVolume).ReadOnly,
		"gives the scanner no token":                mountOf(scanner, tokenVolume) == nil,
		"gives the reporter no image":               mountOf(reporter, targetVolume) == nil,
		"gives the reporter results it cannot edit": mountOf(reporter, resultsVolume).ReadOnly,
		"gives the scanner state it cannot edit":    mountOf(scanner, stateVolume).ReadOnly,
		"shares no host namespace":                  !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
		"does not choose its node":                  pod.NodeName == "",
		"has a reporter that outlives the scanner":  *reporter.RestartPolicy == corev1.ContainerRestartPolicyAlways,
	} {
		if !holds {
			t.Errorf("the scan pod no longer %s", claim)
		}
	}
	for _, c := range []corev1.Container{scanner, reporter} {
		if len(c.SecurityContext.Capabilities.Add) > 0 || !slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("container %s has capabilities", c.Name)
		}
	}
}

func mountOf(c corev1.Container, volume string) *corev1.VolumeMount {
	for i := range c.VolumeMounts {
		if c.VolumeMounts[i].Name == volume {
			return &c.VolumeMounts[i]
		}
	}
	return nil
}

func TestUserTextReachesTheAgentAsItIs(t *testing.T) {
	const hostile = `$(POD_NAMESPACE) $$(X) --exclude=/ "; rm`
	scan := makeScan().volume(func(v *v1alpha1.VolumeTarget) {
		v.SubPath, v.MountPath = hostile, "/"+hostile
		v.Paths = []v1alpha1.PathPattern{hostile, "--engine=other"}
		v.Exclude = []v1alpha1.PathPattern{hostile}
		v.FileNames = []v1alpha1.NamePattern{hostile}
	}).obj()
	pod := BuildJob(JobInputs{Scan: scan, Run: RunID(scan), Config: config, ClaimUIDs: []types.UID{claimUID}}).Spec.Template.Spec

	// Kubelet's expansion, of text without any $(NAME) left: every $$ becomes $.
	expand := func(args []string) []string {
		var out []string
		for _, arg := range args {
			if strings.Contains(strings.ReplaceAll(arg, "$$", ""), "$") {
				t.Errorf("kubelet would expand %q", arg)
			}
			out = append(out, strings.ReplaceAll(arg, "$$", "$"))
		}
		return out
	}
	args := expand(pod.Containers[0].Args)
	end := slices.Index(args, "--")
	if diff := cmp.Diff([]string{hostile, "--engine=other"}, args[end+1:]); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	for _, want := range []string{"--exclude=" + hostile, "--file-name=" + hostile, "--volume=/target=/" + hostile} {
		if !slices.Contains(args[:end], want) {
			t.Errorf("the scanner is not given %q", want)
		}
	}
	if want := "--claim=shared=" + string(claimUID) + "=" + hostile; !slices.Contains(expand(pod.InitContainers[0].Args), want) {
		t.Errorf("the reporter is not given %q", want)
	}
	if got := mountOf(pod.Containers[0], targetVolume).SubPath; got != hostile {
		t.Errorf("subPath = %q: kubelet takes it as it is", got)
	}
}

func TestJobIsFailedAtOnceByAnAgentOfAnotherVersion(t *testing.T) {
	rules := makeScan().job().Spec.PodFailurePolicy.Rules
	last := rules[len(rules)-1]
	want := batchv1.PodFailurePolicyRule{
		Action: batchv1.PodFailurePolicyActionFailJob,
		OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: ptr.To("scanner"), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{2},
		},
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("last rule (-want +got):\n%s", diff)
	}
}

// The reporter's word comes first: a crash has the exit code of a usage error.
func TestAScannerThatCrashedIsNoneOfAnotherVersion(t *testing.T) {
	rules := makeScan().job().Spec.PodFailurePolicy.Rules
	want := batchv1.PodFailurePolicyRule{
		Action: batchv1.PodFailurePolicyActionCount,
		OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: ptr.To("reporter"), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{134},
		},
	}
	if diff := cmp.Diff(want, rules[len(rules)-2]); diff != "" {
		t.Errorf("last rule but one (-want +got):\n%s", diff)
	}
}

func TestASiteMayGiveScansAPriorityClassAndAScanAnother(t *testing.T) {
	site := config
	site.PriorityClass = "sifscan-low"
	for want, scan := range map[string]*scanWrapper{
		"sifscan-low": makeScan(),
		"urgent":      makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Scheduling.PriorityClassName = "urgent" }),
	} {
		if got := BuildJob(JobInputs{Scan: scan.obj(), Run: scan.run(), Config: site, ClaimUIDs: []types.UID{claimUID}}).Spec.Template.Spec.PriorityClassName; got != want {
			t.Errorf("priority class %q, want %q", got, want)
		}
	}
}

func TestJobBelongsToItsScan(t *testing.T) {
	scan := makeScan()
	job := scan.job()
	owner := metav1.GetControllerOf(job)
	if owner == nil || owner.UID != scan.UID {
		t.Fatalf("the controller of the Job is %v", owner)
	}
	if owner.BlockOwnerDeletion != nil {
		t.Error("blockOwnerDeletion is set: the operator has no right to set finalizers on SIFScans")
	}
	if job.Spec.TTLSecondsAfterFinished != nil {
		t.Error("the Job would delete itself before its outcome is stored")
	}
}
