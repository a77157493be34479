// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var _ = It("A scan pod is let into a namespace whose quota counts requests and limits", func() {
	namespace := newNamespace()
	hard := quantities("requests.cpu", "4", "requests.memory", "8Gi", "limits.cpu", "8", "limits.memory", "16Gi", "pods", "10")
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "compute"},
		Spec:       corev1.ResourceQuotaSpec{Hard: hard},
	}
	Expect(admin.Create(ctx, quota)).To(Succeed())
	// The quota controller's part: there is none here.
	quota.Status = corev1.ResourceQuotaStatus{
		Hard: hard, Used: quantities("requests.cpu", "0", "requests.memory", "0", "limits.cpu", "0", "limits.memory", "0", "pods", "0"),
	}
	Expect(admin.Status().Update(ctx, quota)).To(Succeed())
	_, job := startedScan(namespace)
	unlimited := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "unlimited"},
		Spec:       *job.Spec.Template.Spec.DeepCopy(),
	}
	unlimited.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	Eventually(func() error { return admin.Create(ctx, unlimited) }).Should(
		MatchError(ContainSubstring("must specify limits.cpu")), "the quota is in force")
	startPod(job, "a")
})
