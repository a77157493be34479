// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// makeSchedule is due at each full hour.
func makeSchedule(namespace string) *v1alpha1.ScanSchedule {
	return &v1alpha1.ScanSchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hourly"},
		Spec: v1alpha1.ScanScheduleSpec{
			Schedule: "0 * * * *", TimeZone: ptr.To("Europe/Berlin"),
			Template: v1alpha1.SIFScanTemplate{Spec: makeScan(namespace, "").Spec},
		},
	}
}

// pastTheHour moves the operator's clock a second past the next full hour, and returns the hour.
func pastTheHour() time.Time {
	hour := now.Now().Truncate(time.Hour).Add(time.Hour)
	now.step(hour.Add(time.Second).Sub(now.Now()))
	return hour
}

// wake has the operator look at a ScanSchedule: its timers do not follow a clock that is stepped.
func wake(s *v1alpha1.ScanSchedule) {
	GinkgoHelper()
	change(s, func(s *v1alpha1.ScanSchedule) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations["woken"] += "."
	})
}

// keepScans has the API server refuse to delete the SIFScans of a namespace, of which one is named, until allow is called.
func keepScans(namespace, name string) (allow func()) {
	GinkgoHelper()
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace + "-keeps-scans"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Delete},
				Rule:       admissionv1.Rule{APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"sifscans"}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "scans are kept here", Reason: ptr.To(metav1.StatusReasonForbidden)}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}},
		},
	}
	Expect(admin.Create(ctx, policy)).To(Succeed())
	Expect(admin.Create(ctx, binding)).To(Succeed())
	allow = func() {
		GinkgoHelper()
		Expect(client.IgnoreNotFound(admin.Delete(ctx, binding))).To(Succeed())
		Expect(client.IgnoreNotFound(admin.Delete(ctx, policy))).To(Succeed())
	}
	DeferCleanup(allow)
	scan := &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Eventually(func() error { // the API server takes up policies after a while
		return admin.Delete(ctx, scan, client.DryRunAll)
	}).Should(MatchError(ContainSubstring("scans are kept here")))
	return allow
}

func scansOf(s *v1alpha1.ScanSchedule) func() ([]string, error) {
	return func() ([]string, error) {
		list := &v1alpha1.SIFScanList{}
		err := admin.List(ctx, list, client.InNamespace(s.Namespace))
		var names []string
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names, err
	}
}

func runOf(s *v1alpha1.ScanSchedule, hour time.Time) string {
	return fmt.Sprintf("%s-%d", s.Name, hour.Unix()/60)
}

func readyOf(s *v1alpha1.ScanSchedule) string {
	for _, c := range s.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return "none"
}

