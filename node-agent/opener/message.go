// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The protocol: packets of JSON over a unix socket, one request at a time. A listing is a packet a container and one
// that ends it; a descriptor comes with the packet that says so (SCM_RIGHTS).

const (
	// network of the socket: SOCK_SEQPACKET keeps packets apart, so that nothing has to be parsed to find their ends.
	network = "unixpacket"
	// maxRequest and maxReply bound a packet in bytes. A path of PATH_MAX bytes, each escaped, is 16 KiB; it is there twice.
	maxRequest = 4 << 10
	maxReply   = 96 << 10
	// sendWithin is how long a peer may take to read a packet.
	sendWithin = 30 * time.Second
)

// request asks for a listing, or for a descriptor of a container that was listed.
type request struct {
	List bool   `json:"list,omitempty"`
	Take string `json:"take,omitempty"` // ID of a container
	What What   `json:"what,omitempty"`
}

// reply is one packet of an answer.
type reply struct {
	Container *Container `json:"container,omitempty"`
	End       *end       `json:"end,omitempty"`
	File      bool       `json:"file,omitempty"`
	Error     *Error     `json:"error,omitempty"`
}

// end of a listing.
type end struct {
	Containers int `json:"containers"`
	Processes  int `json:"processes"`
	Left       int `json:"left,omitempty"`
}

var errSeveral = errors.New("more than one descriptor was sent")

// errTooLong: a packet would be longer than its limit, and nothing was sent.
var errTooLong = errors.New("the packet is too long")

// send sends a packet, with a descriptor where there is one.
func send(c *net.UnixConn, v any, limit int, file *os.File) error {
	packet, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(packet) > limit {
		return fmt.Errorf("%w: %d bytes are more than %d", errTooLong, len(packet), limit)
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	if err := c.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix(packet, rights, nil)
	return err
}

// receive reads a packet of at most limit bytes into v, and takes the descriptor that came with it, if any. Without rights
// none is taken: the kernel closes what a peer sends nevertheless.
func receive(c *net.UnixConn, v any, limit int, rights bool) (*os.File, error) {
	packet := make([]byte, limit)
	var control []byte
	if rights {
		control = make([]byte, unix.CmsgSpace(4))
	}
	n, controls, flags, _, err := c.ReadMsgUnix(packet, control)
	file, ferr := descriptor(control[:controls])
	switch {
	case err != nil:
	case ferr != nil:
		err = ferr
	case flags&unix.MSG_TRUNC != 0:
		err = fmt.Errorf("a packet is longer than %d bytes", limit)
	case rights && flags&unix.MSG_CTRUNC != 0:
		err = errSeveral
	default:
		err = json.Unmarshal(packet[:n], v)
	}
	if err != nil && file != nil {
		file.Close()
		file = nil
	}
	return file, err
}

// descriptor takes the descriptor out of control messages. Where there is room for one the kernel finds room for two:
// the sizes are rounded up.
func descriptor(control []byte) (*os.File, error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var all []int
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		all = append(all, fds...)
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return os.NewFile(uintptr(all[0]), "handed over"), nil
	}
	for _, fd := range all {
		unix.Close(fd)
	}
	return nil, errSeveral
}

// peer is the user id of who is at the other end, as the kernel knows it.
func peer(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var who *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) { who, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, asked); err != nil {
		return 0, err
	}
	return who.Uid, nil
}
