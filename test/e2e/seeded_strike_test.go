// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/faults"
)

// victim is the scan whose pods are struck.
type victim struct {
	namespace string
	uid       types.UID
}

// errLate: nothing was left to strike.
var errLate = errors.New("the scan was over before")

// strike lets one fault happen, and counts it. Those of a scan's pods are too late once atWork ends.
func (f *field) strike(atWork context.Context, v victim, fault faults.Fault) error {
	err := f.hit(atWork, v, fault)
	switch {
	case errors.Is(err, errLate):
		f.tally.Late(fault.Kind)
		return nil
	case err == nil:
		f.tally.Struck(fault.Kind)
	}
	return err
}

func (f *field) hit(atWork context.Context, v victim, fault faults.Fault) error {
	switch fault.Kind {
	case faults.KillScanner:
		return v.signal(atWork, scannerCommand, fault, unix.SIGKILL)
	case faults.StopScanner:
		return v.signal(atWork, scannerCommand, fault, unix.SIGSTOP)
	case faults.KillReporter:
		return v.signal(atWork, reporterCommand, fault, unix.SIGKILL)
	case faults.StopReporter:
		return v.signal(atWork, reporterCommand, fault, unix.SIGSTOP)
	case faults.EvictPod:
		return v.evict(atWork, fault)
	case faults.RemoveClaim:
		pause(ctx, fault.After)
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: v.namespace, Name: claimName}}
		return until(ctx, recovery, func() error { return client.IgnoreNotFound(admin.Delete(ctx, claim)) })
	}
	return f.hitAll(fault)
}

// The subcommands of node-agent that scanner and reporter run.
const scannerCommand, reporterCommand = "scan", "reporter"

// running returns a pod of the scan in which the agent runs a subcommand, and that process. It does not wait for kubelet to
// tell that the container runs: small scans are over by then.
func (v victim) running(atWork context.Context, subcommand string) (pod *corev1.Pod, p process, err error) {
	err = until(atWork, recovery, func() error {
		list := &corev1.PodList{}
		err := admin.List(ctx, list, client.InNamespace(v.namespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(v.uid)})
		if err != nil {
			return err
		}
		for i := range list.Items {
			var ok bool
			if p, ok = agentOf(list.Items[i].UID, subcommand); ok {
				pod = &list.Items[i]
				return nil
			}
		}
		return errors.New("no pod runs")
	})
	if atWork.Err() != nil {
		err = errLate
	}
	return pod, p, err
}

// agentOf finds the process of a pod that runs a subcommand of the agent.
func agentOf(pod types.UID, subcommand string) (process, bool) {
	groups, _ := filepath.Glob("/proc/[0-9]*/cgroup") // the pattern is well-formed
	for _, group := range groups {
		text, err := os.ReadFile(group)
		if err != nil || !strings.Contains(string(text), string(pod)) {
			continue // ended meanwhile, or another's
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(group), "cmdline"))
		if words := strings.Split(string(line), "\x00"); len(words) > 1 && words[1] == subcommand {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
			return process{pid}, err == nil
		}
	}
	return process{}, false
}

// signal ends or stops the process of a subcommand, and has it go on where it was stopped.
func (v victim) signal(atWork context.Context, subcommand string, fault faults.Fault, signal unix.Signal) error {
	_, p, err := v.running(atWork, subcommand)
	if err != nil {
		return err
	}
	// A descriptor, so that no other process is meant that gets the number meanwhile.
	target, err := os.FindProcess(p.pid)
	if err != nil {
		return errLate
	}
	defer target.Release() //nolint:errcheck // closes a descriptor
	pause(atWork, fault.After)
	if err := target.Signal(signal); errors.Is(err, os.ErrProcessDone) {
		return errLate
	} else if err != nil {
		return err
	}
	if signal == unix.SIGSTOP {
		time.Sleep(fault.For)
		_ = target.Signal(unix.SIGCONT) // it may have been killed by another fault
	}
	return nil
}

