package volume

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// listingBuffer is how many bytes of entries one request fetches: about a thousand names, and what NFS clients read ahead.
const listingBuffer = 32 << 10

// entry is one name in a directory with its type as getdents64 gives it (DT_DIR, …); DT_UNKNOWN where the file system
// does not say.
type entry struct {
	name string
	kind uint8
}

// list calls each for every entry of the open directory but "." and "..", and before for every request to the file
// system. It stops at the first error.
//
// os.File.ReadDir asks for the attributes of every entry of unknown type, and one that is refused loses the whole batch.
func list(fd int, buf []byte, before func() error, each func(entry) error) error {
	for {
		if err := before(); err != nil {
			return err
		}
		n, err := retry(func() (int, error) { return unix.Getdents(fd, buf) })
		if err != nil || n == 0 {
			return err
		}
		for rest := buf[:n]; len(rest) > 0; {
			e, size, ok := parseEntry(rest)
			if !ok {
				return unix.EIO
			}
			rest = rest[size:]
			if e.name == "." || e.name == ".." {
				continue
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}

// parseEntry reads one struct linux_dirent64 (getdents(2)): inode 8, offset 8, record length 2, type 1, name with NUL.
func parseEntry(record []byte) (e entry, size int, ok bool) {
	const header = 19
	if len(record) < header {
		return entry{}, 0, false
	}
	size = int(binary.NativeEndian.Uint16(record[16:]))
	if size < header || size > len(record) {
		return entry{}, 0, false
	}
	name, _, closed := bytes.Cut(record[header:size], []byte{0})
	return entry{name: string(name), kind: record[18]}, size, closed && len(name) > 0
}
