package disk

import (
	"os"
	"path/filepath"
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

func TestAFileSystemIsInterruptedOnlyAfterACrash(t *testing.T) {
	image := filepath.Join(t.TempDir(), "disk.ext4")
	if got, err := Interrupted(image); err != nil || got {
		t.Errorf("a missing file: %t, error %v", got, err)
	}
	if err := format(image, 8<<20); err != nil {
		t.Fatal(err)
	}
	if got, err := Interrupted(image); err != nil || got {
		t.Errorf("a new file system: %t, error %v", got, err)
	}
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	features := make([]byte, 4)
	if _, err := file.ReadAt(features, 1024+0x60); err != nil {
		t.Fatal(err)
	}
	features[0] |= 0x4 // as the kernel does when it mounts
	if _, err := file.WriteAt(features, 1024+0x60); err != nil {
		t.Fatal(err)
	}
	if got, err := Interrupted(image); err != nil || !got {
		t.Errorf("one that was mounted: %t, error %v", got, err)
	}
}