var _ = Describe("A ScanSchedule", func() {
	var s *v1alpha1.ScanSchedule
	BeforeEach(func() {
		s = makeSchedule(newNamespace())
		DeferCleanup(now.reset)
		DeferCleanup(func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, s))).To(Succeed()) })
	})
	created := func() {
		GinkgoHelper()
		Expect(admin.Create(ctx, s)).To(Succeed())
		Eventually(get(s)).Should(HaveField("Status.NextScheduleTime", Not(BeNil())))
	}

	It("makes one SIFScan when one is due, by its template, and says so", func() {
		s.Spec.Template.Metadata.Labels = map[string]string{"team": "hpc"}
		created()
		Expect(scansOf(s)()).To(BeEmpty())
		hour := pastTheHour()
		for range 5 {
			wake(s)
		}
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, hour)))
		Consistently(scansOf(s)).Should(HaveLen(1))
		Eventually(get(s)).Should(And(
			HaveField("Status.LastScheduleTime.Time", BeTemporally("==", hour)),
			HaveField("Status.NextScheduleTime.Time", BeTemporally("==", hour.Add(time.Hour))),
			HaveField("Status.Active", ConsistOf(runOf(s, hour))),
		))
		scan := &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: runOf(s, hour)}}
		Expect(get(scan)()).To(And(
			HaveField("Labels", HaveKeyWithValue("team", "hpc")),
			HaveField("Spec.Target.Volume.ClaimName", "shared"),
			HaveField("Annotations", HaveKeyWithValue(v1alpha1.AnnotationScheduledAt, HavePrefix(hour.In(berlin()).Format("2006-01-02T15:04")))),
		))
		Eventually(func() ([]string, error) {
			list := &eventsv1.EventList{}
			err := admin.List(ctx, list, client.InNamespace(s.Namespace))
			var notes []string
			for _, e := range list.Items {
				if e.Regarding.Kind == "ScanSchedule" {
					notes = append(notes, e.Note)
				}
			}
			return notes, err
		}).Should(ConsistOf(ContainSubstring("Created SIFScan " + runOf(s, hour))))
	})

	It("starts a run once although the operator dies after it made the SIFScan, before it wrote so", func() {
		created()
		operator.stop()
		dying := startMortal(s.Namespace, 1)
		DeferCleanup(func() { dying.stop(); operator = startOperator(nil) })
		hour := pastTheHour()
		wake(s)
		Eventually(dying.died.Load).Should(BeTrue())
		Expect(scansOf(s)()).To(ConsistOf(runOf(s, hour)))
		Expect(get(s)()).To(HaveField("Status.LastScheduleTime", BeNil()))
		dying.replace()
		Eventually(get(s)).Should(HaveField("Status.LastScheduleTime.Time", BeTemporally("==", hour)))
		Expect(scansOf(s)()).To(HaveLen(1))
	})

	It("does not take a SIFScan for its own that has the name of a run", func() {
		created()
		hour := pastTheHour()
		foreign := makeScan(s.Namespace, runOf(s, hour))
		foreign.Spec.Suspend = true
		Expect(admin.Create(ctx, foreign)).To(Succeed())
		wake(s)
		Eventually(get(s)).Should(WithTransform(readyOf, And(HavePrefix("False/NotAllowed"), ContainSubstring("does not belong to this ScanSchedule"))))
		Expect(s.Status.LastScheduleTime).To(BeNil())
	})

	It("starts a run later that a quota refused", func() {
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "none"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/sifscans.sifscan.io": resource.MustParse("0")}},
			Status:     corev1.ResourceQuotaStatus{},
		}
		Expect(admin.Create(ctx, quota)).To(Succeed())
		quota.Status.Hard = quota.Spec.Hard
		quota.Status.Used = corev1.ResourceList{"count/sifscans.sifscan.io": resource.MustParse("0")}
		Expect(admin.Status().Update(ctx, quota)).To(Succeed()) // the quota controller does not run here
		created()
		hour := pastTheHour()
		wake(s)
		Eventually(get(s)).Should(WithTransform(readyOf, And(HavePrefix("False/NotAllowed"), ContainSubstring("exceeded quota"))))
		Expect(s.Status.LastScheduleTime).To(BeNil())
		Expect(s.Status.NextScheduleTime.Time).To(BeTemporally("==", hour))
		Expect(admin.Delete(ctx, quota)).To(Succeed())
		Eventually(func() ([]string, error) { wake(s); return scansOf(s)() }).Should(ConsistOf(runOf(s, hour)))
	})

	It("waits for the run before, as Forbid asks, and then starts late", func() {
		created()
		first := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first)))
		second := pastTheHour()
		wake(s)
		Eventually(get(s)).Should(WithTransform(readyOf, ContainSubstring("waits for SIFScan "+runOf(s, first))))
		finishScan(s.Namespace, runOf(s, first), v1alpha1.ConditionComplete)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first), runOf(s, second)))
		Eventually(get(s)).Should(HaveField("Status.LastSuccessfulTime", Not(BeNil())))
	})

	It("is not blocked by a run that is stalled", func() {
		created()
		first := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first)))
		finishScan(s.Namespace, runOf(s, first), v1alpha1.ConditionStalled)
		second := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first), runOf(s, second)))
	})

	It("ends the run before, as Replace asks, and starts when it is gone", func() {
		s.Spec.ConcurrencyPolicy = v1alpha1.ConcurrencyReplace
		created()
		first := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first)))
		scan := &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: runOf(s, first)}}
		change(scan, func(scan *v1alpha1.SIFScan) { scan.Finalizers = []string{"example.com/slow"} })
		second := pastTheHour()
		wake(s)
		Eventually(get(s)).Should(WithTransform(readyOf, ContainSubstring("waits until SIFScan "+runOf(s, first)+" is gone")))
		Expect(scansOf(s)()).To(ConsistOf(runOf(s, first)))
		change(scan, func(scan *v1alpha1.SIFScan) { scan.Finalizers = nil })
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, second)))
	})

	It("says why the run before cannot be ended, and starts once it can", func() {
		s.Spec.ConcurrencyPolicy = v1alpha1.ConcurrencyReplace
		created()
		first := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first)))
		allow := keepScans(s.Namespace, runOf(s, first))
		second := pastTheHour()
		for range 5 {
			wake(s)
		}
		Eventually(get(s)).Should(WithTransform(readyOf, And(HavePrefix("False/NotAllowed"), ContainSubstring("scans are kept here"))))
		Expect(s.Status.LastScheduleTime.Time).To(BeTemporally("==", first))
		Expect(s.Status.NextScheduleTime.Time).To(BeTemporally("==", second))
		Consistently(scansOf(s)).Should(ConsistOf(runOf(s, first)))
		allow()
		Eventually(func() ([]string, error) { wake(s); return scansOf(s)() }).Should(ConsistOf(runOf(s, second)))
	})

	It("starts nothing while it is suspended, leaves the run at work alone, and starts one run when it is resumed", func() {
		s.Spec.ConcurrencyPolicy = v1alpha1.ConcurrencyAllow
		created()
		first := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first)))
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Suspend = true })
		Eventually(get(s)).Should(And(WithTransform(readyOf, HavePrefix("True/Suspended")), HaveField("Status.NextScheduleTime", BeNil())))
		pastTheHour()
		latest := pastTheHour()
		wake(s)
		Consistently(scansOf(s)).Should(ConsistOf(runOf(s, first)))
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Suspend = false })
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, first), runOf(s, latest)))
		Consistently(scansOf(s)).Should(HaveLen(2))
	})

	It("keeps as many finished SIFScans as it is told", func() {
		s.Spec.SuccessfulHistoryLimit, s.Spec.FailedHistoryLimit = ptr.To[int32](1), ptr.To[int32](0)
		created()
		var hours []time.Time
		for i, condition := range []string{v1alpha1.ConditionComplete, v1alpha1.ConditionStalled, v1alpha1.ConditionComplete} {
			hours = append(hours, pastTheHour())
			wake(s)
			Eventually(scansOf(s)).Should(ContainElement(runOf(s, hours[i])))
			finishScan(s.Namespace, runOf(s, hours[i]), condition)
		}
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, hours[2])))
	})

	It("starts one run, the latest, when the operator comes back after three days", func() {
		created()
		operator.stop()
		DeferCleanup(func() { operator.stop(); operator = startOperator(nil) })
		now.step(3 * 24 * time.Hour)
		latest := now.Now().Truncate(time.Hour)
		operator = startOperator(nil)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, latest)))
		Consistently(scansOf(s)).Should(HaveLen(1))
		Expect(get(s)()).To(HaveField("Status.LastScheduleTime.Time", BeTemporally("==", latest)))
	})

	It("starts a run once although two operators look at it at once", func() {
		created()
		second := startOperator(nil)
		DeferCleanup(second.stop)
		hour := pastTheHour()
		for range 10 {
			wake(s)
		}
		Eventually(get(s)).Should(HaveField("Status.LastScheduleTime", Not(BeNil())))
		Consistently(scansOf(s)).Should(ConsistOf(runOf(s, hour)))
	})

	It("starts nothing once it is being deleted, and says how its runs are", func() {
		s.Finalizers = []string{"example.com/slow"}
		created()
		DeferCleanup(func() { change(s, func(s *v1alpha1.ScanSchedule) { s.Finalizers = nil }) })
		Expect(admin.Delete(ctx, s)).To(Succeed())
		pastTheHour()
		wake(s)
		Consistently(scansOf(s)).Should(BeEmpty())
	})

	It("waits for a run of a deleted schedule of its name, and takes it for its own never", func() {
		created()
		hour := pastTheHour()
		namesake := makeScan(s.Namespace, runOf(s, hour))
		namesake.Spec.Suspend = true
		namesake.Labels = map[string]string{v1alpha1.LabelScheduleUID: string(s.UID)} // anybody can write a label
		namesake.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "ScanSchedule", Name: s.Name, UID: "00000000-0000-4000-8000-000000000000", Controller: ptr.To(true),
		}}
		Expect(admin.Create(ctx, namesake)).To(Succeed())
		wake(s)
		Eventually(get(s)).Should(WithTransform(readyOf, HavePrefix("False/NotAllowed")))
		Expect(s.Status.Active).To(BeEmpty())
		Expect(admin.Delete(ctx, namesake)).To(Succeed()) // as the garbage collector does
		Eventually(func() (*v1alpha1.ScanSchedule, error) { wake(s); return get(s)() }).Should(HaveField("Status.Active", ConsistOf(runOf(s, hour))))
	})

	It("keeps to its runs when schedule, zone and template are edited", func() {
		created()
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.TimeZone = ptr.To("America/New_York") })
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Schedule = "0 0 1 1 *" })
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Template.Spec.Target.Volume.ClaimName = "other" })
		Eventually(get(s)).Should(HaveField("Status.NextScheduleTime.Time.Month()", time.January))
		Expect(scansOf(s)()).To(BeEmpty())
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Schedule, s.Spec.TimeZone = "0 * * * *", ptr.To("UTC") })
		Eventually(get(s)).Should(WithTransform(readyOf, ContainSubstring(`"0 * * * *" in UTC`)))
		hour := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, hour)))
		scan := &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: runOf(s, hour)}}
		Expect(get(scan)()).To(HaveField("Spec.Target.Volume.ClaimName", "other"))
	})

	It("starts one run outside of the schedule for each value of the annotation", func() {
		created()
		for i, value := range []string{"one", "two"} {
			change(s, func(s *v1alpha1.ScanSchedule) {
				s.Annotations = map[string]string{v1alpha1.AnnotationRunNow: value}
			})
			Eventually(scansOf(s)).Should(HaveLen(i + 1))
			wake(s)
			Consistently(scansOf(s)).Should(HaveLen(i + 1))
			names, err := scansOf(s)()
			Expect(err).NotTo(HaveOccurred())
			for _, name := range names {
				finishScan(s.Namespace, name, v1alpha1.ConditionComplete)
			}
		}
		Expect(s.Status.LastScheduleTime).To(BeNil())
	})

	It("stalls on a date that never comes, and starts when it is corrected", func() {
		s.Spec.Schedule = "0 0 31 2 *"
		Expect(admin.Create(ctx, s)).To(Succeed())
		Eventually(get(s)).Should(WithTransform(readyOf, Equal(`False/InvalidSchedule: spec.schedule "0 0 31 2 *": it is never due: no month it names has the day it names`)))
		change(s, func(s *v1alpha1.ScanSchedule) { s.Spec.Schedule = "0 * * * *" })
		Eventually(get(s)).Should(WithTransform(readyOf, HavePrefix("True/Scheduled")))
		hour := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, hour)))
	})

	It("starts nothing anew when its SIFScans are gone and Flux applies it all the time", func() {
		manifest := writeFile("schedule.yaml", fmt.Sprintf(`{apiVersion: sifscan.io/v1alpha1, kind: ScanSchedule, metadata: {name: hourly, namespace: %s},
			spec: {schedule: "0 * * * *", timeZone: UTC, successfulHistoryLimit: 0, template: {spec: {target: {volume: {claimName: shared}}, ttlAfterFinished: 0s}}}}`, s.Namespace))
		apply := func() {
			kubectl("apply", "--server-side", "--field-manager=kustomize-controller", "--force-conflicts", "-f", manifest)
		}
		apply()
		Eventually(get(s)).Should(HaveField("Status.NextScheduleTime", Not(BeNil())))
		hour := pastTheHour()
		wake(s)
		Eventually(scansOf(s)).Should(ConsistOf(runOf(s, hour)))
		finishScan(s.Namespace, runOf(s, hour), v1alpha1.ConditionComplete)
		Eventually(scansOf(s)).Should(BeEmpty())
		for range 10 {
			now.step(10 * time.Second)
			apply()
			wake(s)
		}
		Consistently(scansOf(s)).Should(BeEmpty())
	})

	It("is not written, and starts nothing, when Git applies it again and again", func() {
		manifest := writeFile("schedule.yaml", fmt.Sprintf(`{apiVersion: sifscan.io/v1alpha1, kind: ScanSchedule, metadata: {name: hourly, namespace: %s},
			spec: {schedule: "@hourly", jitter: 10m, template: {spec: {target: {volume: {claimName: shared}}}}}}`, s.Namespace))
		kubectl("apply", "-f", manifest)
		Eventually(get(s)).Should(HaveField("Status.NextScheduleTime", Not(BeNil())))
		version := s.ResourceVersion
		for range 20 {
			kubectl("apply", "-f", manifest)
		}
		Consistently(get(s)).Should(HaveField("ResourceVersion", version))
		Expect(scansOf(s)()).To(BeEmpty())
	})
})

