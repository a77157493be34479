// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

type nodeWrapper struct{ corev1.Node }

func aNode() *nodeWrapper {
	n := &nodeWrapper{corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}
	return n.condition(corev1.NodeReady, corev1.ConditionTrue, epoch.Add(-time.Hour))
}

func (w *nodeWrapper) condition(kind corev1.NodeConditionType, status corev1.ConditionStatus, since time.Time) *nodeWrapper {
	w.Status.Conditions = slices.DeleteFunc(w.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == kind })
	w.Status.Conditions = append(w.Status.Conditions, corev1.NodeCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(since)})
	return w
}

func (w *nodeWrapper) cordoned() *nodeWrapper { w.Spec.Unschedulable = true; return w }

func (w *nodeWrapper) taint(key, value string, effect corev1.TaintEffect) *nodeWrapper {
	w.Spec.Taints = append(w.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: effect})
	return w
}

// since says when the last taint was added.
func (w *nodeWrapper) since(at time.Time) *nodeWrapper {
	w.Spec.Taints[len(w.Spec.Taints)-1].TimeAdded = &metav1.Time{Time: at}
	return w
}

func slurmd(change func(*corev1.Pod)) []corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "slurm", Name: "gpu-0"}, Spec: corev1.PodSpec{NodeName: "n1"}}
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "slinky.slurm.net/v1beta1", Kind: "NodeSet", Name: "gpu", UID: "set", Controller: ptr.To(true)}}
	change(&pod)
	return []corev1.Pod{pod}
}

// said is what slurmd pods say of their node.
func said(pods []corev1.Pod) (c cause) {
	for i := range pods {
		if d, ok := drainedWorkerOf(&pods[i]); ok {
			c = d.cause
		}
	}
	return c
}

func TestWhatSpeaksAgainstANode(t *testing.T) {
	yes, unknown := corev1.ConditionTrue, corev1.ConditionUnknown
	inState := func(state string, status corev1.ConditionStatus) []corev1.Pod {
		return slurmd(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodConditionType("SlurmNodeState" + state), Status: status}}
		})
	}
	for name, tc := range map[string]struct {
		node    *nodeWrapper
		workers []corev1.Pod
		want    string
		wait    bool
	}{
		"nothing":                                  {aNode(), nil, "", false},
		"it is not there":                          {nil, nil, "NodeGone: there is no node n1", false},
		"it is silent for long":                    {aNode().condition(corev1.NodeReady, unknown, epoch.Add(-2*time.Minute)), nil, "NodeGone: node n1 is not ready since 2026-03-01T01:28:00Z", false},
		"it is silent for a moment":                {aNode().condition(corev1.NodeReady, unknown, epoch.Add(-time.Minute)), nil, "", true},
		"it is cordoned":                           {aNode().cordoned(), nil, "NodeCordoned: node n1 is cordoned: kubectl uncordon n1", false},
		"Soperator drains it":                      {aNode().condition("SlurmNodeDrain", yes, epoch), nil, "NodeCordoned: Slurm has taken node n1 out of service (its condition SlurmNodeDrain)", false},
		"Soperator reboots it":                     {aNode().condition("SlurmNodeReboot", yes, epoch), nil, "NodeCordoned: Slurm has taken node n1 out of service (its condition SlurmNodeReboot)", false},
		"Soperator no longer drains it":            {aNode().condition("SlurmNodeDrain", corev1.ConditionFalse, epoch), nil, "", false},
		"Slinky drains its slurmd":                 {aNode(), inState("Drain", yes), "NodeCordoned: Slurm has taken node n1 out of service (condition SlurmNodeStateDrain of pod gpu-0)", false},
		"Slinky has it in maintenance":             {aNode(), inState("Maintenance", yes), "NodeCordoned: Slurm has taken node n1 out of service (condition SlurmNodeStateMaintenance of pod gpu-0)", false},
		"its jobs are what is looked for":          {aNode(), inState("Allocated", yes), "", false},
		"it was drained":                           {aNode(), inState("Drain", corev1.ConditionFalse), "", false},
		"Slinky cordons its slurmd":                {aNode(), slurmd(func(p *corev1.Pod) { p.Annotations = map[string]string{slinkyPodCordon: "true"} }), "NodeCordoned: the slurmd pod gpu-0 on node n1 is cordoned (nodeset.slinky.slurm.net/pod-cordon)", false},
		"Slinky's taints are tolerated":            {aNode().taint("nodeset.slinky.slurm.net/worker", "", corev1.TaintEffectNoExecute).taint("slinky.slurm.net/managed-node", "slurm-bridge", corev1.TaintEffectNoExecute), nil, "", false},
		"Soperator's example taint is tolerated":   {aNode().taint("nvidia.com/gpu", "", corev1.TaintEffectNoSchedule), nil, "", false},
		"somebody's taint is not":                  {aNode().taint("team", "x", corev1.TaintEffectNoSchedule), nil, "Unschedulable: node n1 has the taint team=x:NoSchedule, which this scan does not tolerate: ask the operator's administrator for --node-scans-tolerations", false},
		"its disk is full for a moment":            {aNode().taint("node.kubernetes.io/disk-pressure", "", corev1.TaintEffectNoSchedule).since(epoch.Add(time.Second - pendingDeadline)), nil, "", true},
		"its disk is full for long":                {aNode().taint("node.kubernetes.io/disk-pressure", "", corev1.TaintEffectNoSchedule).since(epoch.Add(-pendingDeadline)), nil, "Unschedulable: node n1 takes no pods while it is short of something (its taint node.kubernetes.io/disk-pressure:NoSchedule): see kubectl describe node n1", false},
		"nobody knows since when it has no memory": {aNode().taint("node.kubernetes.io/memory-pressure", "", corev1.TaintEffectNoSchedule), nil, "Unschedulable: node n1 takes no pods while it is short of something (its taint node.kubernetes.io/memory-pressure:NoSchedule): see kubectl describe node n1", false},
		"its disk is full, and it is somebody's": {aNode().taint("node.kubernetes.io/disk-pressure", "", corev1.TaintEffectNoSchedule).since(epoch).taint("team", "x", corev1.TaintEffectNoSchedule), nil,
			"Unschedulable: node n1 has the taint team=x:NoSchedule, which this scan does not tolerate: ask the operator's administrator for --node-scans-tolerations", false},
		"a taint that only asks is no reason":         {aNode().taint("team", "x", corev1.TaintEffectPreferNoSchedule), nil, "", false},
		"that it is gone comes before that it drains": {aNode().cordoned().condition(corev1.NodeReady, unknown, epoch.Add(-time.Hour)), nil, "NodeGone: node n1 is not ready since 2026-03-01T00:30:00Z", false},
	} {
		t.Run(name, func(t *testing.T) {
			var node *corev1.Node
			if tc.node != nil {
				node = &tc.node.Node
			}
			why, wait := objection("n1", node, said(tc.workers), nodeConfig().NodeScans.Tolerations, pendingDeadline, epoch)
			if got := why.String(); got != tc.want || wait != tc.wait {
				t.Errorf("%q (wait %v), want %q (wait %v)", got, wait, tc.want, tc.wait)
			}
		})
	}
}

