// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestContainersAreFoundByTheRootTheyShareWithTheirStarter(t *testing.T) {
	for name, c := range map[string]struct {
		build func(n *node)
		want  []string
	}{
		"nothing runs": {func(n *node) { n.add(50, 1, "bash", 4242, hostRoot) }, nil},
		"exec": {func(n *node) { n.run(100, 4242, n.rootless()) },
			[]string{"starter 100 leader 102 user 4242 image"}},
		"a program with children": {func(n *node) {
			m := n.rootless()
			n.run(100, 4242, m)
			n.add(103, 102, "worker", 4242, m.container())
		}, []string{"starter 100 leader 102 user 4242 image processes [102 103]"}},
		"three ranks have a starter and devices each": {func(n *node) {
			for pid := 100; pid < 130; pid += 10 {
				n.run(pid, 4242, n.rootless())
			}
		}, []string{"starter 100 leader 102 user 4242 image", "starter 110 leader 112 user 4242 image", "starter 120 leader 122 user 4242 image"}},
		"an instance, with a shell that joined it under a starter of its own": {func(n *node) {
			m := n.rootless()
			n.run(100, 4242, m)
			n.set(100, "cmdline", "Apptainer instance: u [web]\x00")
			n.add(150, 1, "starter", 4242, m.container())
			n.add(151, 150, "bash", 4242, m.container())
		}, []string{"starter 100 leader 102 user 4242 image processes [102 150 151] instance"}},
		"fuse-overlayfs is a writable layer": {func(n *node) {
			m := n.rootless()
			m.final = "0:77 / %s rw - fuse.fuse-overlayfs fuse-overlayfs rw"
			n.run(100, 4242, m)
		}, []string{"starter 100 leader 102 user 4242 image writable"}},
		"setuid: only the mounts are its own, and the kernel mounted the image": {func(n *node) {
			n.run(100, 4242, n.over("squashfs /dev/loop7 ro"))
		}, []string{"starter 100 leader 102 user 4242 image"}},
		"underlay": {func(n *node) {
			m := n.rootless()
			m.final = "0:78 /underlay/1 %s ro - tmpfs tmpfs rw"
			n.run(100, 4242, m)
		}, []string{"starter 100 leader 102 user 4242 image"}},
		"a sandbox below an overlay": {func(n *node) {
			m := n.rootless()
			m.image = "8:1 /home/u/box %s ro - ext4 /dev/sda1 rw"
			n.run(100, 4242, m)
		}, []string{"starter 100 leader 102 user 4242 directory"}},
		"one sandbox, run by two users": {func(n *node) {
			n.run(100, 4242, bind("/shared/box"))
			n.run(110, 4343, bind("/shared/box"))
		}, []string{"starter 100 leader 102 user 4242 directory", "starter 110 leader 112 user 4343 directory"}},
		"an ext3 image": {func(n *node) { n.run(100, 4242, n.over("fuse.ext4 fuse2fs ro")) },
			[]string{"starter 100 leader 102 user 4242 directory"}},
		"the starter was killed": {func(n *node) {
			m := n.rootless()
			n.run(100, 4242, m)
			for _, pid := range []int{100, 101} {
				delete(n.MapFS, fmt.Sprintf("%d/stat", pid))
			}
			n.set(102, "stat", strings.Replace(string(n.MapFS["102/stat"].Data), "S 100", "S 1", 1))
		}, []string{"starter 0 leader 102 user 4242 directory"}},
		"a helper that lost its parent makes no second container": {func(n *node) {
			m := n.rootless()
			n.run(100, 4242, m)
			n.add(105, 1, "squashfuse_ll", 4242, m.starter())
		}, []string{"starter 100 leader 102 user 4242 image"}},
		"a process that lost its parents stays in its user's container": {func(n *node) {
			m := n.rootless()
			n.run(100, 4242, m)
			n.add(106, 1, "daemon", 4242, m.container())
		}, []string{"starter 100 leader 102 user 4242 image processes [102 106]"}},
		"Singularity's session": {func(n *node) {
			n.run(100, 4242, n.rootless())
			for _, pid := range []int{100, 101} {
				file := fmt.Sprintf("%d/mountinfo", pid)
				n.MapFS[file] = text(strings.ReplaceAll(string(n.MapFS[file].Data), "/usr/local/var/apptainer", "/var/lib/singularity"))
			}
		}, []string{"starter 100 leader 102 user 4242 image"}},

		"an unrelated squashfs": {func(n *node) {
			n.add(60, 1, "snap", 0, hostRoot+"40 21 7:3 / /snap/core/1 ro - squashfs /dev/loop3 ro\n")
			n.add(61, 60, "app", 4242, "40 21 7:3 / / ro - squashfs /dev/loop3 ro\n")
		}, nil},
		"a name and an environment that lie": {func(n *node) {
			n.add(60, 1, "starter-suid", 4242, hostRoot)
			n.set(60, "cmdline", "Apptainer runtime parent: evil.sif\x00")
			n.add(61, 60, "appinit", 4242, hostRoot)
			n.set(61, "environ", "APPTAINER_CONTAINER=/etc/shadow\x00")
		}, nil},
		"the node's root where a starter mounts": {func(n *node) {
			n.add(60, 1, "liar", 4242, hostRoot+"41 21 8:1 / "+sessionAt+"/final rw - ext4 /dev/sda1 rw\n")
			n.add(61, 60, "child", 4242, hostRoot)
			n.add(62, 1, "sshd", 0, hostRoot)
		}, nil},
		"in a pod, the pod's own root where a starter mounts": {func(n *node) {
			pod := "50 1 0:60 / / rw - overlay overlay rw,lowerdir=/var/lib/containerd/1\n"
			n.add(60, 1, "liar", 4242, pod+"51 50 0:60 / "+sessionAt+"/final rw - overlay overlay rw\n")
			n.add(61, 60, "child", 4242, pod)
		}, nil},
		"another user's root where a starter mounts": {func(n *node) {
			jail := "9:9 /jail %s rw - ext4 /dev/sdb rw"
			n.add(60, 1, "slurmstepd", 0, hostRoot+"52 1 "+fmt.Sprintf(jail, "/")+"\n")
			n.add(70, 1, "liar", 4242, hostRoot+"53 21 "+fmt.Sprintf(jail, sessionAt+"/final")+"\n")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			c.build(n)
			var got []string
			for _, c := range discover(t, n) {
				got = append(got, brief(c))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsToldOfAContainer(t *testing.T) {
	n := newNode()
	n.run(100, 4242, n.rootless())
	n.set(102, "cgroup", "0::/../../kubepods-burstable-pod8d1c0f5e_0123_4567_89ab_0123456789ab.slice/cri-containerd-1.scope/system.slice/slurmstepd.scope/job_4711/step_0/user/task_3\n")
	n.set(102, "cmdline", "python3\x00train.py\x00--token\x00hunter2\x00\x1b[31m\x00")
	got := discover(t, n)[0]
	if want := (Slurm{Job: "4711", Step: "0", Task: "3", Source: FromCgroup}); got.Slurm != want {
		t.Errorf("job %+v", got.Slurm)
	}
	if got.PodUID != "8d1c0f5e-0123-4567-89ab-0123456789ab" {
		t.Errorf("pod %q", got.PodUID)
	}
	if want := `python3 train.py --token [removed] \x1b[31m`; got.Command != want {
		t.Errorf("command %q, want %q", got.Command, want)
	}
	if want := time.Unix(1700000100, 0).UTC(); !got.Started.Equal(want) {
		t.Errorf("started %v, want the starter's start %v", got.Started, want)
	}
	if got.Claimed != "a.sif" || got.ID != "100-10000-"+got.Root.Device {
		t.Errorf("claimed %q, id %q", got.Claimed, got.ID)
	}
	if len(got.Helpers) != 1 || got.Helpers[0].PID != 101 {
		t.Errorf("helpers %v", got.Helpers)
	}
	for pid, want := range map[int]bool{100: true, 102: true, 101: false, 1: false} {
		if got.Has(pid) != want {
			t.Errorf("Has(%d) = %v", pid, !want)
		}
	}
}

func TestAProcessWithAnHostileNameIsReadLikeAnyOther(t *testing.T) {
	n := newNode()
	n.run(100, 4242, n.rootless())
	stat := string(n.MapFS["102/stat"].Data)
	n.set(102, "stat", strings.Replace(stat, "python3", "a) R 1 (b\n) Z 1 (", 1))
	if got := discover(t, n); len(got) != 1 || got[0].Leader.PID != 102 {
		t.Errorf("found %+v", got)
	}
}

// reused is a tree in which a number was given again while it was looked at.
type reused struct {
	*node
	stats int
}

func (r *reused) Open(name string) (fs.File, error) {
	if name == "102/stat" {
		if r.stats++; r.stats > 1 {
			r.add(102, 1, "sshd", 0, hostRoot)
			r.set(102, "stat", strings.Replace(string(r.MapFS["102/stat"].Data), " 10200 ", " 99999 ", 1))
		}
	}
	return r.node.Open(name)
}

func TestANumberThatIsGivenAgainIsNoContainer(t *testing.T) {
	n := newNode()
	n.run(100, 4242, n.rootless())
	found, err := Discover(t.Context(), &reused{node: n})
	if err != nil || len(found.Containers) != 0 {
		t.Errorf("found %+v, %v", found.Containers, err)
	}
}

// hung is a tree whose processes' memory does not come before until is closed.
type hung struct {
	*node
	until chan struct{}
	asked atomic.Int32
}

func (h *hung) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "/cmdline") || strings.HasSuffix(name, "/environ") {
		h.asked.Add(1)
		<-h.until
	}
	return h.node.Open(name)
}

func TestProcessesThatHangAreListedWithoutWhatTheirMemoryTells(t *testing.T) {
	defer func(d time.Duration) { hangs = d }(hangs)
	hangs = time.Millisecond
	n := newNode()
	const many = 5 * maxHung
	for i := range many {
		n.run(100+10*i, 4242, n.rootless())
	}
	h := &hung{node: n, until: make(chan struct{})}
	defer close(h.until)
	found, err := Discover(t.Context(), h)
	if err != nil || len(found.Containers) != many {
		t.Fatalf("%d containers, %v", len(found.Containers), err)
	}
	if asked := h.asked.Load(); asked > maxHung {
		t.Errorf("%d processes are waited for", asked)
	}
	if c := found.Containers[0]; c.Starter.PID == 0 || c.Source != FromImage || c.Command != "" || c.Claimed != "" {
		t.Errorf("found %+v", c)
	}
}

func TestATreeThatIsNoProcIsAnError(t *testing.T) {
	n := newNode()
	delete(n.MapFS, "stat")
	if _, err := Discover(t.Context(), n); err == nil {
		t.Error("no error")
	}
}

func TestTheMountsOfOneProcessAreReadUpToABound(t *testing.T) {
	n := newNode()
	n.run(100, 4242, n.rootless())
	n.add(60, 1, "mounter", 4343, strings.Repeat("99 21 0:99 / /tmp/x rw - tmpfs tmpfs rw\n", 2*maxMountinfo/40))
	if got := discover(t, n); len(got) != 1 {
		t.Errorf("found %d", len(got))
	}
}

// A user may make as many namespaces, mounts and processes as his limits allow, and all others wait for the listing.
func TestMountsOfTheNameOfASessionAreFollowedUpToABound(t *testing.T) {
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "%d 1 0:%d / /home/u/%d/apptainer/mnt/session/final ro - overlay overlay rw\n", i+2, i+2, i)
	}
	if v := parseView([]byte(text.String())); len(v.sessions) != maxSessions {
		t.Errorf("%d sessions", len(v.sessions))
	}
}

