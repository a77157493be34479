// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// answerWithin is how long a request may take. Listing 10,000 containers, each with its image, takes seconds.
const answerWithin = 2 * time.Minute

// Client is an opener in another container of the pod.
type Client struct {
	mu   sync.Mutex // one request at a time
	conn *net.UnixConn
}

var _ Opener = (*Client)(nil)

// Dial connects to the opener that serves the socket, and waits until ctx ends for it to be there. It trusts nobody but
// root, and this user itself, to hand out descriptors.
func Dial(ctx context.Context, path string) (*Client, error) {
	const retry = 100 * time.Millisecond
	for {
		c, err := net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network})
		if err == nil {
			who, err := peer(c)
			if err == nil && who != 0 && int(who) != os.Geteuid() {
				err = fmt.Errorf("the opener at %s runs as user %d, not as root", path, who)
			}
			if err != nil {
				c.Close()
				return nil, err
			}
			return &Client{conn: c}, nil
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the opener of this pod: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(retry):
		}
	}
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// List asks for a listing.
func (c *Client) List(ctx context.Context) (*Listing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ask(ctx, request{List: true}); err != nil {
		return nil, err
	}
	l := &Listing{}
	for {
		var r reply
		if _, err := receive(c.conn, &r, maxReply, false); err != nil {
			return nil, lost(err)
		}
		switch {
		case r.Error != nil:
			return nil, r.Error
		case r.Container != nil && len(l.Containers) < process.MaxContainers:
			l.Containers = append(l.Containers, *r.Container)
		case r.End != nil && r.End.Containers == len(l.Containers):
			l.Processes, l.Left = r.End.Processes, r.End.Left
			return l, nil
		default:
			return nil, errors.New("the opener sent a listing that ends too early or never")
		}
	}
}

// Take asks for a descriptor.
func (c *Client) Take(ctx context.Context, id string, what What) (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ask(ctx, request{Take: id, What: what}); err != nil {
		return nil, err
	}
	var r reply
	f, err := receive(c.conn, &r, maxReply, true)
	switch {
	case err != nil:
		return nil, lost(err)
	case r.Error != nil:
		err = r.Error
	case !r.File || f == nil:
		err = errors.New("the opener sent no descriptor")
	default:
		return f, nil
	}
	if f != nil {
		f.Close()
	}
	return nil, err
}

func (c *Client) ask(ctx context.Context, r request) error {
	until := time.Now().Add(answerWithin)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	if err := c.conn.SetReadDeadline(until); err != nil {
		return lost(err)
	}
	return lost(send(c.conn, r, maxRequest, nil))
}

// lost says what a broken connection means.
func lost(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ask the opener of this pod, whose log may tell more: %w", err)
}

// ended is nil where a connection ended as connections do.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}
