// Package network gives each cluster a network namespace of its own, joined to the machine by one pair of virtual Ethernet
// devices.
//
// Everything of a cluster that has a port or a packet filter runs inside: two clusters need no different ports, their kube-proxies
// do not share the nftables table that is always called kube-proxy, and nothing of the machine's own filter, routes or
// sysctls is touched. The machine, and so kubectl, reaches the API server, pods and Services over the link. Nothing is translated
// and there is no default route inside: pods reach the cluster and the machine, not the world.
package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Link describes a namespace and how it hangs on the machine.
type Link struct {
	Namespace string // as ip-netns(8) knows it
	Device    string // the machine's end, at most 15 bytes
	Machine   netip.Prefix
	Node      netip.Prefix   // address of the end inside, in the same subnet
	Routed    []netip.Prefix // subnets behind the node
}

// inside is the name of the device inside the namespace.
const inside = "eth0"

// Ensure makes what is missing of the namespace, the devices, addresses and routes.
func Ensure(l Link) error {
	if !exists(l.Namespace) {
		if err := ip("netns", "add", l.Namespace); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join("/sys/class/net", l.Device)); err != nil {
		if err := ip("link", "add", l.Device, "type", "veth", "peer", "name", inside, "netns", l.Namespace); err != nil {
			return err
		}
	}
	commands := [][]string{
		{"addr", "replace", l.Machine.String(), "dev", l.Device},
		{"link", "set", l.Device, "up"},
		{"-n", l.Namespace, "link", "set", "lo", "up"},
		{"-n", l.Namespace, "addr", "replace", l.Node.String(), "dev", inside},
		{"-n", l.Namespace, "link", "set", inside, "up"},
	}
	for _, subnet := range l.Routed {
		commands = append(commands, []string{"route", "replace", subnet.String(), "via", l.Node.Addr().String()})
	}
	for _, command := range commands {
		if err := ip(command...); err != nil {
			return err
		}
	}
	return Within(l.Namespace, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
	})
}

// Remove removes the namespace. The devices and routes go with it once no process is inside.
func Remove(l Link) error {
	if _, err := os.Stat(filepath.Join("/sys/class/net", l.Device)); err == nil {
		if err := ip("link", "delete", l.Device); err != nil {
			return err
		}
	}
	if !exists(l.Namespace) {
		return nil
	}
	return ip("netns", "delete", l.Namespace)
}

// Within calls do on a thread that is in the namespace. A process that do starts is in it too. Only the network is changed:
// "ip netns exec" would also give it mounts of its own, where what kubelet mounts is not seen by containerd.
func Within(namespace string, do func() error) error {
	target, err := os.Open(path(namespace))
	if err != nil {
		return err
	}
	defer target.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the network namespace %s: %w", namespace, err)
	}
	result := do()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		// The thread stays locked, and so ends with this goroutine instead of running others in the wrong place.
		return errors.Join(result, fmt.Errorf("leaving the network namespace %s: %w", namespace, err))
	}
	runtime.UnlockOSThread()
	return result
}

func path(namespace string) string { return filepath.Join("/run/netns", namespace) }

// exists reports whether there is a usable namespace. What a boot leaves behind of one, on a machine whose /run is on disk, is an
// ordinary empty file, which is removed.
func exists(namespace string) bool {
	var stat unix.Statfs_t
	if unix.Statfs(path(namespace), &stat) != nil {
		return false
	}
	if stat.Type == unix.NSFS_MAGIC {
		return true
	}
	_ = os.Remove(path(namespace))
	return false
}

func ip(arguments ...string) error {
	output, err := exec.Command("ip", arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
