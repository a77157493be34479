// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/plan"
)

// The list that the workers of a run share is stored once, in ScanInventories of its own, and never
// written again: parts that are named by the list's content, then the head, which has one name in
// the run. Whoever creates the head first decides. A pod on a node that was given up may still be
// at work when its successor makes another list; neither can mix up the other's.
const (
	// maxPart of a list in one object, compressed: two thirds of a MiB in etcd, which takes 1.5.
	maxPart = 512 << 10
	// maxPartLines bounds a part in bytes before it is compressed, for whoever unpacks it.
	maxPartLines = 16 << 20
	// maxParts of a list: 43 MiB of etcd, for about a million images.
	maxParts = 64
	// planDigest is how many hexadecimal digits of the list's SHA-256 name it. A label has room for 63.
	planDigest = 32
)

func (o *Options) planName() string { return o.Job + "-plan" }

func (o *Options) partName(digest string, part int) string {
	if part == 0 {
		return o.planName()
	}
	return fmt.Sprintf("%s-%s-%d", o.planName(), digest, part)
}

// takePlan gives the scanner the list of the run if it shares one. All but the first worker wait
// until there is one; false when ctx ended before.
func (r *Reporter) takePlan(ctx context.Context) (ok bool, err error) {
	if r.opts.Workers <= 1 || r.hand.PlanTold() {
		return true, nil
	}
	look := time.NewTicker(r.opts.LookEvery)
	defer look.Stop()
	for {
		head, err := r.planHead(ctx)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read the list of targets: %w", err)
		case head != nil:
			return true, r.orRefuse(r.tellPlan(ctx, head))
		case r.opts.Worker == 0:
			return true, nil // its scanner makes the list
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-look.C:
		}
	}
}

// freeze stores the list that the scanner made, unless there is one already, and gives it the one
// that is stored.
func (r *Reporter) freeze(ctx context.Context) error {
	if r.hand.PlanTold() {
		return nil // by this container before it was started anew
	}
	err := r.storePlan(ctx)
	if ctx.Err() != nil {
		return err
	}
	return r.orRefuse(err)
}

// orRefuse tells the scanner that there will be no list: its pod then says why, where one whose
// reporter ends again and again would only wait.
func (r *Reporter) orRefuse(err error) error {
	if err == nil {
		return nil
	}
	r.log.Error(err, "there is no list of targets")
	return r.hand.RefusePlan(err.Error())
}

func (r *Reporter) storePlan(ctx context.Context) error {
	offered, err := r.hand.PlanOffered()
	if err != nil {
		return err
	}
	defer offered.Close()
	packed, err := packPlan(offered)
	if err != nil {
		return err
	}
	for part := len(packed.parts) - 1; part >= 0; part-- {
		obj := r.planObject(packed, part)
		// One that is there under a part's name is this part, and one under the head's is the run's list.
		err := r.calls.retry(ctx, func(ctx context.Context) error {
			err := r.api.Create(ctx, obj.DeepCopy())
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("write ScanInventory %s: %w", obj.Name, err)
		}
	}
	head, err := r.planHead(ctx)
	if err != nil {
		return err
	}
	if head == nil {
		return errors.New("the list of targets was deleted as soon as it was stored")
	}
	return r.tellPlan(ctx, head)
}

// packedPlan is a list as it is stored.
type packedPlan struct {
	parts   [][]byte
	digest  string
	targets int
}

// packPlan compresses a list into parts. Its lines are the scanner's: they are read, and written anew.
func packPlan(list io.Reader) (p packedPlan, err error) {
	all := sha256.New()
	var part partWriter
	err = plan.Read(list, func(i plan.Item) error {
		if len(p.parts) == maxParts {
			return fmt.Errorf("the list takes more than %d MiB of etcd: name fewer directories in spec.target, in several SIFScans", maxParts*maxPart>>20)
		}
		var line bytes.Buffer
		if err := plan.Write(&line, i); err != nil {
			return err
		}
		if i.Kind != plan.Nothing {
			p.targets++
		}
		all.Write(line.Bytes())
		if full := part.add(line.Bytes()); full {
			p.parts = append(p.parts, part.take())
		}
		return nil
	})
	if part.lines > 0 || len(p.parts) == 0 {
		p.parts = append(p.parts, part.take())
	}
	p.digest = digestOf(all)
	return p, err
}

func digestOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil))[:planDigest] }

