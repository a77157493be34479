package execution

import (
	"os"
	"sync"
	"time"
)

// maxOutput is how much of an output stream is kept: its end, where the reason of a failure stands.
const maxOutput = 64 << 10

// capture reads a stream of the program until all who can write to it are gone.
type capture struct {
	r, w *os.File
	done chan struct{}
	mu   sync.Mutex
	tail []byte
}

func newCapture() (*capture, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &capture{r: r, w: w, done: make(chan struct{})}
	go c.read()
	return c, nil
}

func (c *capture) read() {
	defer close(c.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := c.r.Read(buf)
		c.mu.Lock()
		c.tail = append(c.tail, buf[:n]...)
		if extra := len(c.tail) - maxOutput; extra > 0 {
			c.tail = append(c.tail[:0], c.tail[extra:]...)
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// started closes the agent's own writing end.
func (c *capture) started() { _ = c.w.Close() }

func (c *capture) close() {
	_ = c.w.Close()
	_ = c.r.Close()
	<-c.done
}

// text returns the end of what was written, once the program and all its processes are gone.
func (c *capture) text() string {
	// A process that cannot be killed keeps the stream open.
	_ = c.r.SetReadDeadline(time.Now().Add(time.Second))
	<-c.done
	_ = c.r.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.tail)
}
