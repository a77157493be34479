// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// namespaces over which the SIFScans are spread.
const namespaces = 20

// atOnce is how many requests the bench has under way.
const atOnce = 16

// player plays users, the Job controller and the reporters.
type player struct {
	api  client.WithWatch
	made int
	mu   sync.Mutex
	// unfinished SIFScans, by namespace and name.
	unfinished map[client.ObjectKey]bool
	done       chan struct{}
	failed     chan error
}

func newPlayer(ctx context.Context, config *rest.Config, scheme *k8sruntime.Scheme) (*player, error) {
	fast := rest.CopyConfig(config)
	fast.QPS, fast.Burst = 2000, 4000 // the client's own limit is not what is measured
	api, err := client.NewWithWatch(fast, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	p := &player{api: api, unfinished: map[client.ObjectKey]bool{}, failed: make(chan error, 1)}
	for i := range namespaces {
		if err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace(i)}}); err != nil {
			return nil, err
		}
	}
	p.follow(ctx)
	return p, nil
}

func namespace(i int) string { return fmt.Sprintf("hpc-%02d", i%namespaces) }

// follow plays a run for every Job, and takes note of every SIFScan that is finished.
func (p *player) follow(ctx context.Context) {
	jobs := make(chan *batchv1.Job, 100_000)
	for range atOnce {
		go func() {
			for job := range jobs {
				if err := p.play(ctx, job); err != nil {
					p.fail(err)
				}
			}
		}()
	}
	go p.watch(ctx, &batchv1.JobList{}, func(obj k8sruntime.Object) {
		if job := obj.(*batchv1.Job); len(job.Status.Conditions) == 0 && job.Status.StartTime == nil {
			jobs <- job
		}
	})
	go p.watch(ctx, &v1alpha1.SIFScanList{}, func(obj k8sruntime.Object) {
		if scan := obj.(*v1alpha1.SIFScan); scan.Status.CompletionTime != nil {
			p.finished(client.ObjectKeyFromObject(scan))
		}
	})
}

// watch shows every object as it is and as it becomes. Its server ends it now and then.
func (p *player) watch(ctx context.Context, list client.ObjectList, see func(k8sruntime.Object)) {
	for ctx.Err() == nil {
		w, err := p.api.Watch(ctx, list)
		if err != nil {
			p.fail(err)
			return
		}
		for event := range w.ResultChan() {
			if _, isStatus := event.Object.(*metav1.Status); !isStatus {
				see(event.Object)
			}
		}
	}
}

func (p *player) fail(err error) {
	select {
	case p.failed <- err:
	default: // one is enough
	}
}

func (p *player) finished(scan client.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.unfinished, scan); len(p.unfinished) == 0 && p.done != nil {
		close(p.done)
		p.done = nil
	}
}

// batch makes SIFScans, each with a claim, an image and its report, and waits until all are finished.
func (p *player) batch(ctx context.Context, n int) error {
	first := p.made
	p.made += n
	if err := each(n, func(i int) error { return p.prepare(ctx, first+i) }); err != nil {
		return err
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.done = done
	for i := range n {
		p.unfinished[client.ObjectKeyFromObject(makeScan(first+i))] = true
	}
	p.mu.Unlock()
	if err := each(n, func(i int) error { return p.api.Create(ctx, makeScan(first+i)) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case err := <-p.failed:
		return err
	case <-time.After(time.Hour):
		return fmt.Errorf("%d SIFScans are not finished after an hour", len(p.unfinished))
	}
}

// each does something n times, several at once.
func each(n int, do func(int) error) error {
	group := errgroup.Group{}
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

func makeScan(i int) *v1alpha1.SIFScan {
	return &v1alpha1.SIFScan{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace(i), Name: fmt.Sprintf("scan-%05d", i)},
		Spec: v1alpha1.SIFScanSpec{Target: v1alpha1.Target{Volume: &v1alpha1.VolumeTarget{
			ClaimName: claim(i), MountPath: "/shared/containers",
		}}},
	}
}

func claim(i int) string { return fmt.Sprintf("images-%05d", i) }

// prepare makes what a scan needs and what it would find.
func (p *player) prepare(ctx context.Context, i int) error {
	err := p.api.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace(i), Name: claim(i)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	})
	if err != nil {
		return err
	}
	return p.api.Create(ctx, makeReport(namespace(i), claim(i), "sr-"+claim(i)))
}

func makeReport(namespace, claim, name string) *v1alpha1.ScanReport {
	return &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels: map[string]string{v1alpha1.LabelClaim: claim, v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			Annotations: map[string]string{
				v1alpha1.AnnotationCounts: "0/1/2/3/0", v1alpha1.AnnotationFixable: "0/1/3", v1alpha1.AnnotationPackages: "300/0", v1alpha1.AnnotationOutcome: "scanned",
			},
		},
		Report: v1alpha1.Report{
			Target:     v1alpha1.ReportTarget{Kind: "sif", Path: "/shared/containers/" + name + ".sif"},
			Scanner:    v1alpha1.ReportScanner{Engine: "native"},
			ObservedAt: metav1.Now(),
		},
	}
}

// reports adds reports that no SIFScan of the bench is about.
func (p *player) reports(ctx context.Context, n int) error {
	return each(n, func(i int) error {
		return p.api.Create(ctx, makeReport(namespace(i), "archive", fmt.Sprintf("sr-more-%05d", i)))
	})
}

// play is a run of a Job over one image that did not change.
func (p *player) play(ctx context.Context, job *batchv1.Job) error {
	scan := job.OwnerReferences[0]
	inventory := &v1alpha1.ScanInventory{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name + "-w0-0", Labels: map[string]string{v1alpha1.LabelWorker: "0"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: scan.APIVersion, Kind: scan.Kind, Name: scan.Name, UID: scan.UID}},
		},
		Worker: v1alpha1.InventoryWorker{Total: ptr.To[int32](1), Done: 1},
		Entries: []v1alpha1.InventoryEntry{{
			Path: "a.sif", Outcome: v1alpha1.EntryUnchanged, Report: "sr-" + strings.Replace(scan.Name, "scan-", "images-", 1), CheckedAt: metav1.Now(),
		}},
	}
	for _, label := range []string{v1alpha1.LabelScan, v1alpha1.LabelScanUID, v1alpha1.LabelRun, v1alpha1.LabelManagedBy} {
		inventory.Labels[label] = job.Labels[label]
	}
	switch err := p.api.Create(ctx, inventory); {
	case apierrors.IsAlreadyExists(err): // a watch that began again has shown the Job twice
		return nil
	case err != nil:
		return fmt.Errorf("play the reporter: %w", err)
	}
	at := metav1.Now()
	job.Status = batchv1.JobStatus{
		StartTime: &job.CreationTimestamp, CompletionTime: &at, Succeeded: 1, CompletedIndexes: "0",
		Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: at},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: at},
		},
	}
	if err := p.api.Status().Update(ctx, job); err != nil {
		return fmt.Errorf("play the Job controller: %w", err)
	}
	return nil
}
