// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/nodepolicy"
)

// nodeJobInterval is the least time between two looks at a run because its Jobs moved: with 50 slots
// some end every second.
const nodeJobInterval = 2 * time.Second

// liveInterval is the most time between two looks at a run on nodes: nodes and time bring no event.
const liveInterval = 15 * time.Second

// live brings a scan of running containers one step further: first the containers of all nodes are
// listed, then each image is read on one node that has it.
func (r *Reconciler) live(ctx context.Context, p *pass) (ctrl.Result, error) {
	if p.finished() {
		return r.afterLive(ctx, p)
	}
	p.begin()
	if err := r.checkLive(p.scan); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.endVolumeJobs(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	if p.scan.Spec.Suspend {
		return ctrl.Result{}, r.suspendLive(ctx, p)
	}
	plan, err := r.plan(ctx, p)
	if errors.Is(err, errForgotten) {
		return ctrl.Result{}, r.giveUpLive(ctx, p, nil, r.forgotten)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(plan) == 0 {
		p.end(stalled(v1alpha1.ReasonNoTargets, noNodes(p.scan.Spec.Target.Running)))
		return ctrl.Result{}, nil
	}
	s, err := r.survey(ctx, p, plan)
	if err != nil {
		return ctrl.Result{}, err
	}
	if overdue(p) {
		return ctrl.Result{}, r.giveUpLive(ctx, p, s, tooLong)
	}
	return r.advance(ctx, p, s)
}

// checkLive refuses what the operator is not configured for. Admission asked who may; that nodes may be
// looked at at all is asked here.
func (r *Reconciler) checkLive(scan *v1alpha1.SIFScan) error {
	c := r.Config.NodeScans
	switch {
	case c == nil:
		return &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, message: "the operator does not scan running containers: " +
			"ask its administrator for --node-scans-namespace (config/node-scans)"}
	case scan.Namespace == c.Namespace:
		return &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, message: fmt.Sprintf(
			"Namespace %s is for the pods of node scans alone: create the SIFScan in another", c.Namespace)}
	}
	if err := r.Config.checkNodeEngine(scan); err != nil {
		return err
	}
	pattern := scan.Spec.Target.Running.ImagePattern
	if _, err := v1alpha1.ParseImagePattern(pattern); err != nil {
		return &hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec, message: fmt.Sprintf("spec.target.running.imagePattern %q: %s", pattern, err)}
	}
	_, err := c.tolerations(scan.Spec.Scheduling.Tolerations)
	return err
}

// endVolumeJobs ends Jobs in the SIFScan's own namespace: the spec named another kind of target before.
func (r *Reconciler) endVolumeJobs(ctx context.Context, p *pass) error {
	var err error
	if p.children, err = r.children(ctx, p.scan, p.run); err != nil {
		return err
	}
	return r.endOtherRuns(ctx, p)
}

// noNodes says that nothing was selected.
func noNodes(t *v1alpha1.RunningTarget) string {
	if t.PodSelector != nil {
		return "spec.target.running.podSelector: no running pod has these labels in the namespaces of podNamespaces"
	}
	return "spec.target.running.nodeSelector: no node has these labels"
}

