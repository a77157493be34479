package disk

import (
	"slices"
	"testing"
)

func TestMountsAtAndBeneathADirectoryAreFoundInTheirOrder(t *testing.T) {
	const mountinfo = `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
90 27 7:0 / /var/lib/c/dev/data/kubelet rw shared:1 - ext4 /dev/loop0 rw
91 90 0:40 / /var/lib/c/dev/data/kubelet/pods/a\040b rw shared:2 - tmpfs tmpfs rw
92 27 7:1 / /var/lib/c/develop/data rw - ext4 /dev/loop1 rw
93 27 0:41 / /var/lib/c/dev rw - tmpfs tmpfs rw
short
`
	want := []string{"/var/lib/c/dev/data/kubelet", "/var/lib/c/dev/data/kubelet/pods/a b", "/var/lib/c/dev"}
	if got := mountsBeneath([]byte(mountinfo), "/var/lib/c/dev"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