func TestTolerationsAreThoseThatTheAdministratorAllows(t *testing.T) {
	allowed, err := ParseTolerations("slinky.slurm.net/slurm:NoExecute,pool=gpu,team=x:NoSchedule")
	if err != nil {
		t.Fatal(err)
	}
	c := NodeScansConfig{Tolerations: allowed}
	if got, err := c.tolerations(nil); err != nil || !cmp.Equal(got, allowed) {
		t.Errorf("who names none has %v (%v)", got, err)
	}
	for name, tc := range map[string]struct {
		asked corev1.Toleration
		want  bool
	}{
		"the same":                          {corev1.Toleration{Key: "slinky.slurm.net/slurm", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}, true},
		"one value where any is allowed":    {corev1.Toleration{Key: "slinky.slurm.net/slurm", Value: "v", Effect: corev1.TaintEffectNoExecute}, true},
		"any effect where one is allowed":   {corev1.Toleration{Key: "slinky.slurm.net/slurm", Operator: corev1.TolerationOpExists}, false},
		"another effect":                    {corev1.Toleration{Key: "slinky.slurm.net/slurm", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}, false},
		"one effect where any is allowed":   {corev1.Toleration{Key: "pool", Value: "gpu", Effect: corev1.TaintEffectNoExecute}, true},
		"any value where one is allowed":    {corev1.Toleration{Key: "pool", Operator: corev1.TolerationOpExists}, false},
		"another value":                     {corev1.Toleration{Key: "team", Value: "y", Effect: corev1.TaintEffectNoSchedule}, false},
		"everything":                        {corev1.Toleration{Operator: corev1.TolerationOpExists}, false},
		"a comparison where any is allowed": {corev1.Toleration{Key: "slinky.slurm.net/slurm", Operator: "Gt", Value: "1", Effect: corev1.TaintEffectNoExecute}, false},
	} {
		if _, err := c.tolerations([]corev1.Toleration{tc.asked}); (err == nil) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, wrong := range []string{":NoExecute", "a:Never", "a b/c/d", "=x"} {
		if list, err := ParseTolerations(wrong); err == nil {
			t.Errorf("%q is read as %v", wrong, list)
		}
	}
}

// Who writes it is told before a pod goes to any node, where the same words would end each of them.
func TestAPatternThatIsNoneIsRefusedBeforeAnyNodeIsAsked(t *testing.T) {
	r := &Reconciler{Config: nodeConfig()}
	for pattern, want := range map[string]string{
		"":             "",
		"*pytorch*":    "",
		"*[0-9].sif":   "",
		"[a":           `spec.target.running.imagePattern "[a": a [ has no ]: close it`,
		"/a/[z-a].sif": `spec.target.running.imagePattern "/a/[z-a].sif": what is between [ and ] is no set of characters`,
	} {
		err := r.checkLive(makeLive(v1alpha1.RunningTarget{NodeName: "n1", ImagePattern: pattern}).obj())
		var h *hold
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", pattern, err)
		case want != "" && (!errors.As(err, &h) || h.reason != v1alpha1.ReasonInvalidSpec || !h.stalled || !strings.HasPrefix(h.message, want)):
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}

// A SIFScan there would have its reports among the pods that see everything, and its author rights in their namespace.
func TestTheNamespaceOfNodePodsHoldsNoSIFScan(t *testing.T) {
	r := &Reconciler{Config: nodeConfig()}
	scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	if err := r.checkLive(scan); err != nil {
		t.Fatal(err)
	}
	scan.Namespace = r.Config.NodeScans.Namespace
	var h *hold
	if err := r.checkLive(scan); !errors.As(err, &h) || h.reason != v1alpha1.ReasonNotAllowed || !h.stalled || !strings.Contains(h.message, "create the SIFScan in another") {
		t.Errorf("%v", err)
	}
}

func TestNodeScansConfigIsChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*NodeScansConfig)
		want   string
	}{
		"as shipped":            {func(*NodeScansConfig) {}, ""},
		"a profile of the site": {func(c *NodeScansConfig) { c.AppArmorProfile = "localhost/opener" }, ""},
		"another namespace":     {func(c *NodeScansConfig) { c.Namespace = "nodes" }, `namespace "nodes": use sifscan-node, the name by which the admission policies know`},
		"no slot":               {func(c *NodeScansConfig) { c.Slots = 0 }, "slots"},
		"an unknown profile":    {func(c *NodeScansConfig) { c.AppArmorProfile = "unconfined" }, "use Unconfined"},
		"too little memory":     {func(c *NodeScansConfig) { c.MemoryLimit = *listLimits.Cpu() }, "use at least 256Mi"},
	} {
		c := nodeConfig().NodeScans
		tc.change(c)
		err := c.Check()
		if got := fmt.Sprint(err); (err == nil) != (tc.want == "") || tc.want != "" && !strings.Contains(got, tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestSlotsAreSharedAmongScans(t *testing.T) {
	for name, tc := range map[string]struct {
		most    int32
		taken   map[types.UID]int
		created map[types.UID]createdJob
		want    nodeShare
	}{
		"alone, a scan takes all":                     {1, map[types.UID]int{"me": 0}, nil, nodeShare{free: 50}},
		"what it has counts":                          {1, map[types.UID]int{"me": 30}, nil, nodeShare{free: 20, taken: 30}},
		"beside another it takes its half":            {1, map[types.UID]int{"me": 0, "b": 20}, nil, nodeShare{free: 25, taken: 20}},
		"and waits for what the other has too much":   {1, map[types.UID]int{"me": 0, "b": 45}, nil, nodeShare{free: 5, taken: 45}},
		"a scan that asks for fewer takes fewer":      {8, map[types.UID]int{"me": 3}, nil, nodeShare{free: 5, taken: 3}},
		"and never more than all":                     {64, map[types.UID]int{"me": 3}, nil, nodeShare{free: 47, taken: 3}},
		"full is full":                                {1, map[types.UID]int{"me": 0, "b": 50}, nil, nodeShare{taken: 50}},
		"more at work than slots (fewer than before)": {1, map[types.UID]int{"me": 60}, nil, nodeShare{taken: 60}},
		"a Job that the cache does not show is seen":  {1, map[types.UID]int{"me": 1}, map[types.UID]createdJob{"j": {scan: "me"}}, nodeShare{free: 49, taken: 1, unseen: true}},
	} {
		if got := shareOf(50, tc.most, "me", tc.taken, tc.created); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// listed is a node whose containers are known.
func listed(name string, worker int32, tasks ...*nodeTask) *nodeState {
	return &nodeState{plannedNode: plannedNode{Name: name}, worker: worker, reading: tasks, outcome: cause{reason: v1alpha1.ReasonSucceeded}}
}

// task is a Job that reads images; how it ended is empty while it has not.
func task(end batchv1.JobConditionType, verdict string, keys ...string) *nodeTask {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationImageKeys: strings.Join(keys, ",")}}}
	if end == "" {
		return &nodeTask{job: cached(job)}
	}
	job.Status.Conditions = []batchv1.JobCondition{{Type: end, Status: corev1.ConditionTrue}}
	code := int32(0)
	if end == batchv1.JobFailed {
		code = 1
	}
	return &nodeTask{cached(job), makePod(makeScan().job()).scannerEnded(code, "Error", verdict).obj()}
}

func images(holders map[string][]int32) *liveImages {
	l := newLiveImages()
	for key, workers := range holders {
		l.byKey[key] = &liveImage{holders: workers}
	}
	return l
}

func TestEachImageIsReadOnOneNodeThatHasIt(t *testing.T) {
	a, b, c := key("a"), key("b"), key("c")
	fits := func(*nodeState) (cause, bool) { return cause{}, false }
	gone := func(n *nodeState) (cause, bool) {
		if n.Name == "n0" {
			return cause{v1alpha1.ReasonNodeGone, "there is no node n0"}, false
		}
		return cause{}, false
	}
	failed := listed("n0", 0)
	failed.outcome = cause{v1alpha1.ReasonNodeGone, "n0 left"}
	kept := listed("n0", 0)
	kept.kept = cause{v1alpha1.ReasonUnschedulable, "no room on n0"}
	lostFirst := task(batchv1.JobComplete, `{"reason":"NoTargets","message":"ended"}`, a)
	denied := task(batchv1.JobFailed, `{"reason":"NodePolicyDenies","message":"AppArmor"}`, a)
	for name, tc := range map[string]struct {
		images  *liveImages
		nodes   []*nodeState
		fit     func(*nodeState) (cause, bool)
		work    map[int32][]string
		waiting int
		lost    map[string]cause
	}{
		"images of all nodes are spread over them": {images(map[string][]int32{a: {0, 1}, b: {0, 1}, c: {0}}),
			[]*nodeState{listed("n0", 0), listed("n1", 1)}, fits, map[int32][]string{0: {a, c}, 1: {b}}, 0, nil},
		"one that is being read waits, and makes its node wait": {images(map[string][]int32{a: {0}, b: {0}}),
			[]*nodeState{listed("n0", 0, task("", "", a))}, fits, nil, 2, nil},
		"one that its node lost goes to the next": {images(map[string][]int32{a: {0, 1}}),
			[]*nodeState{listed("n0", 0, lostFirst), listed("n1", 1)}, fits, map[int32][]string{1: {a}}, 0, nil},
		"one that no node has any more is lost": {images(map[string][]int32{a: {0}}),
			[]*nodeState{listed("n0", 0, lostFirst)}, fits, nil, 0,
			map[string]cause{a: {v1alpha1.ReasonNoTargets, "the containers of the image ended before it was read"}}},
		"why the last node failed is told": {images(map[string][]int32{a: {0}}),
			[]*nodeState{listed("n0", 0, denied)}, fits, nil, 0, map[string]cause{a: {v1alpha1.ReasonNodePolicyDenies, "AppArmor"}}},
		"a node that left since is passed over": {images(map[string][]int32{a: {0, 1}}),
			[]*nodeState{listed("n0", 0), listed("n1", 1)}, gone, map[int32][]string{1: {a}}, 0, nil},
		"a node that was given up is passed over": {images(map[string][]int32{a: {0}}),
			[]*nodeState{failed}, fits, nil, 0, map[string]cause{a: {v1alpha1.ReasonNodeGone, "n0 left"}}},
		"a node that could not read is passed over": {images(map[string][]int32{a: {0, 1}, b: {0}}),
			[]*nodeState{kept, listed("n1", 1)}, fits, map[int32][]string{1: {a}}, 0, map[string]cause{b: {v1alpha1.ReasonUnschedulable, "no room on n0"}}},
		"a worker that nobody planned holds nothing": {images(map[string][]int32{a: {7}}),
			[]*nodeState{listed("n0", 0)}, fits, nil, 0, map[string]cause{a: {v1alpha1.ReasonNoTargets, "the containers of the image ended before it was read"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := planReading(tc.images, &survey{nodes: tc.nodes}, tc.fit)
			if len(tc.work) == 0 {
				tc.work = map[int32][]string{}
			}
			if len(tc.lost) == 0 {
				tc.lost = map[string]cause{}
			}
			want := readingPlan{work: tc.work, waiting: tc.waiting, lost: tc.lost}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(readingPlan{}, cause{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoCouldNotReadAnImageLeavesItToTheNext(t *testing.T) {
	l := newLiveImages()
	vanished := v1alpha1.InventoryContainer{Key: key("a"), Ranks: 1, Report: "sr-a", Coverage: v1alpha1.CoverageVanished}
	l.add(0, &v1alpha1.ScanInventory{
		Containers: []v1alpha1.InventoryContainer{vanished},
		Entries:    []v1alpha1.InventoryEntry{{Path: "/a.sif", Outcome: v1alpha1.EntryFailed, Report: "sr-a"}},
	})
	l.add(1, &v1alpha1.ScanInventory{Containers: []v1alpha1.InventoryContainer{{Key: key("a"), Ranks: 1}}})
	nodes := []*nodeState{listed("n0", 0, task(batchv1.JobComplete, "", key("a"))), listed("n1", 1)}
	fits := func(*nodeState) (cause, bool) { return cause{}, false }
	if plan := planReading(l, &survey{nodes: nodes}, fits); !slices.Equal(plan.work[1], []string{key("a")}) {
		t.Errorf("plan %+v, want the image on n1", plan)
	}
	if got := countImages(&imagesInWork{liveImages: l}); got != (v1alpha1.TargetCounts{Discovered: 1, Failed: 1}) {
		t.Errorf("with nobody left: %+v", got)
	}
	l.add(1, &v1alpha1.ScanInventory{
		Containers: []v1alpha1.InventoryContainer{{Key: key("a"), Ranks: 1, Report: "sr-a", Coverage: v1alpha1.CoverageComplete}},
		Entries:    []v1alpha1.InventoryEntry{{Path: "/a.sif", Outcome: v1alpha1.EntryScanned, Report: "sr-a"}},
	})
	if got := countImages(&imagesInWork{liveImages: l}); got != (v1alpha1.TargetCounts{Discovered: 1, Scanned: 1}) {
		t.Errorf("once the next has read it: %+v", got)
	}
}

func TestMoreImagesThanAJobReadsAreReadInTurns(t *testing.T) {
	many := newLiveImages()
	for i := range maxKeys + 3 {
		many.byKey[fmt.Sprintf("v1-%064x", i)] = &liveImage{holders: []int32{0}}
	}
	got := planReading(many, &survey{nodes: []*nodeState{listed("n0", 0)}}, func(*nodeState) (cause, bool) { return cause{}, false })
	if len(got.work[0]) != maxKeys || got.waiting != 3 {
		t.Errorf("%d now and %d later, want %d and 3", len(got.work[0]), got.waiting, maxKeys)
	}
}

// The reporter packs entries that take more than 64 KiB: a few long paths are enough.
func TestOutcomesCountWhereAnInventoryHasThemPacked(t *testing.T) {
	inventory := &v1alpha1.ScanInventory{}
	var entries []v1alpha1.InventoryEntry
	for i := range 40 {
		report := fmt.Sprintf("sr-%d", i)
		inventory.Containers = append(inventory.Containers, v1alpha1.InventoryContainer{
			Key: fmt.Sprintf("v1-%064x", i), Ranks: 1, Report: report, Coverage: v1alpha1.CoverageComplete,
		})
		entries = append(entries, v1alpha1.InventoryEntry{Path: strings.Repeat("x", 4000), Outcome: v1alpha1.EntryScanned, Report: report})
	}
	if err := inventory.SetEntries(entries); err != nil || len(inventory.EntriesGz) == 0 {
		t.Fatalf("they are not packed: %v", err)
	}
	l := newLiveImages()
	l.add(0, inventory)
	if got := countImages(&imagesInWork{liveImages: l}); got != (v1alpha1.TargetCounts{Discovered: 40, Scanned: 40}) || l.unreadable != "" {
		t.Errorf("%+v, %q", got, l.unreadable)
	}
	inventory.EntriesGz = inventory.EntriesGz[:30]
	if l.add(0, inventory); l.unreadable == "" {
		t.Error("half a list passes for a list")
	}
}

func TestInventoriesAreNotBelieved(t *testing.T) {
	l := newLiveImages()
	l.add(3, &v1alpha1.ScanInventory{Containers: []v1alpha1.InventoryContainer{
		{Key: key("a"), Ranks: 128}, {Key: key("a"), Ranks: 2}, {Key: "--engine=evil", Ranks: 1}, {Key: "", Ranks: -5},
	}})
	if l.found != 132 || l.keyless != 2 || len(l.byKey) != 1 || !slices.Equal(l.byKey[key("a")].holders, []int32{3}) {
		t.Errorf("%+v", l)
	}
	for text, want := range map[string]string{
		"Succeeded":               "Succeeded",
		"NodeGone: n1 left":       "NodeGone: n1 left",
		"Ready: everything is ok": "",
		"":                        "",
	} {
		if got := parseCause(text).String(); got != want {
			t.Errorf("outcome %q is read as %q", text, got)
		}
	}
}

func TestJobsThatAreNotOfThePlanAreNobodys(t *testing.T) {
	in := JobInputs{Scan: makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj(), Run: "v1-1", Workers: 1, Config: nodeConfig()}
	listing := in.nodeJob(nodeWork{name: "list", node: "n1", worker: 0})
	reading := in.nodeJob(nodeWork{name: "read", node: "n1", worker: 0, keys: []string{key("a")}})
	other := in.nodeJob(nodeWork{name: "other", node: "elsewhere", worker: 0})
	beyond := in.nodeJob(nodeWork{name: "beyond", node: "n1", worker: 5})
	s := surveyOf("base", []plannedNode{{Name: "n1"}}, []batchv1.Job{*other, *beyond, *listing, *reading}, nil, nil)
	n := s.nodes[0]
	if n.listing == nil || n.listing.job.Name != "list" || len(n.reading) != 1 || n.reading[0].job.Name != "read" {
		t.Errorf("listing %v, reading %v", n.listing, n.reading)
	}
}

// What kept a node from reading says nothing of what is alive there.
func TestANodeThatListedAndCouldNotReadIsNoNodeThatWasNotLookedAt(t *testing.T) {
	annotations := map[string]string{
		v1alpha1.AnnotationNodeOutcome: "Succeeded", v1alpha1.AnnotationNodeReading: "NodeGone: there is no node n1",
	}
	inventories := []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "base-w0-0", Annotations: annotations}}}
	s := surveyOf("base", []plannedNode{{Name: "n1"}}, nil, nil, inventories)
	if got := *s.counts(); got != (v1alpha1.NodeCounts{Selected: 1, Done: 1}) {
		t.Errorf("%+v", got)
	}
	h := finished(v1alpha1.ReasonSucceeded, "1 scanned")
	h.noteKept(s)
	h.noteNodes(s)
	const want = "1 scanned; 1 of 1 node could not go on reading images: n1 (NodeGone); their ScanInventories say why"
	if h.message != want || h.reason != v1alpha1.ReasonSucceeded || h.degraded != "" {
		t.Errorf("%+v", h)
	}
}

func TestRunIDsOfRunningContainers(t *testing.T) {
	pods := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
	same := [2]v1alpha1.RunningTarget{
		{PodSelector: pods, PodNamespaces: []string{"a", "b"}}, {PodSelector: pods, PodNamespaces: []string{"b", "a"}},
	}
	if a, b := makeLive(same[0]).run(), makeLive(same[1]).run(); a != b {
		t.Errorf("the order of namespaces makes another run: %s and %s", a, b)
	}
	seen := map[string]string{makeScan().run(): "a volume"}
	for name, target := range map[string]v1alpha1.RunningTarget{
		"a node": {NodeName: "n1"}, "every node": {NodeSelector: map[string]string{}}, "a pool": {NodeSelector: map[string]string{"pool": "x"}},
		"pods": {PodSelector: pods}, "pods elsewhere": {PodSelector: pods, PodNamespaces: []string{"x"}}, "a process": {NodeName: "n1", PID: 1},
		"an image": {NodeName: "n1", ImagePattern: "*"}, "a job": {NodeName: "n1", SlurmJobID: "1"}, "a list": {NodeName: "n1", ListOnly: true},
	} {
		id := makeLive(target).run()
		if other, taken := seen[id]; taken {
			t.Errorf("%s has the id of %s", name, other)
		}
		seen[id] = name
	}
}