// partWriter compresses lines until a part is full.
type partWriter struct {
	out   bytes.Buffer
	gzip  *gzip.Writer
	lines int // bytes of them
}

func (w *partWriter) add(line []byte) (full bool) {
	if w.gzip == nil {
		w.gzip = gzip.NewWriter(&w.out)
	}
	_, _ = w.gzip.Write(line) // into memory
	w.lines += len(line)
	// What is still in the compressor is some ten KiB.
	return w.out.Len() >= maxPart || w.lines >= maxPartLines-plan.MaxLine
}

func (w *partWriter) take() []byte {
	if w.gzip == nil {
		w.gzip = gzip.NewWriter(&w.out)
	}
	_ = w.gzip.Close()
	packed := bytes.Clone(w.out.Bytes())
	*w = partWriter{}
	return packed
}

// planObject builds the object of a part; part 0 is the head.
func (r *Reporter) planObject(p packedPlan, part int) *v1alpha1.ScanInventory {
	labels := r.inventory.labels()
	delete(labels, v1alpha1.LabelWorker)
	labels[v1alpha1.LabelPlan] = p.digest
	now := metav1.NewTime(r.opts.Now())
	total := int32(p.targets)
	obj := &v1alpha1.ScanInventory{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.opts.Namespace, Name: r.opts.partName(p.digest, part),
			Labels: labels, OwnerReferences: []metav1.OwnerReference{r.scanOwner()},
		},
		Worker:    v1alpha1.InventoryWorker{Index: r.opts.Worker, Node: r.opts.Node, Total: &total, UpdatedAt: &now},
		EntriesGz: p.parts[part],
	}
	if part == 0 {
		obj.Annotations = map[string]string{v1alpha1.AnnotationPlanned: fmt.Sprintf("%d/%d", p.targets, len(p.parts))}
	}
	return obj
}

// planHead returns the object that decides which list the run has; nil while there is none.
func (r *Reporter) planHead(ctx context.Context) (*v1alpha1.ScanInventory, error) {
	head, err := r.part(ctx, r.opts.planName())
	if err != nil || head == nil {
		return nil, err
	}
	if !ownedBy(head.OwnerReferences, types.UID(r.opts.ScanUID)) {
		return nil, &refused{fmt.Sprintf("ScanInventory %s belongs to another SIFScan; delete it", head.Name)}
	}
	return head, nil
}

func (r *Reporter) part(ctx context.Context, name string) (*v1alpha1.ScanInventory, error) {
	obj := &v1alpha1.ScanInventory{}
	err := r.calls.retry(ctx, func(ctx context.Context) error {
		err := r.api.Get(ctx, types.NamespacedName{Namespace: r.opts.Namespace, Name: name}, obj)
		if apierrors.IsNotFound(err) {
			obj = nil
			return nil
		}
		return err
	})
	return obj, err
}

// tellPlan gives the scanner the list that begins with head, whole or not at all.
func (r *Reporter) tellPlan(ctx context.Context, head *v1alpha1.ScanInventory) error {
	damaged := func(what string) error {
		return &refused{fmt.Sprintf("the list of targets in ScanInventory %s is damaged (%s): set the annotation %s of the SIFScan to a new value",
			head.Name, what, v1alpha1.AnnotationRescanAt)}
	}
	digest := head.Labels[v1alpha1.LabelPlan]
	_, count, _ := strings.Cut(head.Annotations[v1alpha1.AnnotationPlanned], "/")
	parts, err := strconv.Atoi(count)
	if err != nil || parts < 1 || parts > maxParts+1 {
		return damaged("it does not say how many objects it has")
	}
	return r.hand.TellPlan(func(w io.Writer) error {
		all := sha256.New()
		for n := range parts {
			part := head
			if n > 0 {
				var err error
				if part, err = r.part(ctx, r.opts.partName(digest, n)); err != nil {
					return err
				}
				if part == nil {
					return damaged(r.opts.partName(digest, n) + " is missing")
				}
			}
			if err := unpackPart(io.MultiWriter(w, all), part.EntriesGz); err != nil {
				return damaged(fmt.Sprintf("%s: %v", part.Name, err))
			}
		}
		if digestOf(all) != digest {
			return damaged("it is not what its label says")
		}
		return nil
	})
}

func unpackPart(w io.Writer, packed []byte) error {
	text, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(text, maxPartLines+1))
	if err == nil && n > maxPartLines {
		err = fmt.Errorf("it holds more than %d bytes", maxPartLines)
	}
	return err
}
