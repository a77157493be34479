// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// nodeConfig is the operator's configuration where it scans nodes.
func nodeConfig() OperatorConfig {
	c := config
	tolerations, err := ParseTolerations(DefaultNodeTolerations)
	if err != nil {
		panic(err)
	}
	c.PriorityClass = "sifscan-low"
	c.NodeScans = &NodeScansConfig{
		Namespace: "sifscan-node", Slots: DefaultNodeSlots, Tolerations: tolerations,
		MemoryLimit: DefaultNodeMemory, NodeEnginesConfig: NodeEnginesConfig{TmpLimit: DefaultNodeTmp},
	}
	return c
}

// makeLive returns a SIFScan of running containers.
func makeLive(t v1alpha1.RunningTarget) *scanWrapper {
	return makeScan().target(v1alpha1.Target{Running: &t})
}

var listingWork = nodeWork{name: "shared-images-n", node: "n1.example", worker: 7}

func key(c string) string { return "v1-" + strings.Repeat(c, 64) }

func TestJobsOfNodes(t *testing.T) {
	everything := nodeConfig()
	everything.Database = &v1alpha1.DatabaseSource{ClaimName: "osv", Path: "osv.db"}
	everything.NodeScans.AppArmorProfile = "localhost/sifscan-opener"
	everything.NodeScans.SELinuxOptions = &corev1.SELinuxOptions{Type: "spc_t"}
	for name, tc := range map[string]struct {
		golden string
		scan   *scanWrapper
		work   nodeWork
		config OperatorConfig
	}{
		"the containers of a node are listed": {"job-node-list.yaml", makeLive(v1alpha1.RunningTarget{NodeSelector: map[string]string{}}), listingWork, nodeConfig()},
		"images are read, of the containers in some pods": {"job-node-read.yaml", makeLive(v1alpha1.RunningTarget{
			NodeName: "n1.example", PID: 4711, ImagePattern: "*$(x).sif", SlurmJobID: "17",
		}), nodeWork{name: "shared-images-s", node: "n1.example", worker: 7, pods: []string{"pod-uid"}, keys: []string{key("a"), key("b")}}, everything},
	} {
		t.Run(name, func(t *testing.T) {
			scan := tc.scan.obj()
			in := JobInputs{Scan: scan, Run: RunID(scan), Workers: 1, Config: tc.config, Database: tc.config.Database}
			compareWithGolden(t, tc.golden, in.nodeJob(tc.work))
			if diff := cmp.Diff(tc.scan.obj(), scan); diff != "" {
				t.Errorf("its input changed:\n%s", diff)
			}
		})
	}
}

// What follows holds for every pod on a node, whatever the SIFScan says.
func TestEveryNodePod(t *testing.T) {
	scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	for name, keys := range map[string][]string{"listing": nil, "reading": {key("a")}} {
		t.Run(name, func(t *testing.T) {
			in := JobInputs{Scan: scan, Run: RunID(scan), Workers: 1, Config: nodeConfig()}
			job := in.nodeJob(nodeWork{name: "x", node: "n1", keys: keys})
			pod := job.Spec.Template.Spec
			opener, reporter, scanner := pod.InitContainers[0], pod.InitContainers[1], pod.Containers[0]
			for claim, holds := range map[string]bool{
				"has no owner in another namespace":          len(job.OwnerReferences) == 0,
				"does not go past the scheduler":             pod.NodeName == "" && pod.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil,
				"mounts no token by itself":                  pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken,
				"shares no network and no IPC of the host":   !pod.HostNetwork && !pod.HostIPC,
				"gives the opener no token":                  mountOf(opener, tokenVolume) == nil,
				"gives the scanner no token":                 mountOf(scanner, tokenVolume) == nil,
				"gives the reporter no way to the opener":    mountOf(reporter, openerVolume) == nil,
				"gives the opener nothing to write but that": len(opener.VolumeMounts) == 1,
				"has an opener that serves":                  opener.Name == openerContainer && *opener.RestartPolicy == corev1.ContainerRestartPolicyAlways,
				"has the capabilities that discovery needs":  slices.Equal(opener.SecurityContext.Capabilities.Add, []corev1.Capability{"SYS_PTRACE", "DAC_READ_SEARCH"}),
				"runs the scanner as a user of its own":      *scanner.SecurityContext.RunAsUser == 65530 && *scanner.SecurityContext.RunAsNonRoot,
				"runs the reporter as a user of its own":     *reporter.SecurityContext.RunAsUser == 65531 && *reporter.SecurityContext.RunAsNonRoot,
				"has an opener for that scanner alone":       slices.Contains(opener.Args, "--peer-uid=65530"),
				"confines system calls":                      pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
				"makes two pods of one worker impossible":    *job.Spec.PodReplacementPolicy == "Failed",
				"ends by itself":                             *job.Spec.ActiveDeadlineSeconds > 0,
			} {
				if !holds {
					t.Errorf("the node pod no longer %s", claim)
				}
			}
			for _, c := range []corev1.Container{opener, reporter, scanner} {
				security := c.SecurityContext
				if *security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem || !slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) || security.Privileged != nil {
					t.Errorf("container %s may more than it needs: %v", c.Name, security)
				}
				if c.Name != openerContainer && len(security.Capabilities.Add) > 0 {
					t.Errorf("container %s has capabilities", c.Name)
				}
				for resource := range c.Resources.Limits {
					if request, ok := c.Resources.Requests[resource]; !ok || !request.IsZero() {
						t.Errorf("container %s requests %s of %s: the node's users have the right of way", c.Name, request.String(), resource)
					}
				}
			}
			for _, v := range pod.Volumes {
				if v.HostPath != nil {
					t.Errorf("volume %s is of the host", v.Name)
				}
			}
		})
	}
}