var _ = Describe("Who may schedule scans", func() {
	It("is who may create pods there, for the schedule and for a run outside of it", func() {
		namespace := newNamespace()
		grant(namespace, "sifscan-editor", "bob")
		bob := as(rest.ImpersonationConfig{UserName: "bob", Groups: []string{"system:authenticated"}})
		err := bob.Create(ctx, makeSchedule(namespace))
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring("a ScanSchedule runs a pod that reads a volume, and bob may not create pods")))

		s := makeSchedule(namespace)
		s.Spec.Suspend = true
		Expect(admin.Create(ctx, s)).To(Succeed())
		asked := s.DeepCopy()
		asked.Annotations = map[string]string{v1alpha1.AnnotationRunNow: "please"}
		Expect(bob.Patch(ctx, asked, client.MergeFrom(s))).To(MatchError(ContainSubstring("may not create pods")))
		grantPods(namespace, "bob")
		Eventually(func() error { return bob.Patch(ctx, asked.DeepCopy(), client.MergeFrom(s)) }).Should(Succeed())
	})
})

var _ = DescribeTable("A wrong ScanSchedule is refused by kubectl apply with a message that says what to change",
	func(fields, message string) {
		if !strings.Contains(fields, "template") {
			fields += ", template: {spec: {target: {volume: {claimName: shared}}}}"
		}
		manifest := "apiVersion: sifscan.io/v1alpha1\nkind: ScanSchedule\nmetadata: {name: wrong, namespace: default}\nspec: {" + fields + "}\n"
		out, err := tryKubectl("apply", "--dry-run=server", "-f", writeFile("wrong.yaml", manifest))
		Expect(err).To(HaveOccurred(), "it was accepted")
		Expect(out).To(ContainSubstring(message))
	},
	Entry("no schedule", `timeZone: UTC`, "spec.schedule: Required value"),
	Entry("an empty schedule", `schedule: ""`, "spec.schedule"),
	Entry("an interval", `schedule: "@every 30s"`, "spec.schedule: use @hourly"),
	Entry("a start of the machine", `schedule: "@reboot"`, "spec.schedule: use @hourly"),
	Entry("a zone in the schedule", `schedule: "CRON_TZ=UTC 0 1 * * *"`, "spec.schedule: remove the time zone and use spec.timeZone"),
	Entry("the operator's zone", `schedule: "@daily", timeZone: Local`, "spec.timeZone: name a zone such as Europe/Berlin"),
	Entry("an empty zone", `schedule: "@daily", timeZone: ""`, "spec.timeZone"),
	Entry("a negative jitter", `schedule: "@daily", jitter: -1m`, "spec.jitter: use a duration that is not negative"),
	Entry("a policy that does not exist", `schedule: "@daily", concurrencyPolicy: Never`, `supported values: "Forbid", "Allow", "Replace"`),
	Entry("a deadline of nothing", `schedule: "@daily", startingDeadlineSeconds: 0`, "spec.startingDeadlineSeconds"),
	Entry("a negative history", `schedule: "@daily", successfulHistoryLimit: -1`, "spec.successfulHistoryLimit"),
	Entry("labels of ours in the template", `schedule: "@daily", template: {metadata: {labels: {sifscan.io/run: x}}, spec: {target: {volume: {claimName: a}}}}`, "remove keys that begin with sifscan.io/"),
	Entry("a wrong template", `schedule: "@daily", template: {spec: {target: {}}}`, "spec.template.spec.target"),
)

// finishScan plays what the operator makes of a run.
func finishScan(namespace, name, condition string) {
	GinkgoHelper()
	scan := &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(scan), scan); err != nil {
			return err
		}
		if scan.Status.RunID == "" {
			return errors.New("the operator has not looked at the SIFScan yet, and would begin its run anew")
		}
		at := metav1.NewTime(now.Now().Truncate(time.Second))
		scan.Status.ObservedGeneration, scan.Status.CompletionTime = scan.Generation, &at
		scan.Status.Conditions = []metav1.Condition{{Type: condition, Status: metav1.ConditionTrue, Reason: "Played", LastTransitionTime: at}}
		return admin.Status().Update(ctx, scan)
	}).Should(Succeed())
}

func berlin() *time.Location {
	GinkgoHelper()
	zone, err := time.LoadLocation("Europe/Berlin")
	Expect(err).NotTo(HaveOccurred())
	return zone
}
