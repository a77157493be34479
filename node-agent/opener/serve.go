// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/go-logr/logr"
)

// maxConnections at a time. There is one scanner; it may have been started anew.
const maxConnections = 4

// Serve serves an opener on a socket until ctx ends. Whoever reaches the socket may connect; only root and the given user
// are answered. A descriptor is given only of what the opener itself listed.
func Serve(ctx context.Context, path string, user uint32, o Opener, log logr.Logger) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("take the place of an earlier socket: %w", err)
	}
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return err
	}
	defer listener.Close()
	// The directory is mounted for the two ends alone, and the peer is asked for at every connection.
	if err := os.Chmod(path, 0o666); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	log.Info("serving", "socket", path)

	var open sync.WaitGroup
	defer open.Wait()
	slots := make(chan struct{}, maxConnections)
	for {
		c, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		who, err := peer(c)
		if err != nil || who != 0 && who != user {
			log.Info("refused", "user", who, "error", err)
			c.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			log.Info("refused", "connections", maxConnections)
			c.Close()
			continue
		}
		open.Go(func() {
			defer func() { <-slots }()
			if err := answer(ctx, c, o); err != nil && ctx.Err() == nil {
				log.Error(err, "a connection ended")
			}
		})
	}
}

// answer answers one connection until it ends.
func answer(ctx context.Context, c *net.UnixConn, o Opener) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	for {
		var asked request
		if _, err := receive(c, &asked, maxRequest, false); err != nil {
			return ended(err)
		}
		var err error
		if asked.List {
			err = list(ctx, c, o)
		} else {
			err = take(ctx, c, o, asked)
		}
		if err != nil {
			return err
		}
	}
}

func list(ctx context.Context, c *net.UnixConn, o Opener) error {
	l, err := o.List(ctx)
	if err != nil {
		return send(c, reply{Error: explain(err)}, maxReply, nil)
	}
	for i := range l.Containers {
		err := send(c, reply{Container: &l.Containers[i]}, maxReply, nil)
		if errors.Is(err, errTooLong) {
			err = send(c, reply{Container: l.Containers[i].unnamed()}, maxReply, nil)
		}
		if err != nil {
			return err
		}
	}
	return send(c, reply{End: &end{len(l.Containers), l.Processes, l.Left}}, maxReply, nil)
}

// unnamed is a container without the names that its user chose. What he mounts has a source and a type of 4 KiB each, and a directory's
// path has no bound at all: that must cost nobody else the listing.
func (c *Container) unnamed() *Container {
	short := *c
	short.FileSystem, short.Claimed, short.Command = "", "", ""
	short.Image = Image{Path: "a path that is too long to be told"}
	short.Problem = &Error{Failed, "the names of the container's file system and image are too long to be told"}
	return &short
}

func take(ctx context.Context, c *net.UnixConn, o Opener, asked request) error {
	if asked.What != TheImage && asked.What != TheRoot {
		return send(c, reply{Error: &Error{Failed, "the request asks for neither a listing, an image nor a root"}}, maxReply, nil)
	}
	f, err := o.Take(ctx, asked.Take, asked.What)
	if err != nil {
		return send(c, reply{Error: explain(err)}, maxReply, nil)
	}
	defer f.Close()
	return send(c, reply{File: true}, maxReply, f)
}
