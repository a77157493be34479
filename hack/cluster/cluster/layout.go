// Package cluster starts, watches and ends one-node Kubernetes clusters made of the real programs, several of them side by side.
package cluster

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"

	"github.com/sifscan/sifscan-operator/hack/cluster/network"
)

const (
	// stateRoot holds what survives a boot: disks, keys, configuration, logs.
	stateRoot = "/var/lib/sifscan-operator/clusters"
	// runRoot holds what does not: sockets, records of processes, the state of running containers.
	runRoot = "/run/sifscan-operator/clusters"
	// groupRoot is the control group above those of all clusters.
	groupRoot = "/sifscan-operator"

	nodeName = "node1"
	apiPort  = 6443
)

// maxClusters is how many fit into the address plan.
const maxClusters = 256

// validName keeps names usable in paths, where a unix socket has 108 bytes for everything, and as part of other names.
var validName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`)

// layout is where one cluster keeps what is its own: a pure function of its name and its index.
type layout struct {
	name string
	// index is unique among the clusters of the machine and decides the addresses.
	index int
}

func newLayout(name string, index int) (layout, error) {
	if !validName.MatchString(name) {
		return layout{}, fmt.Errorf("%q is no name for a cluster: use at most 20 of a-z, 0-9 and -, a letter first", name)
	}
	return layout{name: name, index: index}, nil
}

func (l layout) state(elements ...string) string {
	return filepath.Join(append([]string{stateRoot, l.name}, elements...)...)
}

func (l layout) run(elements ...string) string {
	return filepath.Join(append([]string{runRoot, l.name}, elements...)...)
}

func (l layout) pki(file string) string   { return l.state("pki", file) }
func (l layout) kubeconfig() string       { return l.state("kubeconfig") }
func (l layout) containerdSocket() string { return l.run("containerd.sock") }

// group is the control group of everything that belongs to the cluster; daemons and pods are beneath it, because version 2 allows
// no processes in a group that hands controllers down.
func (l layout) group(elements ...string) string {
	return filepath.Join(append([]string{groupRoot, l.name}, elements...)...)
}

func (l layout) podGroup() string { return l.group("pods") }

// The address plan: 10.213.INDEX.0/24 for the link to the machine (.0/30) and for pods (.128/25, more than the 110 pods that
// kubelet allows), 10.214.INDEX.0/24 for Services. Only this machine ever routes them.

func (l layout) subnet(second, last byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second, byte(l.index), last}), bits)
}

func (l layout) block() netip.Prefix    { return l.subnet(213, 0, 24) }
func (l layout) machine() netip.Prefix  { return l.subnet(213, 1, 30) }
func (l layout) node() netip.Prefix     { return l.subnet(213, 2, 30) }
func (l layout) pods() netip.Prefix     { return l.subnet(213, 128, 25) }
func (l layout) services() netip.Prefix { return l.subnet(214, 0, 24) }

// apiService is the first address of the range: the API server gives it to the Service named kubernetes.
func (l layout) apiService() netip.Addr { return l.services().Addr().Next() }

// nameServer is the node, where nothing listens: a look-up in a pod is refused at once instead of timing out after 40 s, as it does
// with an address of no Service, and kubelet does not warn at every pod that it knows no name server.
func (l layout) nameServer() netip.Addr { return l.node().Addr() }

func (l layout) server() string {
	return fmt.Sprintf("https://%s", netip.AddrPortFrom(l.node().Addr(), apiPort))
}

func (l layout) link() network.Link {
	return network.Link{
		Namespace: "sifscan-" + l.name,
		Device:    fmt.Sprintf("sifscan%d", l.index),
		Machine:   l.machine(),
		Node:      l.node(),
		Routed:    []netip.Prefix{l.pods(), l.services()},
	}
}

// volume is a file system of fixed size of the cluster.
type volume struct {
	name string
	size int64 // bytes; the file is sparse
}

const gibibyte = 1 << 30

// volumes are separate so that a pod which fills kubelet's disk takes neither images nor the API's data with it.
var volumes = []volume{
	{"kubelet", 2 * gibibyte},
	{"containerd", 4 * gibibyte},
	{"etcd", 1 * gibibyte},
}

func (l layout) image(v volume) string { return l.state("disks", v.name+".ext4") }
func (l layout) disk(elements ...string) string {
	return l.state(append([]string{"data"}, elements...)...)
}