func TestWhatIsKeptOfMountsIsBoundedAndWhatIsLeftOutIsCounted(t *testing.T) {
	defer func(n int) { maxKept = n }(maxKept)
	maxKept = 64 << 10
	n := newNode()
	n.run(100, 4242, n.rootless())
	for i := range 20 {
		n.add(1000+i, 1, "mounter", 4343, hostRoot+fmt.Sprintf("99 21 0:%d /%s /home/u/apptainer/mnt/session/final rw - tmpfs tmpfs rw\n", 500+i, strings.Repeat("d/", 4000)))
	}
	found, err := Discover(t.Context(), n)
	if err != nil || len(found.Containers) != 1 || found.Left < 10 || found.Left >= 20 {
		t.Errorf("%d containers, %d left out, %v", len(found.Containers), found.Left, err)
	}
}

func TestManyStartersOfOneSandboxAndALongLineOfDescentCostNoMoreThanTheyAre(t *testing.T) {
	const each = 3000
	n := newNode()
	box := bind("/shared/box")
	for pid := 10_000; pid < 10_000+each; pid++ {
		n.add(pid, 1, "starter", 4242, box.starter())
	}
	for pid := 20_000; pid < 20_000+each; pid++ {
		n.add(pid, max(pid-1, 20_000), "sh", 4242, box.container())
	}
	start := time.Now()
	if _, err := Discover(t.Context(), n.MapFS); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
