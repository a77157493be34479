// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// annotationNodes on a run's ServiceAccount is its list of nodes, as JSON. It is kept where only the
// operator writes: whoever could change it in the SIFScan's namespace would choose where pods run
// that see every process. It comes into being with the account, in one write.
const annotationNodes = "sifscan.io/nodes"

// maxNodeList bounds the list: the API server takes 256 KiB of annotations, which hold some 4,000
// nodes of usual names.
const maxNodeList = 240 << 10

// plannedNode is a node of a run.
type plannedNode struct {
	Name string `json:"name"`
	// Pods are the UIDs of the selected pods on the node; absent where no pods were selected.
	Pods []string `json:"pods,omitempty"`
}

// errForgotten: nobody knows the nodes of the run any more.
var errForgotten = errors.New("the list of the run's nodes is gone")

// forgotten says so.
func (r *Reconciler) forgotten(scan *v1alpha1.SIFScan) health {
	return stalled(v1alpha1.ReasonReportUnavailable, fmt.Sprintf("ServiceAccount %s in Namespace %s was deleted, with which this run knew its nodes; %s",
		nodeAccount(scan.UID, scan.Status.RunID), r.Config.NodeScans.Namespace, again))
}

// plan returns the nodes of the run, which are chosen once, when it starts. A node's worker is its
// position in this list.
func (r *Reconciler) plan(ctx context.Context, p *pass) ([]plannedNode, error) {
	account := &corev1.ServiceAccount{}
	key := types.NamespacedName{Namespace: r.Config.NodeScans.Namespace, Name: nodeAccount(p.scan.UID, p.run)}
	err := r.Live.Get(ctx, key, account)
	switch {
	case apierrors.IsNotFound(err) && p.scan.Status.StartTime == nil:
		return r.beginLive(ctx, p)
	case apierrors.IsNotFound(err):
		return nil, errForgotten
	case err != nil:
		return nil, fmt.Errorf("read ServiceAccount %s: %w", key, err)
	}
	var nodes []plannedNode
	if err := json.Unmarshal([]byte(account.Annotations[annotationNodes]), &nodes); err != nil {
		return nil, fmt.Errorf("annotation %s of ServiceAccount %s: %w", annotationNodes, key, err)
	}
	if p.scan.Status.StartTime == nil { // the operator ended between the account and the status
		if err := r.bindReporter(ctx, p); err != nil {
			return nil, err
		}
		p.scan.Status.StartTime = account.CreationTimestamp.DeepCopy()
	}
	return nodes, nil
}

// beginLive chooses the nodes, and makes the reporter's account and its rights in the SIFScan's namespace.
func (r *Reconciler) beginLive(ctx context.Context, p *pass) ([]plannedNode, error) {
	if err := r.checkFresh(ctx, p.scan); err != nil {
		return nil, err
	}
	if err := r.checkAsked(ctx, p); err != nil {
		return nil, err
	}
	nodes, err := r.selectNodes(ctx, p.scan)
	if err != nil || len(nodes) == 0 {
		return nil, err
	}
	list, err := json.Marshal(nodes)
	if err != nil {
		return nil, err
	}
	if len(list) > maxNodeList {
		return nil, &hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec, message: fmt.Sprintf(
			"spec.target.running selects %s, more than one SIFScan can hold: select fewer, and make a SIFScan for each part",
			counted(len(nodes), "node", "nodes"))}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: r.Config.NodeScans.Namespace, Name: nodeAccount(p.scan.UID, p.run),
		Labels: nodeLabelsOf(p.scan, p.run), Annotations: map[string]string{annotationNodes: string(list)},
	}}
	account.AutomountServiceAccountToken = new(bool)
	if err := r.createIfMissing(ctx, account, &corev1.ServiceAccount{}); err != nil {
		return nil, err
	}
	if err := r.bindReporter(ctx, p); err != nil {
		return nil, err
	}
	p.scan.Status.StartTime = account.CreationTimestamp.DeepCopy()
	return nodes, nil
}

func nodeLabelsOf(scan *v1alpha1.SIFScan, run string) map[string]string {
	labels := JobInputs{Scan: scan, Run: run}.labels()
	labels[v1alpha1.LabelScanNamespace] = scan.Namespace
	return labels
}

// bindReporter lets the run's account write into the SIFScan's namespace, and into no other.
func (r *Reconciler) bindReporter(ctx context.Context, p *pass) error {
	binding, there := nodeBinding(p.scan, p.run, r.Config.NodeScans.Namespace), &rbacv1.RoleBinding{}
	if err := r.createIfMissing(ctx, binding, there); err != nil {
		return err
	}
	return checkBinding(there, binding)
}

func nodeBinding(scan *v1alpha1.SIFScan, run, namespace string) *rbacv1.RoleBinding {
	account := nodeAccount(scan.UID, run)
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: scan.Namespace, Name: bindingPrefix + account, Labels: nodeLabelsOf(scan, run)},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: v1alpha1.ReporterClusterRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	}
}

// revokeFinished removes the account of a run whose status says that it is over, and no sooner: an operator that ended in between
// would find a run at work that knows its nodes no more. What is left of a run that is long over is the sweeper's.
func (r *Reconciler) revokeFinished(ctx context.Context, p *pass) error {
	if p.now.Sub(p.scan.Status.CompletionTime.Time) > sweepInterval {
		return nil
	}
	return r.revoke(ctx, p.scan.Namespace, nodeAccount(p.scan.UID, p.run))
}

// revoke removes a run's account and its rights. The rights go first: an account of the same name
// would have them again.
func (r *Reconciler) revoke(ctx context.Context, scanNamespace, account string) error {
	for _, obj := range []client.Object{
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: scanNamespace, Name: bindingPrefix + account}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.Config.NodeScans.Namespace, Name: account}},
	} {
		if err := r.Client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remove %T %s/%s of a scan of nodes: %w", obj, obj.GetNamespace(), obj.GetName(), err)
		}
	}
	return nil
}
