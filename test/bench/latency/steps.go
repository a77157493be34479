// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// step is what a user who watches sees.
type step string

const (
	applied    step = "kubectl returns"
	podCreated step = "pod created"
	podBound   step = "pod has a node"
	reporting  step = "reporter runs"
	scanning   step = "scanner runs"
	reported   step = "ScanReport is there"
	podEnded   step = "pod ended"
	complete   step = "SIFScan is Complete"
)

var steps = []step{applied, podCreated, podBound, reporting, scanning, reported, podEnded, complete}

// patience is how long a scan of a small image may take before it counts as broken.
const patience = 2 * time.Minute

// apply applies a SIFScan of one image, and tells when each step was first seen after that.
func (s *site) apply(ctx context.Context, kubectl string, i int) (map[step]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	objects := make(chan k8sruntime.Object)
	for _, list := range []client.ObjectList{&corev1.PodList{}, &v1alpha1.ScanReportList{}, &v1alpha1.SIFScanList{}} {
		w, err := s.api.Watch(ctx, list, client.InNamespace(s.namespace))
		if err != nil {
			return nil, err
		}
		defer w.Stop()
		go forward(ctx, w, objects)
	}
	name := fmt.Sprintf("scan-%02d", i)
	cmd := exec.CommandContext(ctx, kubectl, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`{apiVersion: sifscan.io/v1alpha1, kind: SIFScan, metadata: {name: %s, namespace: %s},
spec: {target: {volume: {claimName: %s, mountPath: /shared, paths: [image-%02d.sif]}}}}`, name, s.namespace, claim, i))
	begin := time.Now()
	failed := make(chan error, 1)
	passed := map[step]time.Duration{}
	go func() {
		text, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("kubectl apply: %w\n%s", err, text)
		}
		failed <- err
	}()
	for len(passed) < len(steps) {
		select {
		case err := <-failed:
			if err != nil {
				return nil, err
			}
			passed[applied] = time.Since(begin)
		case object := <-objects:
			for _, step := range shown(object, name, fmt.Sprintf("/shared/image-%02d.sif", i)) {
				if _, before := passed[step]; !before {
					passed[step] = time.Since(begin)
				}
			}
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), fmt.Errorf("of %s only this was seen: %v", name, passed))
		}
	}
	return passed, nil
}

func forward(ctx context.Context, w watch.Interface, to chan<- k8sruntime.Object) {
	for event := range w.ResultChan() {
		select {
		case to <- event.Object:
		case <-ctx.Done():
			return
		}
	}
}

// shown are the steps that an object shows to be done of a scan of an image.
func shown(object k8sruntime.Object, scan, image string) (all []step) {
	switch o := object.(type) {
	case *corev1.Pod:
		if o.Labels[v1alpha1.LabelScan] != scan {
			return nil
		}
		all = append(all, podCreated)
		if o.Spec.NodeName != "" {
			all = append(all, podBound)
		}
		for _, c := range append(o.Status.InitContainerStatuses, o.Status.ContainerStatuses...) {
			if running := c.State.Running != nil || c.State.Terminated != nil; running && c.Name == "reporter" {
				all = append(all, reporting)
			} else if running && c.Name == "scanner" {
				all = append(all, scanning)
			}
		}
		if o.Status.Phase == corev1.PodSucceeded {
			all = append(all, podEnded)
		}
	case *v1alpha1.ScanReport:
		if o.Report.Target.Path == image {
			all = append(all, reported)
		}
	case *v1alpha1.SIFScan:
		if o.Name == scan && meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionComplete) {
			all = append(all, complete)
		}
	}
	return all
}
