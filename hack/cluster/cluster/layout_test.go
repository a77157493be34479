package cluster

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNamesThatDoNotFitIntoPathsAreRefused(t *testing.T) {
	cases := map[string]bool{
		"dev": true, "test": true, "e2e-1": true, "a": true, strings.Repeat("a", 20): true,
		"": false, "-a": false, "a-": false, "1a": false, "Dev": false, "a/b": false, "..": false, "a b": false, strings.Repeat("a", 21): false,
	}
	for name, valid := range cases {
		if _, err := newLayout(name, 0); (err == nil) != valid {
			t.Errorf("%q: error %v, want valid %t", name, err, valid)
		}
	}
}

func TestTheLongestNameLeavesRoomForSocketPaths(t *testing.T) {
	l := layout{name: strings.Repeat("a", 20)}
	// 108 bytes with the terminating zero: unix(7). containerd appends ".ttrpc".
	if path := l.containerdSocket() + ".ttrpc"; len(path) > 107 {
		t.Errorf("%s has %d bytes", path, len(path))
	}
}

func TestNoTwoClustersShareAnAddressOrADevice(t *testing.T) {
	devices := map[string]bool{}
	var taken []netip.Prefix
	for index := range maxClusters {
		l := layout{name: "x", index: index}
		device := l.link().Device
		if devices[device] || len(device) > 15 {
			t.Fatalf("device %s of cluster %d is taken or longer than the 15 bytes of a device's name", device, index)
		}
		devices[device] = true
		for _, subnet := range []netip.Prefix{l.machine(), l.pods(), l.services()} {
			for _, other := range taken {
				if other.Overlaps(subnet) {
					t.Fatalf("%v of cluster %d overlaps %v", subnet, index, other)
				}
			}
			taken = append(taken, subnet.Masked())
		}
	}
}

func TestTheAddressesOfAClusterLieWhereTheyAreExpected(t *testing.T) {
	l := layout{name: "x", index: 7}
	for name, got := range map[string]string{
		"10.213.7.1/30 is the machine":       l.machine().String() + " is the machine",
		"10.213.7.2/30 is the node":          l.node().String() + " is the node",
		"10.213.7.128/25 are pods":           l.pods().String() + " are pods",
		"10.214.7.0/24 are services":         l.services().String() + " are services",
		"10.214.7.1 is the API's Service":    l.apiService().String() + " is the API's Service",
		"https://10.213.7.2:6443 is the API": l.server() + " is the API",
	} {
		if got != name {
			t.Errorf("%s, want %s", got, name)
		}
	}
}

func TestTheLowestIndexThatIsFreeIsTaken(t *testing.T) {
	local := func(prefixes ...string) []netip.Prefix {
		var found []netip.Prefix
		for _, prefix := range prefixes {
			found = append(found, netip.MustParsePrefix(prefix))
		}
		return found
	}
	cases := map[string]struct {
		used  []int
		local []netip.Prefix
		want  int
	}{
		"the first cluster":                        {want: 0},
		"one after another":                        {used: []int{0, 1}, want: 2},
		"a gap is filled":                          {used: []int{0, 2}, want: 1},
		"the machine's own network is avoided":     {local: local("10.213.0.0/24"), want: 1},
		"a small network within is avoided":        {local: local("10.214.0.64/30"), want: 1},
		"a large network is avoided":               {local: local("10.213.0.0/22"), want: 4},
		"other networks do not matter":             {local: local("192.168.0.0/16", "fd00::/64"), want: 0},
		"used and avoided ones add up":             {used: []int{1}, local: local("10.213.0.0/24"), want: 2},
		"no index is left in a network of a state": {local: local("10.208.0.0/12"), want: -1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			used := map[int]bool{}
			for _, index := range c.used {
				used[index] = true
			}
			got, err := freeIndex(used, c.local)
			if c.want < 0 {
				if err == nil {
					t.Errorf("index %d, want an error", got)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("index %d, error %v, want %d", got, err, c.want)
			}
		})
	}
}