func TestNodeJobNamesTellWorkApartAndLeaveRoom(t *testing.T) {
	seen := map[string]string{}
	long := strings.Repeat("a.very.long.name.", 10) + "x"
	for what, name := range map[string]string{
		"a listing":              nodeJobName("shared", "uid-1", "v1-0123456789abcdef", "n", "n1"),
		"another node":           nodeJobName("shared", "uid-1", "v1-0123456789abcdef", "n", "n2"),
		"another namespace":      nodeJobName("shared", "uid-2", "v1-0123456789abcdef", "n", "n1"),
		"another run":            nodeJobName("shared", "uid-1", "v1-0123456789abcde0", "n", "n1"),
		"reading":                nodeJobName("shared", "uid-1", "v1-0123456789abcdef", "s", "n1", key("a")),
		"reading something else": nodeJobName("shared", "uid-1", "v1-0123456789abcdef", "s", "n1", key("b")),
		"a long name":            nodeJobName(long, "uid-1", "v1-0123456789abcdef", "n", "n1"),
	} {
		if other, taken := seen[name]; taken {
			t.Errorf("%s has the name of %s: %s", what, other, name)
		}
		seen[name] = what
		if len(name) > 57 || len(validation.IsDNS1123Label(name)) > 0 {
			t.Errorf("%s: %s (%d characters) is no name that pods can be called after", what, name, len(name))
		}
	}
}

func TestNoTimeoutIsLongerThanTheAPIServerTakesOfAPod(t *testing.T) {
	for _, timeout := range []time.Duration{10_000 * time.Hour, math.MaxInt64} {
		in := JobInputs{Scan: makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).with(func(s *v1alpha1.SIFScan) {
			s.Spec.Scanner.Timeout = &metav1.Duration{Duration: timeout}
		}).obj(), Config: nodeConfig()}
		job := in.nodeJob(nodeWork{name: "x", node: "n1", keys: make([]string, maxKeys)})
		for _, seconds := range []*int64{job.Spec.Template.Spec.ActiveDeadlineSeconds, job.Spec.ActiveDeadlineSeconds} {
			if *seconds < 1 || *seconds > math.MaxInt32 {
				t.Errorf("%d images of %v each: %d s", maxKeys, timeout, *seconds)
			}
		}
	}
}

func TestAPodOnANodeEndsBeforeItsJobDoesWhichWouldDeleteIt(t *testing.T) {
	in := JobInputs{Scan: makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).with(func(s *v1alpha1.SIFScan) {
		s.Spec.Scanner.Timeout = &metav1.Duration{Duration: 20 * time.Minute}
	}).obj(), Config: nodeConfig()}
	for _, tc := range []struct {
		name string
		keys []string
		want time.Duration
	}{
		{"a list", nil, 15 * time.Minute},
		{"two images", []string{key("a"), key("b")}, 55 * time.Minute},
	} {
		job := in.nodeJob(nodeWork{name: "x", node: "n1", keys: tc.keys})
		pod := time.Duration(ptr.Deref(job.Spec.Template.Spec.ActiveDeadlineSeconds, 0)) * time.Second
		if pod != tc.want {
			t.Errorf("%s: the pod's deadline is %v, want %v", tc.name, pod, tc.want)
		}
		waits := in.Config.pendingDeadline() + gracePeriod*time.Second
		if whole := time.Duration(*job.Spec.ActiveDeadlineSeconds) * time.Second; whole < waits+pod {
			t.Errorf("%s: the Job ends after %v, while a pod that waited long may still be storing what it has", tc.name, whole)
		}
	}
}

func TestAPodThatTookTooLongOnANodeSaysWhatToChange(t *testing.T) {
	for want, keys := range map[string][]string{
		"the list of its containers took longer than 15m0s: look there for processes or file systems that hang": nil,
		"2 images took longer to read than 15m0s and spec.scanner.timeout each: raise that":                     {key("a"), key("b")},
	} {
		job := JobInputs{Scan: makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj(), Config: nodeConfig()}.nodeJob(nodeWork{name: "x", node: "n1", keys: keys})
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonDeadlineExceeded}}
		task := &nodeTask{job: job, pod: makePod(job).failed(podDeadlineExceeded, "Pod was active on the node longer than the specified deadline").obj()}
		if got := task.verdict(); got.reason != v1alpha1.ReasonDeadlineExceeded || got.message != "on node n1, "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
