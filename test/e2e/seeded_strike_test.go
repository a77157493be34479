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
	// namespace of the pods.
	namespace string
	uid       types.UID
}

// victimOf is a scan whose pods are where it is, or, of what runs on nodes, where all such pods are.
func victimOf(scan *v1alpha1.SIFScan) victim {
	if scan.Spec.Target.Running != nil {
		return victim{namespace: nodeNamespace, uid: scan.UID}
	}
	return victim{namespace: scan.Namespace, uid: scan.UID}
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
	case faults.KillOpener:
		return v.signal(atWork, openerCommand, fault, unix.SIGKILL)
	case faults.StopOpener:
		return v.signal(atWork, openerCommand, fault, unix.SIGSTOP)
	case faults.EvictPod:
		return v.evict(atWork, fault)
	case faults.RemoveClaim:
		pause(ctx, fault.After)
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: v.namespace, Name: claimName}}
		return until(ctx, recovery, func() error { return client.IgnoreNotFound(admin.Delete(ctx, claim)) })
	}
	return f.hitAll(fault)
}

// The subcommands of node-agent that scanner, reporter and opener run.
const scannerCommand, reporterCommand, openerCommand = "scan", "reporter", "opener"

// running returns a pod of the scan in which the agent runs a subcommand, and that process. It does not wait for kubelet to
// tell that the container runs: small scans are over by then. Of a node's pods it may have to be one that reads images.
func (v victim) running(atWork context.Context, subcommand string, reading bool) (pod *corev1.Pod, p process, err error) {
	err = until(atWork, recovery, func() error {
		list := &corev1.PodList{}
		err := admin.List(ctx, list, client.InNamespace(v.namespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(v.uid)})
		if err != nil {
			return err
		}
		for i := range list.Items {
			var ok bool
			if reading && slices.Contains(list.Items[i].Spec.Containers[0].Args, "--list-only") {
				continue
			}
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
	_, p, err := v.running(atWork, subcommand, fault.Reading)
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
	pod, _, err := v.running(atWork, scannerCommand, fault.Reading)
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
	return errors.Join(f.breakShared(fault), until(ctx, recovery, works))
}

func (f *field) breakShared(fault faults.Fault) error {
	switch fault.Kind {
	case faults.KillOperator:
		return f.hitOperator(unix.SIGKILL, 0)
	case faults.StopOperator:
		return f.hitOperator(unix.SIGSTOP, fault.For)
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
