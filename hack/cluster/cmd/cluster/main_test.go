package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongCommandLinesShowTheUsage(t *testing.T) {
	for _, line := range []string{"", "walk", "up --what", "up dev", "kill", "kill etcd kubelet", "pause", "load", "down --name"} {
		if err := run(context.Background(), strings.Fields(line)); !errors.Is(err, errUsage) {
			t.Errorf("cluster %s: error %v, want the usage", line, err)
		}
	}
}

func TestAMachineThatCannotRunAClusterIsToldWhatToDo(t *testing.T) {
	cases := map[string]struct {
		system string
		user   int
		want   []string
	}{
		"Linux and root":   {system: "linux"},
		"Linux and a user": {system: "linux", user: 1000, want: []string{"not root", "KUBECONFIG", "make deploy"}},
		"another system":   {system: "darwin", want: []string{"darwin", "KUBECONFIG", "make deploy"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := checkMachine(c.system, c.user)
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

func TestTheCheckoutIsFoundFromWithinIt(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(root, "hack", "cluster", "kube")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	if got, err := checkout(""); err != nil || got != root {
		t.Errorf("%s, error %v, want %s", got, err, root)
	}
	if got, err := checkout("../cluster"); err == nil {
		t.Errorf("a folder that is no checkout was taken for %s", got)
	}
}
