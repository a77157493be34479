// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// paged is an API server that gives its pods out page by page, as the real one does.
type paged struct {
	client.Reader
	pods  int
	fails string // the page that cannot be read
	used  bool   // a page was decoded into one that was used
}

var errPage = errors.New("the API server is away")

func (p *paged) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if o.Limit == 0 || o.Continue != "" && o.Continue == p.fails {
		return errPage
	}
	page := list.(*corev1.PodList)
	p.used = p.used || len(page.Items) > 0
	at, _ := strconv.Atoi(o.Continue)
	end := min(p.pods, at+int(o.Limit))
	for ; at < end; at++ {
		page.Items = append(page.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(at)}})
	}
	if end < p.pods {
		page.Continue = strconv.Itoa(end)
	}
	return nil
}

func TestWhatIsListedPageByPageIsListedToItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		pods  int
		fails string
		stop  int // the page with which the reader is content
		want  int
		err   error
	}{
		"none":                    {pods: 0, want: 0},
		"less than a page":        {pods: 9, want: 9},
		"whole pages":             {pods: 30, want: 30},
		"a part of the last page": {pods: 31, want: 31},
		"a page that is not read": {pods: 30, fails: "20", want: 20, err: errPage},
		"what the reader refuses": {pods: 30, stop: 2, want: 20, err: errTooManyImages},
	} {
		server, got, pages := &paged{pods: c.pods, fails: c.fails}, 0, 0
		err := eachPage(t.Context(), server, "pods", 10, func() *corev1.PodList { return &corev1.PodList{} }, func(page *corev1.PodList) error {
			got, pages = got+len(page.Items), pages+1
			if pages == c.stop {
				return errTooManyImages
			}
			return nil
		})
		if got != c.want || server.used || !errors.Is(err, c.err) {
			t.Errorf("%s: %d pods, want %d; %v", name, got, c.want, err)
		}
		if errors.Is(err, errPage) && !strings.Contains(err.Error(), "list pods") {
			t.Errorf("%s: nobody learns what was not listed: %v", name, err)
		}
	}
}

func TestTheInventoriesOfANodeAreReadPageByPageAndOnlyThoseWithPodsAreWritten(t *testing.T) {
	scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	p := &pass{scan: scan, run: RunID(scan)}
	chunk := func(worker, n int32, pod string) *v1alpha1.ScanInventory {
		labels := JobInputs{Scan: scan, Run: p.run}.labels()
		labels[v1alpha1.LabelWorker] = fmt.Sprint(worker)
		i := &v1alpha1.ScanInventory{ObjectMeta: metav1.ObjectMeta{Namespace: scan.Namespace, Name: inventoryName(JobName(scan.Name, p.run), worker, n), Labels: labels}}
		i.Containers = []v1alpha1.InventoryContainer{{Key: "v1-0123456789abcdef"}}
		if pod != "" {
			i.Containers[0].Pod = &v1alpha1.InventoryPod{UID: pod}
		}
		return i
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "slurm", Name: "worker-0", UID: "4711"}, Spec: corev1.PodSpec{NodeName: "n1"}}
	var unpaged, written []string
	server := sweptServer(t).WithIndex(&corev1.Pod{}, "spec.nodeName", func(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }).
		WithObjects(pod, chunk(0, 0, "4711"), chunk(0, 1, "4711"), chunk(0, 2, ""), chunk(1, 0, "4711")).
		WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if (&client.ListOptions{}).ApplyOptions(opts).Limit == 0 {
					unpaged = append(unpaged, fmt.Sprintf("%T", list))
				}
				return c.List(ctx, list, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
				written = append(written, o.GetName())
				return c.Patch(ctx, o, patch, opts...)
			},
		}).Build()
	node := &nodeState{plannedNode: plannedNode{Name: "n1"}}
	if err := (&Reconciler{Client: cacheOf(server), Live: server, Config: nodeConfig()}).settle(t.Context(), p, node, cause{reason: v1alpha1.ReasonSucceeded}); err != nil {
		t.Fatal(err)
	}
	if len(unpaged) > 0 {
		t.Errorf("listed without pages: %v", unpaged)
	}
	if want := []string{chunk(0, 1, "").Name, chunk(0, 0, "").Name}; !slices.Equal(written, want) {
		t.Errorf("written %v, want %v", written, want)
	}
	second := chunk(0, 1, "")
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(second), second); err != nil || second.Containers[0].Pod.Name != "worker-0" {
		t.Errorf("the pod of the second chunk: %+v, %v", second.Containers[0].Pod, err)
	}
}
