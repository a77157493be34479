package cluster

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlySocketsThatNobodyListensOnAreRemoved(t *testing.T) {
	directory := t.TempDir()
	listen := func(name string) *net.UnixListener {
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(directory, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	defer listen("alive").Close()
	dead := listen("dead")
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if err := removeDeadSockets(filepath.Join(directory, "*")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(directory, "dead")); err == nil {
		t.Error("the dead one is still there")
	}
	if _, err := os.Stat(filepath.Join(directory, "alive")); err != nil {
		t.Errorf("the living one: %v", err)
	}
}
