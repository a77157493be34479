package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/hack/cluster/flock"
)

// identity is the file that makes a folder below stateRoot a cluster.
type identity struct {
	Index int `json:"index"`
}

func identityFile(name string) string { return filepath.Join(stateRoot, name, "cluster.json") }

// errNone reports that there is no cluster of a name.
var errNone = errors.New("there is no such cluster")

// load returns the layout of a cluster that exists, errNone if it does not.
func load(name string) (layout, error) {
	if _, err := newLayout(name, 0); err != nil {
		return layout{}, err
	}
	data, err := os.ReadFile(identityFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return layout{}, errNone
	}
	if err != nil {
		return layout{}, err
	}
	var saved identity
	if err := json.Unmarshal(data, &saved); err != nil || saved.Index < 0 || saved.Index >= maxClusters {
		return layout{}, fmt.Errorf("%s is damaged: remove it, then end the cluster and start it again", identityFile(name))
	}
	return newLayout(name, saved.Index)
}

// allocate returns the layout of a cluster, with a free index if it is new.
func allocate(ctx context.Context, name string) (layout, error) {
	unlock, err := lockDirectory(ctx, stateRoot)
	if err != nil {
		return layout{}, err
	}
	defer unlock()
	l, err := load(name)
	if !errors.Is(err, errNone) {
		return l, err
	}
	used, err := usedIndexes()
	if err != nil {
		return layout{}, err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return layout{}, err
	}
	index, err := freeIndex(used, prefixes(addresses))
	if err != nil {
		return layout{}, err
	}
	if err := keepHostSettings(); err != nil {
		return layout{}, err
	}
	data, err := json.Marshal(identity{Index: index})
	if err != nil {
		return layout{}, err
	}
	if err := os.MkdirAll(filepath.Dir(identityFile(name)), 0o755); err != nil {
		return layout{}, err
	}
	if err := writeFile(identityFile(name), data, 0o644); err != nil {
		return layout{}, err
	}
	return newLayout(name, index)
}

// names lists the clusters of the machine.
func names() ([]string, error) {
	files, err := filepath.Glob(identityFile("*"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, file := range files {
		found = append(found, filepath.Base(filepath.Dir(file)))
	}
	return found, nil
}

func usedIndexes() (map[int]bool, error) {
	found, err := names()
	if err != nil {
		return nil, err
	}
	used := map[int]bool{}
	for _, name := range found {
		l, err := load(name)
		if err != nil {
			return nil, err
		}
		used[l.index] = true
	}
	return used, nil
}

// freeIndex returns the lowest index that no cluster uses and whose addresses do not overlap a network the machine is in.
func freeIndex(used map[int]bool, local []netip.Prefix) (int, error) {
	for index := range maxClusters {
		l := layout{index: index}
		overlaps := false
		for _, prefix := range local {
			overlaps = overlaps || prefix.Overlaps(l.block()) || prefix.Overlaps(l.services())
		}
		if !used[index] && !overlaps {
			return index, nil
		}
	}
	return 0, errors.New("no addresses are left for a cluster: all of 10.213.0.0/16 and 10.214.0.0/16 is in use on this machine")
}

func prefixes(addresses []net.Addr) []netip.Prefix {
	var found []netip.Prefix
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			found = append(found, prefix.Masked())
		}
	}
	return found
}

// lockCluster keeps others from starting or ending the cluster meanwhile.
func lockCluster(ctx context.Context, name string) (unlock func(), err error) {
	if _, err := newLayout(name, 0); err != nil {
		return nil, err
	}
	return lockDirectory(ctx, filepath.Join(stateRoot, name))
}

// lockDirectory locks a directory, and makes it if needed. Whoever held the lock may have removed the directory.
func lockDirectory(ctx context.Context, path string) (unlock func(), err error) {
	for {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
		directory, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := flock.Lock(ctx, directory); err != nil {
			directory.Close()
			return nil, err
		}
		locked, err := directory.Stat()
		if err != nil {
			directory.Close()
			return nil, err
		}
		if now, err := os.Stat(path); err == nil && os.SameFile(locked, now) {
			return func() { directory.Close() }, nil
		}
		directory.Close()
	}
}

// writeFile replaces a file as a whole.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
