package flock

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func TestALockIsHeldByOneAndGoesToTheNextWhenItIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	if err := Lock(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	hurried, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Lock(hurried, second); err == nil {
		t.Fatal("two hold the lock")
	}
	locked := make(chan error)
	go func() { locked <- Lock(context.Background(), second) }()
	first.Close()
	if err := <-locked; err != nil {
		t.Error(err)
	}
}
