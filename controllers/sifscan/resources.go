// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Defaults of the scanner, each where the SIFScan does not set it.
var (
	defaultLimits = corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("2"),
		corev1.ResourceMemory: resource.MustParse("4Gi"),
	}
	defaultRequests = corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("250m"),
		corev1.ResourceMemory: resource.MustParse("256Mi"),
	}
)

// The reporter streams files of bounded size and holds one inventory: it needs little, and the
// same for every scan. It has every limit that a namespace's ResourceQuota may count, or no pod
// would be let in there.
var reporterResources = corev1.ResourceRequirements{
	Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("50m"),
		corev1.ResourceMemory: resource.MustParse("64Mi"),
	},
	Limits: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("1"),
		corev1.ResourceMemory: resource.MustParse("256Mi"),
	},
}

// checkResources refuses what the API server would refuse of the pod, in words about the SIFScan.
func checkResources(asked corev1.ResourceRequirements) error {
	for name, request := range asked.Requests {
		if limit, ok := asked.Limits[name]; ok && request.Cmp(limit) > 0 {
			return &hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec, message: fmt.Sprintf(
				"spec.resources.requests.%s is %s, more than the limit of %s: lower it, or raise spec.resources.limits.%s",
				name, request.String(), limit.String(), name)}
		}
	}
	return nil
}

// scannerResources fills in the defaults. No default makes a request exceed its limit: a lower
// limit lowers the default request, a higher request raises the default limit.
func scannerResources(asked corev1.ResourceRequirements) corev1.ResourceRequirements {
	out := *asked.DeepCopy()
	if out.Limits == nil {
		out.Limits = corev1.ResourceList{}
	}
	if out.Requests == nil {
		out.Requests = corev1.ResourceList{}
	}
	for name, limit := range defaultLimits {
		if _, ok := out.Limits[name]; ok {
			continue
		}
		if request, ok := out.Requests[name]; ok && request.Cmp(limit) > 0 {
			limit = request
		}
		out.Limits[name] = limit
	}
	for name, request := range defaultRequests {
		if _, ok := out.Requests[name]; ok {
			continue
		}
		if limit := out.Limits[name]; request.Cmp(limit) > 0 {
			request = limit
		}
		out.Requests[name] = request
	}
	return out
}

// goEnv tells the Go runtime of its limits, which it does not read from the cgroup's memory
// controller at all. The tenth that GOMEMLIMIT leaves is for what the runtime does not count:
// stacks of the kernel, page tables, mapped files.
func goEnv(limits corev1.ResourceList) []corev1.EnvVar {
	var env []corev1.EnvVar
	if memory := limits.Memory().Value(); memory > 0 {
		env = append(env, corev1.EnvVar{Name: "GOMEMLIMIT", Value: strconv.FormatInt(memory/10*9, 10)})
	}
	if cpu := limits.Cpu(); !cpu.IsZero() {
		// Value rounds up.
		env = append(env, corev1.EnvVar{Name: "GOMAXPROCS", Value: strconv.FormatInt(cpu.Value(), 10)})
	}
	return env
}
