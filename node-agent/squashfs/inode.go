package squashfs

import (
	"encoding/binary"
	"io/fs"
	"time"
)

// Type is the kind of file an inode describes.
type Type uint8

// Types, numbered as in the image.
const (
	Directory Type = iota + 1
	Regular
	Symlink
	BlockDevice
	CharDevice
	FIFO
	Socket
)

var typeBits = [...]fs.FileMode{
	Directory: fs.ModeDir, Regular: 0, Symlink: fs.ModeSymlink, BlockDevice: fs.ModeDevice,
	CharDevice: fs.ModeDevice | fs.ModeCharDevice, FIFO: fs.ModeNamedPipe, Socket: fs.ModeSocket,
}

// Bits returns the type as io/fs names it.
func (t Type) Bits() fs.FileMode { return typeBits[t] }

// Ref is where an inode lies, as directories refer to it.
type Ref uint64

const (
	extended         = 7 // extended inode types are the basic ones plus this
	inodeHeaderSize  = 16
	emptyListing     = 3 // a directory's size counts three bytes that do not exist
	maxSymlinkTarget = 4096
	noXattrs         = 0xffffffff
)

// Inode is a file of the image without its name.
type Inode struct {
	Type     Type
	Perm     uint16 // permission, setuid, setgid and sticky bits as in stat(2)
	UID      uint32
	GID      uint32
	MTime    uint32 // seconds since 1970
	Number   uint32 // from 1 to the superblock's InodeCount
	Links    uint32
	Size     int64  // bytes of a file or of a symlink's target; 0 for other types
	Device   uint32 // of device nodes
	Parent   uint32 // of directories: the inode number of the parent
	extended bool
	xattr    uint32
	listing  int64 // of directories: bytes of the listing
	start    int64 // of files: offset of the first block; of directories: of the listing's block
	frag     uint32
	offset   uint32  // of files: in the fragment; of directories: in the listing's block
	tail     metaPos // of files: the list of blocks; of symlinks: the target
}

// Mode returns type and permissions as io/fs names them.
func (i *Inode) Mode() fs.FileMode {
	m := i.Type.Bits() | fs.FileMode(i.Perm&0o777)
	for _, b := range []struct {
		unix uint16
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if i.Perm&b.unix != 0 {
			m |= b.mode
		}
	}
	return m
}

// ModTime returns when the content was last modified.
func (i *Inode) ModTime() time.Time { return time.Unix(int64(i.MTime), 0) }

// Root returns the root directory.
func (r *Reader) Root() (*Inode, error) {
	root, err := r.Inode(Ref(r.sb.rootInode))
	if err != nil {
		return nil, err
	}
	if root.Type != Directory {
		return nil, corrupt("the root is not a directory")
	}
	return root, nil
}

// Inode reads the inode that a directory entry refers to.
func (r *Reader) Inode(ref Ref) (*Inode, error) {
	inode := new(Inode)
	_, err := r.readInode(ref, inode)
	return inode, err
}

// readInode decodes the inode at ref and returns the place behind its fixed part.
func (r *Reader) readInode(ref Ref, i *Inode) (cursor, error) {
	block := int64(ref >> 16)
	if block >= r.sb.directoryTable-r.sb.inodeTable {
		return cursor{}, corrupt("inode reference %#x points behind the inode table", uint64(ref))
	}
	c, err := r.cursorAt(metaPos{r.sb.inodeTable + block, int(ref & 0xffff)}, r.sb.directoryTable)
	if err != nil {
		return c, err
	}
	h, err := c.take(inodeHeaderSize)
	if err != nil {
		return c, err
	}
	le := binary.LittleEndian
	kind := le.Uint16(h)
	*i = Inode{Perm: le.Uint16(h[2:]) & 0o7777, MTime: le.Uint32(h[8:]), Number: le.Uint32(h[12:]), xattr: noXattrs}
	if i.Number == 0 || i.Number > r.sb.InodeCount {
		return c, corrupt("inode number %d, the image has %d", i.Number, r.sb.InodeCount)
	}
	if i.UID, err = r.id(le.Uint16(h[4:])); err != nil {
		return c, err
	}
	if i.GID, err = r.id(le.Uint16(h[6:])); err != nil {
		return c, err
	}
	if kind == 0 || kind > 2*extended {
		return c, corrupt("inode %d has the unknown type %d", i.Number, kind)
	}
	if kind <= extended {
		i.Type = Type(kind)
		err = r.basicInode(&c, i)
	} else {
		i.Type, i.extended = Type(kind-extended), true
		err = r.extendedInode(&c, i)
	}
	if err == nil {
		err = r.checkInode(i)
	}
	return c, err
}

