// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// patience with a file system. A user can hold an image on one that he serves himself and that never answers. An NFS server
	// under load answers within a second or two.
	patience = 5 * time.Second
	// maxStuck calls wait for one user's file systems; then none of his is asked any more, and others lose nothing.
	maxStuck = 4
)

// stuck counts the calls that nobody waits for any more and that file systems have not answered, by user.
type stuck struct {
	sync.Mutex
	calls map[int64]int
}

// full tells whether too many calls of the user are stuck.
func (s *stuck) full(user int64) bool {
	s.Lock()
	defer s.Unlock()
	return s.calls[user] >= maxStuck
}

func (s *stuck) add(user int64, n int) {
	s.Lock()
	defer s.Unlock()
	if s.calls[user] += n; s.calls[user] == 0 {
		delete(s.calls, user)
	}
}

// within runs a call that a file system of the user may never answer. Descriptors in what it returns too late are closed
// with the garbage.
func within[T any](ctx context.Context, s *stuck, user int64, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	silent := &Error{Silent, fmt.Sprintf("the file system of the image does not answer within %s", patience)}
	switch {
	case ctx.Err() != nil:
		return none, context.Cause(ctx)
	case s.full(user):
		return none, silent
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := call()
		answers <- answer{value, err}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, silent)
	defer cancel()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		s.add(user, 1)
		go func() {
			<-answers
			s.add(user, -1)
		}()
		return none, context.Cause(ctx)
	}
}
