// Package disk keeps data on ext4 file systems of fixed size in sparse files, so that a test that fills a disk fills its own and
// not the machine's.
package disk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Ensure mounts the file system in the file image at directory, and makes both first if they are missing. The mount is shared,
// as Kubernetes needs it for volumes that containers see change, whatever the machine's root is.
func Ensure(image, directory string, size int64) error {
	mounts, err := Mounts(directory)
	if err != nil || slices.Contains(mounts, directory) {
		return err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(image); errors.Is(err, fs.ErrNotExist) {
		if err := format(image, size); err != nil {
			return err
		}
	} else if err := check(image); err != nil {
		return err
	}
	// mount(8) finds a free loop device, makes a ninth if all are taken, tries again if another takes it first, and has the kernel
	// free it with the mount.
	if err := run("mount", "-t", "ext4", "-o", "loop", image, directory); err != nil {
		return err
	}
	return unix.Mount("", directory, "", unix.MS_SHARED, "")
}

// format makes the file under another name first: half a file system must not look like one.
func format(image string, size int64) error {
	file, err := os.Create(image + ".new")
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
		return err
	}
	// No blocks are reserved for root: all that fills these disks is root.
	if err := run("mkfs.ext4", "-q", "-F", "-m", "0", image+".new"); err != nil {
		return err
	}
	return os.Rename(image+".new", image)
}

// Interrupted reports whether the machine went down while the file system in the file image was mounted: what was written last may
// be missing in it, although the file system itself can be repaired. A missing file was not interrupted. It must not be asked about a
// file system that is mounted.
func Interrupted(image string) (bool, error) {
	file, err := os.Open(image)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	superblock := make([]byte, 1024)
	if _, err := file.ReadAt(superblock, 1024); err != nil {
		return false, fmt.Errorf("reading the superblock of %s: %w", image, err)
	}
	return needsRecovery(superblock), nil
}

// needsRecovery reads s_feature_incompat, offset 0x60 of an ext4 superblock: INCOMPAT_RECOVER is set as long as it is mounted.
// https://docs.kernel.org/filesystems/ext4/super.html
func needsRecovery(superblock []byte) bool {
	const incompatRecover = 0x4
	return binary.LittleEndian.Uint32(superblock[0x60:])&incompatRecover != 0
}

// check replays the journal and repairs what a crash of the machine left. Exit code 1 of e2fsck(8) is "errors corrected".
func check(image string) error {
	err := run("e2fsck", "-p", image)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	return err
}

// UnmountBeneath unmounts everything at directory and beneath it, last mounted first. A mount that is still busy is detached: it
// goes when its last user does.
func UnmountBeneath(directory string) error {
	mounts, err := Mounts(directory)
	if err != nil {
		return err
	}
	for _, mount := range slices.Backward(mounts) {
		err := unix.Unmount(mount, 0)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(mount, unix.MNT_DETACH)
		}
		// EINVAL: it is no mount any more, because it went with one above.
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmounting %s: %w", mount, err)
		}
	}
	return nil
}

// Mounts lists what is mounted at directory and beneath it, in the order of mounting.
func Mounts(directory string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return mountsBeneath(data, directory), nil
}

// mountsBeneath picks from a mountinfo file (proc(5)): field 5 is the mount point, with space, tab, newline and backslash as octal.
func mountsBeneath(mountinfo []byte, directory string) []string {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	lines.Buffer(nil, 1<<20) // an overlay mount of many layers makes long lines
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		mount := unescape.Replace(fields[4])
		if mount == directory || strings.HasPrefix(mount, directory+"/") {
			found = append(found, mount)
		}
	}
	return found
}

func run(name string, arguments ...string) error {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, bytes.TrimSpace(output))
	}
	return nil
}