// evict asks for the eviction of a pod, as kubectl drain does.
func (v victim) evict(atWork context.Context, fault faults.Fault) error {
	pod, _, err := v.running(atWork, scannerCommand)
	if err != nil {
		return err
	}
	pause(atWork, fault.After)
	err = until(ctx, recovery, func() error {
		err := admin.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err == nil && atWork.Err() != nil {
		return errLate
	}
	return err
}

// hitAll strikes what every scan needs, one at a time, and returns when everything works again.
func (f *field) hitAll(fault faults.Fault) error {
	pause(ctx, fault.After)
	f.shared.Lock()
	defer f.shared.Unlock()
	return errors.Join(breakShared(fault), until(ctx, recovery, works))
}

func breakShared(fault faults.Fault) error {
	switch fault.Kind {
	case faults.KillOperator:
		return signalOperator(unix.SIGKILL, 0)
	case faults.StopOperator:
		return signalOperator(unix.SIGSTOP, fault.For)
	case faults.KillAPIServer:
		return away("kube-apiserver", "kill", "start", fault.For)
	case faults.StopAPIServer:
		return away("kube-apiserver", "pause", "resume", fault.For)
	case faults.KillKubelet:
		return away("kubelet", "kill", "start", fault.For)
	case faults.KillContainerd:
		return away("containerd", "kill", "start", fault.For)
	case faults.KillEtcd:
		return away("etcd", "kill", "start", fault.For)
	case faults.FillDisk:
		return fillDisk(fault.For)
	}
	return fmt.Errorf("nobody knows how to strike so")
}

// away takes a component away for a time. It comes back in any case.
func away(component, take, giveBack string, during time.Duration) error {
	err := tryCluster(take, component)
	time.Sleep(during)
	return errors.Join(err, tryCluster(giveBack, component))
}

// operatorPod returns the operator's pod, if there is just one.
func operatorPod() (*corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := admin.List(ctx, pods, client.InNamespace("sifscan-system"), client.MatchingLabels{"app.kubernetes.io/component": "manager"})
	if err != nil {
		return nil, err
	}
	if len(pods.Items) != 1 {
		return nil, fmt.Errorf("the operator has %d pods", len(pods.Items))
	}
	return &pods.Items[0], nil
}

func signalOperator(signal unix.Signal, during time.Duration) error {
	var target *os.Process
	err := until(ctx, recovery, func() error {
		pod, err := operatorPod()
		if err != nil {
			return err
		}
		p, ok := processOf(pod, "manager")
		if !ok {
			return errors.New("the operator does not run")
		}
		target, err = os.FindProcess(p.pid)
		return err
	})
	if err != nil {
		return err
	}
	defer target.Release() //nolint:errcheck // closes a descriptor
	if err := target.Signal(signal); err != nil {
		return err
	}
	time.Sleep(during)
	_ = target.Signal(unix.SIGCONT) // of one that was killed there is nothing left
	return nil
}

// works reports what does not work yet after a fault. What the API server tells of a process may be old: it must be there.
func works() error {
	nodes := &corev1.NodeList{}
	if err := admin.List(ctx, nodes); err != nil {
		return err
	}
	for _, n := range nodes.Items {
		for _, c := range n.Status.Conditions {
			if (c.Status == corev1.ConditionTrue) != (c.Type == corev1.NodeReady) {
				return fmt.Errorf("node %s: %s is %s: %s", n.Name, c.Type, c.Status, c.Message)
			}
		}
	}
	pod, err := operatorPod()
	if err != nil {
		return err
	}
	p, runs := processOf(pod, "manager")
	if !runs || !p.alive() || !pod.Status.ContainerStatuses[0].Ready {
		return fmt.Errorf("the operator is %s and not ready", pod.Status.Phase)
	}
	return nil
}

// replaceOperator gives the operator another pod, as long as the plan is carried out, whenever kubelet would let it wait up to five
// minutes because it died several times: how long kubelet waits is not what is tested. An evicted one leaves a pod behind.
func replaceOperator(during context.Context) {
	for pause(during, 2*time.Second) {
		pods := &corev1.PodList{}
		if admin.List(during, pods, client.InNamespace("sifscan-system")) != nil {
			continue // without an API server
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			waits := slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
				return s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff"
			})
			if waits || pod.Status.Phase == corev1.PodFailed {
				_ = admin.Delete(during, pod, client.GracePeriodSeconds(0)) // or the next time
			}
		}
	}
}

// clusterDir is where the cluster keeps its own, among it the disk that kubelet and pods write to (hack/cluster).
func clusterDir(elements ...string) string {
	return filepath.Join(append([]string{filepath.Dir(os.Getenv(kubeconfigVariable))}, elements...)...)
}

// fillDisk takes all room on the disk that kubelet and pods write to, for a time.
func fillDisk(during time.Duration) error {
	file, err := os.Create(clusterDir("data", "kubelet", "filler"))
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // if it stays, nothing works any more and is seen
	defer file.Close()
	var size int64
	for step := int64(1 << 30); step >= 1<<12; {
		switch err := unix.Fallocate(int(file.Fd()), 0, size, step); {
		case err == nil:
			size += step
		case errors.Is(err, unix.ENOSPC):
			step /= 2
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
	time.Sleep(during)
	return nil
}
