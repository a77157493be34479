package cluster

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// listenTime is much longer than a program takes from bind(2), when its socket appears, to listen(2), when it can be connected to.
const listenTime = 100 * time.Millisecond

// removeDeadSockets removes the unix sockets that match the patterns and that nobody listens on. Names do not tell whose they are: those of
// shims are hashes. A socket that was only just made is none of ours, so a socket must be dead twice.
func removeDeadSockets(patterns ...string) error {
	var dead []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		dead = append(dead, files...)
	}
	dead = slices.DeleteFunc(dead, listening)
	if len(dead) == 0 {
		return nil
	}
	time.Sleep(listenTime)
	for _, socket := range slices.DeleteFunc(dead, listening) {
		if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// listening reports whether a socket is not known to be dead: only a refused connection proves that.
func listening(socket string) bool {
	connection, err := net.Dial("unix", socket)
	if err == nil {
		connection.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED)
}
