package cluster

import (
	"bytes"
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
	"github.com/sifscan/sifscan-operator/hack/cluster/debian"
	"github.com/sifscan/sifscan-operator/hack/cluster/disk"
	"github.com/sifscan/sifscan-operator/hack/cluster/network"
	"github.com/sifscan/sifscan-operator/hack/cluster/process"
)

// Say tells the person at the terminal what happens, one line each.
type Say func(format string, arguments ...any)

// startTimeout bounds the wait for one part to become ready. Two busy cores need half a minute for all of them, an emulated machine four.
const startTimeout = 5 * time.Minute

// Up starts a cluster or what is missing of it, puts kubectl into the checkout's bin folder and returns the path of the
// administrator's kubeconfig file. A cluster that is healthy is left as it is.
func Up(ctx context.Context, name, checkout string, say Say) (kubeconfig string, err error) {
	if _, err := newLayout(name, 0); err != nil {
		return "", err
	}
	if err := debian.Install(ctx, say); err != nil {
		return "", err
	}
	p, err := ensurePrograms(ctx, checkout, say)
	if err != nil {
		return "", err
	}
	unlock, err := lockCluster(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	l, err := allocate(ctx, name)
	if err != nil {
		return "", err
	}
	if err := l.discardInterrupted(say); err != nil {
		return "", err
	}
	if err := l.prepare(p); err != nil {
		return "", err
	}
	if err := l.start(ctx, p, say); err != nil {
		return "", err
	}
	return l.kubeconfig(), linkKubectl(p, checkout)
}

// discardInterrupted lets a cluster start afresh whose disks were mounted when the machine went down. containerd writes images, and
// etcd here writes everything, without waiting for the disk: what is left of them looks whole and is not (programs full of zeros
// were seen: "exec format error").
func (l layout) discardInterrupted(say Say) error {
	mounts, err := disk.Mounts(l.disk())
	if err != nil || len(mounts) > 0 {
		return err
	}
	for _, v := range volumes {
		interrupted, err := disk.Interrupted(l.image(v))
		if err != nil {
			return err
		}
		if interrupted {
			say("the machine went down while cluster %s was up: it starts afresh, without its images and objects", l.name)
			return os.RemoveAll(l.state("disks"))
		}
	}
	return nil
}

// prepare makes everything that the daemons find when they start.
func (l layout) prepare(p programs) error {
	for _, directory := range []string{l.state("disks"), l.state("logs"), l.state("config"), l.run("records")} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	for _, v := range volumes {
		if err := disk.Ensure(l.image(v), l.disk(v.name), v.size); err != nil {
			return err
		}
	}
	if err := network.Ensure(l.link()); err != nil {
		return err
	}
	if err := cgroup.CreateForPods(l.podGroup()); err != nil {
		return err
	}
	return l.configure(p, time.Now())
}

// start starts the components that do not run as they should, in their order, each when what it needs is ready.
func (l layout) start(ctx context.Context, p programs, say Say) error {
	ready, err := l.gates(p)
	if err != nil {
		return err
	}
	for _, c := range l.components(p) {
		d, err := l.daemon(c, p)
		if err != nil {
			return err
		}
		started, err := l.ensureDaemon(ctx, d)
		if err != nil {
			return err
		}
		if started {
			say("started %s", c.name)
		}
		if gate := ready[c.name]; gate != nil {
			if err := l.await(ctx, c.name, gate); err != nil {
				return err
			}
		}
	}
	return nil
}

// gate reports why the next component cannot start yet.
type gate func(context.Context) error

// gates are what components wait for: controllers end when they find no API server for long, kubelet ends without containerd.
func (l layout) gates(p programs) (map[string]gate, error) {
	api, err := l.api()
	if err != nil {
		return nil, err
	}
	return map[string]gate{
		"containerd":     func(ctx context.Context) error { return l.importPause(ctx, p) },
		"kube-apiserver": api.ready,
		"kubelet":        api.nodeReady,
	}, nil
}

// ensureDaemon leaves a daemon alone that runs with the same command line and files, and reports whether it had to start it.
func (l layout) ensureDaemon(ctx context.Context, d process.Daemon) (started bool, err error) {
	records := process.Records(l.run("records"))
	record, err := records.Load(d.Name)
	if err != nil {
		return false, err
	}
	if record.Alive() {
		if record.Fingerprint == d.Fingerprint {
			return false, nil
		}
		// All of them survive it. Told to end in order, the API server would let open requests finish for a minute.
		if err := end(ctx, record, syscall.SIGKILL); err != nil {
			return false, err
		}
	}
	_, err = records.Start(ctx, d)
	return err == nil, err
}

// await asks check until it has no complaint. It gives up when the component ends, and shows what the component said last.
func (l layout) await(ctx context.Context, component string, check gate) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var complaint error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if complaint == nil || ctx.Err() == nil { // afterwards it says no more than that the time is over
			complaint = err
		}
		record, err := process.Records(l.run("records")).Load(component)
		if err != nil {
			return err
		}
		if !record.Alive() {
			return fmt.Errorf("%s ended; the end of %s:\n%s", component, l.log(component), tail(l.log(component)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s, see %s: %w: %w", component, l.log(component), ctx.Err(), complaint)
		case <-tick.C:
		}
	}
}

// tail returns the last lines of a log.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// linkKubectl makes bin/kubectl in the checkout.
func linkKubectl(p programs, checkout string) error {
	link := filepath.Join(checkout, "bin", "kubectl")
	target := filepath.Join(p.kube, "kubectl")
	if current, err := os.Readlink(link); err == nil && current == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	if err := os.Remove(link + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, link+".new"); err != nil {
		return err
	}
	return os.Rename(link+".new", link)
}