// advance gives out work, and settles what ended.
func (r *Reconciler) advance(ctx context.Context, p *pass, s *survey) (ctrl.Result, error) {
	look := &outlook{p: p}
	if err := r.lookAround(ctx, look, s); err != nil {
		return ctrl.Result{}, err
	}
	images, work, err := r.nextWork(ctx, look, s)
	if errors.Is(err, errTooManyImages) {
		return ctrl.Result{}, r.giveUpLive(ctx, p, s, tooManyImages)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	queued, err := r.giveOut(ctx, p, work)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.settleEnded(ctx, look, s); err != nil {
		return ctrl.Result{}, err
	}
	p.scan.Status.Nodes = s.counts()
	if images != nil && images.waiting == 0 && len(work) == 0 {
		return ctrl.Result{}, r.completeLive(ctx, p, s, images)
	}
	p.tellProgress(s, images, queued)
	return ctrl.Result{RequeueAfter: liveInterval}, nil
}

// outlook is what is known of the cluster's nodes now.
type outlook struct {
	p           *pass
	nodes       map[string]*corev1.Node
	slurm       map[string]cause
	tolerations []corev1.Toleration
}

func (o *outlook) fit(n *nodeState) (cause, bool) {
	return objection(n.Name, o.nodes[n.Name], o.slurm[n.Name], o.tolerations, o.p.pendingDeadline, o.p.now)
}

// lookAround reads the nodes, and what their slurmd pods say where a node is to be chosen.
func (r *Reconciler) lookAround(ctx context.Context, o *outlook, s *survey) error {
	list := &corev1.NodeList{}
	if err := r.Client.List(ctx, list); err != nil {
		return fmt.Errorf("list Nodes: %w", err)
	}
	o.nodes = nodeIndex(list)
	var err error
	if o.tolerations, err = r.Config.NodeScans.tolerations(o.p.scan.Spec.Scheduling.Tolerations); err != nil {
		return err
	}
	if slices.ContainsFunc(s.nodes, func(n *nodeState) bool { return n.listing == nil && n.outcome.reason == "" }) || s.listed() {
		o.slurm, err = r.drainedWorkers(ctx)
	}
	return err
}

// imagesInWork are the images of a run, and how many of them are being read.
type imagesInWork struct {
	*liveImages
	waiting int
	lost    map[string]cause
}

// nextWork returns the Jobs to make now. The images are nil until all nodes are listed.
func (r *Reconciler) nextWork(ctx context.Context, o *outlook, s *survey) (*imagesInWork, []nodeWork, error) {
	if !s.listed() {
		work, err := r.listingWork(ctx, o, s)
		return nil, work, err
	}
	known, err := r.imagesOf(ctx, o.p, len(s.nodes))
	images := &imagesInWork{liveImages: known}
	if err != nil || o.p.scan.Spec.Target.Running.ListOnly {
		return images, nil, err
	}
	plan := planReading(images.liveImages, s, o.fit)
	images.waiting, images.lost = plan.waiting, plan.lost
	var work []nodeWork
	for _, n := range s.nodes {
		if keys := plan.work[n.worker]; len(keys) > 0 {
			work = append(work, nodeWork{
				name: nodeJobName(o.p.scan.Name, o.p.scan.UID, o.p.run, "s", append([]string{n.Name}, keys...)...),
				node: n.Name, worker: n.worker, pods: n.Pods, keys: keys,
			})
		}
	}
	return images, work, nil
}

// listingWork returns the nodes to list, and settles those where nobody can be sent.
func (r *Reconciler) listingWork(ctx context.Context, o *outlook, s *survey) ([]nodeWork, error) {
	var work []nodeWork
	for _, n := range s.nodes {
		if n.outcome.reason != "" || n.listing != nil {
			continue
		}
		why, wait := o.fit(n)
		switch {
		case why.reason != "":
			if err := r.settle(ctx, o.p, n, why); err != nil {
				return nil, err
			}
		case !wait:
			work = append(work, nodeWork{
				name: nodeJobName(o.p.scan.Name, o.p.scan.UID, o.p.run, "n", n.Name), node: n.Name, worker: n.worker, pods: n.Pods,
			})
		}
	}
	return work, nil
}

// giveOut makes as many of the Jobs as there are slots for, on nodes that have none. Where it makes none it says what for.
func (r *Reconciler) giveOut(ctx context.Context, p *pass, work []nodeWork) (queued string, err error) {
	if len(work) == 0 {
		return "", r.passOn(ctx, p)
	}
	in, err := r.nodeInputs(ctx, p)
	if err != nil {
		return "", err
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	claim := r.ledger.ask(p.scan, p.now)
	taken, err := r.atWork(ctx, p.now)
	if err != nil {
		return "", err
	}
	share := shareOf(r.Config.NodeScans.Slots, claim.most, p.scan.UID, taken.scans, r.ledger.created)
	if share.unseen {
		return "", errStale
	}
	free, waits := share.free, []string(nil)
	for _, w := range work {
		if free == 0 || taken.nodes[w.node] {
			waits = append(waits, w.node)
			continue
		}
		if err := r.createNodeJob(ctx, p, in.nodeJob(w)); err != nil {
			return "", err
		}
		taken.add(p.scan.UID, w.node)
		free--
	}
	r.ledger.wait(p.scan.UID, waits)
	r.callOthers(p.scan.UID, taken)
	if len(waits) < len(work) {
		return "", nil
	}
	return share.queued(waits), nil
}

// createNodeJob creates a Job in the namespace of node scans.
func (r *Reconciler) createNodeJob(ctx context.Context, p *pass, job *batchv1.Job) error {
	err := r.Client.Create(ctx, job)
	switch {
	case err == nil:
		r.ledger.made(job, p.scan.UID, p.now)
		return nil
	case apierrors.IsAlreadyExists(err):
		return errStale // an earlier look made it
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &hold{reason: v1alpha1.ReasonNotAllowed, retry: refusedRetry, message: fmt.Sprintf(
			"Job %s could not be made in Namespace %s: %s", job.Name, job.Namespace, printable(err.Error(), maxDetail))}
	}
	return fmt.Errorf("create Job %s: %w", job.Name, err)
}

// settleEnded writes down what came of nodes whose Job ended, or will not end.
func (r *Reconciler) settleEnded(ctx context.Context, o *outlook, s *survey) error {
	for _, n := range s.nodes {
		if n.listing != nil && n.outcome.reason == "" {
			if err := r.settleListing(ctx, o, n); err != nil {
				return err
			}
		}
		for _, t := range n.reading {
			if _, over := t.over(); over {
				continue
			}
			if err := r.giveUp(ctx, o, n, t, r.keepFromReading); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Reconciler) settleListing(ctx context.Context, o *outlook, n *nodeState) error {
	if _, over := n.listing.over(); !over {
		return r.giveUp(ctx, o, n, n.listing, r.settle)
	}
	if n.listing.unheard(o.p.now) {
		return nil
	}
	return r.settle(ctx, o.p, n, n.listing.verdict())
}

// giveUp deletes a Job that will not end well, once it is written why.
func (r *Reconciler) giveUp(ctx context.Context, o *outlook, n *nodeState, t *nodeTask, write func(context.Context, *pass, *nodeState, cause) error) error {
	why, given := stuck(n, t, o.nodes[n.Name], o.p.pendingDeadline, o.p.now)
	if !given {
		return nil
	}
	if err := write(ctx, o.p, n, why); err != nil {
		return err
	}
	return r.deleteJob(ctx, t.job)
}

// tellProgress says how far a run is.
func (p *pass) tellProgress(s *survey, images *imagesInWork, queued string) {
	nodes := p.scan.Status.Nodes
	if queued != "" && !slices.ContainsFunc(s.nodes, (*nodeState).busy) {
		waiting(v1alpha1.ReasonQueued, queued).apply(p.scan, p.now)
		return
	}
	message := fmt.Sprintf("the containers of %d of %s are listed", nodes.Done+nodes.Failed+nodes.Skipped, counted(nodes.Selected, "node", "nodes"))
	if images != nil {
		p.countLive(images)
		read := 0
		for _, image := range images.byKey {
			if image.report != "" {
				read++
			}
		}
		message = fmt.Sprintf("%s alive on %s; %d of %s read", counted(images.found, "container", "containers"),
			counted(nodes.Done, "node", "nodes"), read, counted(len(images.byKey), "image", "images"))
	}
	waiting(v1alpha1.ReasonRunning, message).apply(p.scan, p.now)
}

func (p *pass) countLive(images *imagesInWork) {
	p.scan.Status.Inventories = images.chunks
	p.scan.Status.Containers = &v1alpha1.ContainerCounts{Found: images.found, Images: int32(len(images.byKey))}
}

// end finishes the run.
func (p *pass) end(h health) {
	h.apply(p.scan, p.now)
	if p.scan.Status.StartTime == nil {
		p.scan.Status.StartTime = &metav1.Time{Time: p.now}
	}
	p.scan.Status.CompletionTime = &metav1.Time{Time: p.now}
}

// overdue reports whether the run took longer than it may.
func overdue(p *pass) bool {
	d := p.scan.Spec.Deadline
	return d != nil && p.scan.Status.StartTime != nil && p.now.Sub(p.scan.Status.StartTime.Time) >= d.Duration
}

// giveUpLive ends a run before all is done. What is known stays. The survey is nil where the run's nodes are not known.
func (r *Reconciler) giveUpLive(ctx context.Context, p *pass, s *survey, why func(*v1alpha1.SIFScan) health) error {
	if err := r.endNodeJobs(ctx, p); err != nil {
		return err
	}
	if s != nil {
		p.scan.Status.Nodes = s.counts()
	}
	p.end(why(p.scan))
	return nil
}

func tooLong(scan *v1alpha1.SIFScan) health {
	n := scan.Status.Nodes
	return stalled(v1alpha1.ReasonDeadlineExceeded, fmt.Sprintf(
		"the run took longer than spec.deadline (%s): the containers of %d of %s are listed; raise it, %s, or select fewer nodes; %s",
		scan.Spec.Deadline.Duration, n.Done, counted(n.Selected, "node", "nodes"), v1alpha1.TwiceAsLong(scan.Spec.Deadline.Duration), again))
}

var errTooManyImages = errors.New("more images than a run reads")

// tooManyImages: somebody else wrote them, or the cluster is larger than one SIFScan can hold.
func tooManyImages(scan *v1alpha1.SIFScan) health {
	n := scan.Status.Nodes.Selected
	return stalled(v1alpha1.ReasonReportUnavailable, fmt.Sprintf(
		"the ScanInventories of this run name more than %d images, the most that is read of %s: look who else writes ScanInventories in Namespace %s, or select fewer nodes; %s",
		mostImages(int(n)), counted(n, "node", "nodes"), scan.Namespace, again))
}

// suspendLive ends the run's Jobs. Resuming goes on with the same nodes.
func (r *Reconciler) suspendLive(ctx context.Context, p *pass) error {
	if err := r.endNodeJobs(ctx, p); err != nil {
		return err
	}
	r.ledger.drop(client.ObjectKeyFromObject(p.scan))
	suspended("suspended; what is listed and read is kept; set spec.suspend to false to go on").apply(p.scan, p.now)
	return nil
}

// endNodeJobs deletes the run's Jobs that are at work.
func (r *Reconciler) endNodeJobs(ctx context.Context, p *pass) error {
	jobs, err := r.nodeJobs(ctx, p.scan.UID)
	if err != nil {
		return err
	}
	for i := range jobs {
		if _, over := endOf(&jobs[i]); over || jobs[i].Labels[v1alpha1.LabelRun] != p.run {
			continue
		}
		if err := r.deleteJob(ctx, &jobs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) nodeJobs(ctx context.Context, scan types.UID) ([]batchv1.Job, error) {
	jobs := &batchv1.JobList{}
	err := r.Client.List(ctx, jobs, client.InNamespace(r.Config.NodeScans.Namespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(scan)})
	if err != nil {
		return nil, fmt.Errorf("list Jobs of nodes: %w", err)
	}
	return jobs.Items, nil
}

// afterLive is all that still happens once a run is finished.
func (r *Reconciler) afterLive(ctx context.Context, p *pass) (ctrl.Result, error) {
	observeGeneration(p.scan)
	r.readings.drop(client.ObjectKeyFromObject(p.scan))
	if err := r.endVolumeJobs(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.removeOldInventories(ctx, p); err != nil || r.Config.NodeScans == nil {
		return ctrl.Result{}, err
	}
	if err := r.revokeFinished(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	if nodepolicy.Refused(p.scan.Status.Conditions) {
		return r.askLater(ctx, p)
	}
	if left := timeToLive(&p.scan.Spec, p.scan.Status.CompletionTime.Time, p.now); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	jobs, err := r.nodeJobs(ctx, p.scan.UID)
	if err != nil {
		return ctrl.Result{}, err
	}
	for i := range jobs {
		if err := r.deleteJob(ctx, &jobs[i]); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}

// firstNames writes the first few names of a list.
func firstNames(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
