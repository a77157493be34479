// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestScannerResources(t *testing.T) {
	type requirements = corev1.ResourceRequirements
	for _, tc := range []struct {
		name string
		asks requirements
		want requirements
	}{
		{"nothing set", requirements{},
			requirements{Limits: quantities("cpu", "2", "memory", "4Gi"), Requests: quantities("cpu", "250m", "memory", "256Mi")}},
		{"a limit below the default request lowers the request", requirements{Limits: quantities("cpu", "100m", "memory", "128Mi")},
			requirements{Limits: quantities("cpu", "100m", "memory", "128Mi"), Requests: quantities("cpu", "100m", "memory", "128Mi")}},
		{"a request above the default limit raises the limit", requirements{Requests: quantities("cpu", "8", "memory", "16Gi")},
			requirements{Limits: quantities("cpu", "8", "memory", "16Gi"), Requests: quantities("cpu", "8", "memory", "16Gi")}},
		{"what is set stays", requirements{Limits: quantities("memory", "1Gi"), Requests: quantities("cpu", "1")},
			requirements{Limits: quantities("cpu", "2", "memory", "1Gi"), Requests: quantities("cpu", "1", "memory", "256Mi")}},
		{"other resources are copied", requirements{Limits: quantities("ephemeral-storage", "1Gi")},
			requirements{Limits: quantities("cpu", "2", "memory", "4Gi", "ephemeral-storage", "1Gi"), Requests: quantities("cpu", "250m", "memory", "256Mi")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, scannerResources(tc.asks)); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckResources(t *testing.T) {
	bad := corev1.ResourceRequirements{Limits: quantities("memory", "1Gi"), Requests: quantities("memory", "2Gi")}
	var h *hold
	if err := checkResources(bad); !errors.As(err, &h) || !h.stalled || h.reason != v1alpha1.ReasonInvalidSpec {
		t.Errorf("a request above its limit gives %v", err)
	}
	for _, good := range []corev1.ResourceRequirements{
		{}, {Requests: quantities("memory", "64Gi")}, {Limits: quantities("memory", "1Gi"), Requests: quantities("memory", "1Gi")},
	} {
		if err := checkResources(good); err != nil {
			t.Errorf("%v gives %v", good, err)
		}
	}
}

func TestGoEnv(t *testing.T) {
	for _, tc := range []struct {
		name   string
		limits corev1.ResourceList
		want   []corev1.EnvVar
	}{
		{"nine tenths of the memory, whole processors", quantities("cpu", "2", "memory", "1Gi"),
			[]corev1.EnvVar{{Name: "GOMEMLIMIT", Value: "966367638"}, {Name: "GOMAXPROCS", Value: "2"}}},
		{"a part of a processor is one", quantities("cpu", "100m"), []corev1.EnvVar{{Name: "GOMAXPROCS", Value: "1"}}},
		{"a part more is one more", quantities("cpu", "2100m"), []corev1.EnvVar{{Name: "GOMAXPROCS", Value: "3"}}},
		{"no limit, no setting", nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, goEnv(tc.limits)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryContainerHasWhatAQuotaMayCount(t *testing.T) {
	pod := BuildJob(makeScan().with(withQscanner).inputs(everyEngine())).Spec.Template.Spec
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		for list, amounts := range map[string]corev1.ResourceList{"requests": c.Resources.Requests, "limits": c.Resources.Limits} {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				if amount := amounts[name]; amount.IsZero() {
					t.Errorf("container %s has no %s.%s", c.Name, list, name)
				}
			}
		}
	}
	if n := len(pod.InitContainers); n < 3 {
		t.Errorf("%d init containers: the copiers are not among what was looked at", n)
	}
}
