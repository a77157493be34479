// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package opener hands out what live containers were started from: a descriptor of the open image, or
// of the container's root directory.
//
// It is the only part of the agent that needs rights over other users' processes. It reads no more of
// an image than the bytes that tell its format, parses none and executes nothing. On a machine it is
// used in the same process (Node); in a pod the opener's container serves it on a unix socket (Serve) to the scanner
// (Dial), which has no rights at all.
package opener

import (
	"context"
	"os"

	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// Opener hands out what containers were started from. Node and Client are the two.
type Opener interface {
	// List looks for containers. An *Error of the code Policy says that the node refuses to show them.
	List(ctx context.Context) (*Listing, error)
	// Take opens what a listed container was started from. Errors are *Error.
	Take(ctx context.Context, id string, what What) (*os.File, error)
	Close() error
}

// Listing is what is alive.
type Listing struct {
	Containers []Container
	// Processes that were looked at.
	Processes int
	// Left counts what is beyond the list, as process.Found.
	Left int
}

// Container is a live container and the image that it was started from.
type Container struct {
	process.Container
	Image Image `json:"image"`
	// Problem says why the image is not known, or cannot be taken.
	Problem *Error `json:"problem,omitempty"`
}

// What is handed out.
type What string

// What is handed out.
const (
	// TheImage is the file that the container's starter holds open, for reading alone. Whoever reads it may share the
	// position in it with the user's process: pread only.
	TheImage What = "image"
	// TheRoot is the container's root directory, opened with O_PATH.
	TheRoot What = "root"
)

// Code says why something is not handed out.
type Code string

// The codes.
const (
	// Vanished: the container ended.
	Vanished Code = "vanished"
	// Denied: the agent has not the rights over the container's processes.
	Denied Code = "denied"
	// Policy: AppArmor, SELinux or Yama refuse what the agent has the rights for.
	Policy Code = "policy"
	// Silent: the file system that the image is on does not answer.
	Silent Code = "silent"
	// Missing: the container's processes hold no image.
	Missing Code = "missing"
	// Failed: anything else.
	Failed Code = "failed"
)

// Error is why something is not handed out.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }
