package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sifscan/sifscan-operator/hack/cluster/cgroup"
	"github.com/sifscan/sifscan-operator/hack/cluster/disk"
	"github.com/sifscan/sifscan-operator/hack/cluster/network"
	"github.com/sifscan/sifscan-operator/hack/cluster/process"
)

// endTimeout bounds the wait for killed processes. Only one that is stuck in the kernel takes longer.
const endTimeout = 30 * time.Second

// Down ends a cluster and removes everything that is its own: processes, mounts, loop devices, network, control groups, data.
// Nothing is shut down in order, because nothing of it is kept. No cluster of that name is no error.
func Down(ctx context.Context, name string, say Say) error {
	unlock, err := lockCluster(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	l, err := load(name)
	switch {
	case errors.Is(err, errNone):
		say("there is no cluster %s", name)
	case err != nil:
		return err
	default:
		if err := l.endProcesses(ctx); err != nil {
			return err
		}
		if err := l.remove(); err != nil {
			return err
		}
		if err := restoreHostSettings(ctx); err != nil {
			return err
		}
		say("cluster %s is gone", name)
	}
	// Folders that are not empty belong to other clusters, and stay.
	for _, path := range []string{filepath.Join(stateRoot, name), stateRoot, filepath.Dir(stateRoot), runRoot, filepath.Dir(runRoot)} {
		_ = os.Remove(path)
	}
	return nil
}

// endProcesses kills all members of the cluster's control group, children of children included, until none is left: kubelet and
// containerd start new ones as long as they live.
func (l layout) endProcesses(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	for {
		members, err := cgroup.Members(l.group())
		if err != nil {
			return err
		}
		alive := 0
		for _, pid := range members {
			id, err := process.Identify(pid)
			if err != nil || !id.Alive() {
				continue
			}
			alive++
			if err := id.Signal(syscall.SIGKILL); err != nil {
				return err
			}
		}
		if alive == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes of cluster %s do not end: %w", alive, l.name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// remove undoes prepare, and what containerd and kubelet leave outside of their folders.
func (l layout) remove() error {
	if err := errors.Join(disk.UnmountBeneath(l.run()), disk.UnmountBeneath(l.state())); err != nil {
		return err
	}
	if err := network.Remove(l.link()); err != nil {
		return err
	}
	if err := cgroup.Remove(l.group()); err != nil {
		return err
	}
	if err := cgroup.RemoveEmpty(groupRoot); err != nil {
		return err
	}
	if err := l.removeForeign(); err != nil {
		return err
	}
	if err := os.RemoveAll(l.run()); err != nil {
		return err
	}
	return removeContents(l.state())
}

// removeForeign removes what has fixed places: kubelet links its logs in /var/log/containers, CNI keeps results in /var/lib/cni,
// containerd's shims and kubelet's device manager listen on sockets that no option moves.
func (l layout) removeForeign() error {
	links, err := filepath.Glob("/var/log/containers/*.log")
	if err != nil {
		return err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, l.state()+"/") {
			if err := os.Remove(link); err != nil {
				return err
			}
		}
	}
	if err := l.removeResults("/var/lib/cni/results"); err != nil {
		return err
	}
	return removeDeadSockets("/run/containerd/s/*", "/var/lib/kubelet/device-plugins/kubelet.sock")
}

// removeResults removes what CNI keeps of each sandbox: NETWORK-SANDBOX-INTERFACE, for our network and for the loopback device,
// whose network has the same name everywhere.
func (l layout) removeResults(folder string) error {
	own := filepath.Join(folder, "sifscan-"+l.name+"-")
	results, err := filepath.Glob(own + "*-eth0")
	if err != nil {
		return err
	}
	for _, result := range results {
		sandbox := strings.TrimSuffix(strings.TrimPrefix(result, own), "-eth0")
		for _, file := range []string{result, filepath.Join(folder, "cni-loopback-"+sandbox+"-lo")} {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// removeContents removes what is in a directory, not itself: it holds the lock. The file that makes it a cluster goes last, so
// that what is interrupted can be done again.
func removeContents(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	last := filepath.Base(identityFile(""))
	for _, entry := range entries {
		if entry.Name() == last {
			continue
		}
		if err := os.RemoveAll(filepath.Join(directory, entry.Name())); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(directory, last))
}