func (r *Reader) basicInode(c *cursor, i *Inode) error {
	le := binary.LittleEndian
	switch i.Type {
	case Directory:
		b, err := c.take(16)
		if err != nil {
			return err
		}
		i.start, i.Links = r.sb.directoryTable+int64(le.Uint32(b)), le.Uint32(b[4:])
		i.listing, i.offset = int64(le.Uint16(b[8:])), uint32(le.Uint16(b[10:]))
	case Regular:
		b, err := c.take(16)
		if err != nil {
			return err
		}
		i.Links = 1
		i.start, i.frag, i.offset, i.Size = int64(le.Uint32(b)), le.Uint32(b[4:]), le.Uint32(b[8:]), int64(le.Uint32(b[12:]))
	case Symlink:
		return r.symlinkInode(c, i)
	case BlockDevice, CharDevice:
		b, err := c.take(8)
		if err != nil {
			return err
		}
		i.Links, i.Device = le.Uint32(b), le.Uint32(b[4:])
	default:
		b, err := c.take(4)
		if err != nil {
			return err
		}
		i.Links = le.Uint32(b)
	}
	i.tail = c.pos()
	return nil
}

func (r *Reader) extendedInode(c *cursor, i *Inode) error {
	le := binary.LittleEndian
	switch i.Type {
	case Directory:
		b, err := c.take(24)
		if err != nil {
			return err
		}
		i.Links, i.listing, i.start = le.Uint32(b), int64(le.Uint32(b[4:])), r.sb.directoryTable+int64(le.Uint32(b[8:]))
		i.offset, i.xattr = uint32(le.Uint16(b[18:])), le.Uint32(b[20:])
	case Regular:
		b, err := c.take(40)
		if err != nil {
			return err
		}
		// Values that would be negative are caught by checkInode.
		i.start, i.Size = int64(le.Uint64(b)), int64(le.Uint64(b[8:]))
		i.Links, i.frag, i.offset, i.xattr = le.Uint32(b[24:]), le.Uint32(b[28:]), le.Uint32(b[32:]), le.Uint32(b[36:])
	case Symlink:
		return r.symlinkInode(c, i)
	case BlockDevice, CharDevice:
		b, err := c.take(12)
		if err != nil {
			return err
		}
		i.Links, i.Device, i.xattr = le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
	default:
		b, err := c.take(8)
		if err != nil {
			return err
		}
		i.Links, i.xattr = le.Uint32(b), le.Uint32(b[4:])
	}
	i.tail = c.pos()
	return nil
}

// symlinkInode decodes both kinds of symlink. The xattr index of the extended
// one stands behind the target and is read by Xattrs.
func (r *Reader) symlinkInode(c *cursor, i *Inode) error {
	b, err := c.take(8)
	if err != nil {
		return err
	}
	i.Links, i.Size = binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint32(b[4:]))
	i.tail = c.pos()
	return nil
}

func (r *Reader) checkInode(i *Inode) error {
	switch i.Type {
	case Directory:
		if i.start < 0 || i.start >= r.listingEnd {
			return corrupt("the listing of directory inode %d lies at %d, behind the directory table", i.Number, i.start)
		}
		i.listing = max(i.listing-emptyListing, 0)
	case Regular:
		if i.start < 0 || i.start > r.sb.BytesUsed || i.Size < 0 {
			return corrupt("file inode %d of %d bytes starts at %d, outside of the image", i.Number, i.Size, i.start)
		}
		if i.frag != noFragment && i.frag >= r.sb.FragmentCount {
			return corrupt("file inode %d refers to fragment %d of %d", i.Number, i.frag, r.sb.FragmentCount)
		}
	case Symlink:
		if i.Size == 0 || i.Size > maxSymlinkTarget {
			return corrupt("the target of symlink inode %d is %d bytes long", i.Number, i.Size)
		}
	}
	return nil
}

// Readlink returns the target of a symlink, verbatim.
func (r *Reader) Readlink(i *Inode) (string, error) {
	if i.Type != Symlink {
		return "", &fs.PathError{Op: "readlink", Err: fs.ErrInvalid}
	}
	c, err := r.cursorAt(i.tail, r.sb.directoryTable)
	if err != nil {
		return "", err
	}
	b, err := c.take(int(i.Size))
	for _, ch := range b {
		if ch == 0 {
			return "", corrupt("the target of symlink inode %d holds a NUL", i.Number)
		}
	}
	return string(b), err
}
