// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// asSeen reads an object as a tool does that knows nothing of its kind.
func asSeen(obj client.Object, kind string) *unstructured.Unstructured {
	GinkgoHelper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(obj), u)).To(Succeed())
	return u
}

// verdicts are what Flux (kstatus) and Argo CD (our Lua) make of an object.
func verdicts(obj client.Object, kind string) [2]string {
	GinkgoHelper()
	u := asSeen(obj, kind)
	result, err := status.Compute(u)
	Expect(err).NotTo(HaveOccurred())
	return [2]string{result.Status.String(), argo(u)}
}

// argo runs the health script as Argo CD does: with the object as the global obj.
func argo(u *unstructured.Unstructured) string {
	GinkgoHelper()
	script, err := os.ReadFile(filepath.Join("..", "..", "config", "argocd", "health.lua"))
	Expect(err).NotTo(HaveOccurred())
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	l.Push(l.NewFunction(lua.OpenBase))
	l.Call(0, 0)
	l.SetGlobal("obj", luaValue(l, u.Object))
	Expect(l.DoString(string(script))).To(Succeed())
	table, ok := l.Get(-1).(*lua.LTable)
	Expect(ok).To(BeTrue(), "it returns a table")
	Expect(table.RawGetString("message").String()).NotTo(BeEmpty())
	return table.RawGetString("status").String()
}

func luaValue(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		t := l.NewTable()
		for k, e := range v {
			t.RawSetString(k, luaValue(l, e))
		}
		return t
	case []any:
		t := l.NewTable()
		for _, e := range v {
			t.Append(luaValue(l, e))
		}
		return t
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}

var _ = Describe("What Flux and Argo CD see", func() {
	It("of a SIFScan: new, waiting, running, finished, suspended, stalled", func() {
		fresh := makeScan(newNamespace(), "images")
		fresh.APIVersion, fresh.Kind = v1alpha1.GroupVersion.String(), "SIFScan"
		Expect(argo(&unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"generation": int64(1)}}})).To(Equal("Progressing"))
		Expect(admin.Create(ctx, fresh)).To(Succeed())
		Eventually(get(fresh)).Should(beWaiting(v1alpha1.ReasonVolumeNotFound))
		Expect(verdicts(fresh, "SIFScan")).To(Equal([2]string{"InProgress", "Progressing"}))

		scan, job := startedScan(newNamespace())
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
		Expect(verdicts(scan, "SIFScan")).To(Equal([2]string{"InProgress", "Progressing"}))
		succeed(scan, job)
		Expect(verdicts(scan, "SIFScan")).To(Equal([2]string{"Current", "Healthy"}))

		change(fresh, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
		Eventually(get(fresh)).Should(beSuspended())
		Expect(verdicts(fresh, "SIFScan")).To(Equal([2]string{"InProgress", "Suspended"}))

		failed, job := startedScan(newNamespace())
		endPod(startPod(job, "x"), 2, "Error", "")
		failJob(job)
		Eventually(get(failed)).Should(HaveField("Status.Conditions", ContainElement(And(HaveField("Type", v1alpha1.ConditionStalled), HaveField("Status", BeEquivalentTo("True"))))))
		Expect(verdicts(failed, "SIFScan")).To(Equal([2]string{"Failed", "Degraded"}))
	})

	It("of a ScanSchedule: scheduled, suspended, invalid", func() {
		s := makeSchedule(newNamespace())
		Expect(admin.Create(ctx, s)).To(Succeed())
		Eventually(get(s)).Should(WithTransform(readyOf, HavePrefix("True/Scheduled")))
		Expect(verdicts(s, "ScanSchedule")).To(Equal([2]string{"Current", "Healthy"}))
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Suspend = true })
		Eventually(get(s)).Should(WithTransform(readyOf, HavePrefix("True/Suspended")))
		Expect(verdicts(s, "ScanSchedule")).To(Equal([2]string{"Current", "Suspended"}))
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Suspend, s.Spec.Schedule = false, "0 0 30 2 *" })
		Eventually(get(s)).Should(WithTransform(readyOf, HavePrefix("False/InvalidSchedule")))
		Expect(verdicts(s, "ScanSchedule")).To(Equal([2]string{"Failed", "Degraded"}))
	})
})
