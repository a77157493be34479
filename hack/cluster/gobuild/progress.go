package gobuild

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// interval between two lines of progress. They are whole lines, so that they read well in the log of a machine, too.
const interval = 10 * time.Second

// kept is how many of the last lines that are no progress are shown when a build fails.
const kept = 20

// follow runs a "go build -v" and says how far it is. total is the number of packages, of which some may be in Go's own cache.
func follow(command *exec.Cmd, total int, name string, say func(string, ...any)) error {
	var seen output
	command.Stdout, command.Stderr = &seen, &seen
	started := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return errors.Join(err, errors.New(strings.Join(seen.messages, "\n")))
			}
			return nil
		case <-tick.C:
			say("building %s: %s of at most %d packages, %s", name, seen.progress(), total, time.Since(started).Round(time.Second))
		}
	}
}

// output is what a build has said so far.
type output struct {
	mutex      sync.Mutex
	line       []byte // not yet ended
	downloaded int
	compiled   int
	messages   []string
}

// Write counts the lines in data.
func (o *output) Write(data []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.line = append(o.line, data...)
	for {
		line, rest, found := bytes.Cut(o.line, []byte("\n"))
		if !found {
			return len(data), nil
		}
		o.add(string(line))
		o.line = rest
	}
}

// add counts a line. A compiled package is a line with its import path and nothing else.
func (o *output) add(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		o.downloaded++
	case !strings.ContainsAny(line, " #:"):
		o.compiled++
	default:
		o.messages = append(o.messages, line)
		if len(o.messages) > kept {
			o.messages = o.messages[1:]
		}
	}
}

// progress is what a person waits for: modules first, then packages.
func (o *output) progress() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.downloaded > 0 && o.compiled == 0 {
		return fmt.Sprintf("%d modules downloaded, compiled 0", o.downloaded)
	}
	return fmt.Sprintf("compiled %d", o.compiled)
}
