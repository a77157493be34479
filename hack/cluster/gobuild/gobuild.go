// Package gobuild compiles Go programs into a cache that is shared by all checkouts of a user. A program is kept under a hash of all
// that it is made of, so that building again what is there costs nothing.
package gobuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sifscan/sifscan-operator/hack/cluster/flock"
)

// Program is a main package with only pinned dependencies.
type Program struct {
	Name   string
	Source string // folder of the main package
	// Module holds the go.mod and go.sum that pin the dependencies.
	Module  string
	LDFlags []string
	// Links are further names of the program, made beside it.
	Links []string
	// Notice is said before a build that is going to take long.
	Notice string
}

// Cache returns the folder for everything that can be made or downloaded again.
func Cache() (string, error) {
	base, err := os.UserCacheDir()
	return filepath.Join(base, "sifscan-operator"), err
}

// Ensure returns the folder that holds the program, and builds it first if it is not there.
func (p Program) Ensure(ctx context.Context, say func(string, ...any)) (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	key, err := p.key(ctx)
	if err != nil {
		return "", err
	}
	directory := filepath.Join(cache, p.Name+"-"+key)
	if complete(directory, p.Name) {
		return directory, nil
	}
	unlock, err := lock(ctx, filepath.Join(cache, p.Name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if complete(directory, p.Name) { // by somebody else, while we waited
		return directory, nil
	}
	return directory, p.build(ctx, directory, say)
}

func complete(directory, name string) bool {
	_, err := os.Stat(filepath.Join(directory, name))
	return err == nil
}

// build compiles in the folder where the program stays; the program itself appears last and at once.
func (p Program) build(ctx context.Context, directory string, say func(string, ...any)) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, name := range p.Links {
		link := filepath.Join(directory, name)
		_ = os.Remove(link)
		if err := os.Symlink(p.Name, link); err != nil {
			return err
		}
	}
	if p.Notice != "" {
		say("%s", p.Notice)
	}
	output := filepath.Join(directory, p.Name+".new")
	command := p.command(ctx, "build", "-v", "-trimpath", "-ldflags", strings.Join(append([]string{"-s", "-w"}, p.LDFlags...), " "), "-o", output, ".")
	if err := follow(command, p.packages(ctx), p.Name, say); err != nil {
		return fmt.Errorf("building %s: %w", p.Name, err)
	}
	return os.Rename(output, filepath.Join(directory, p.Name))
}

// packages counts the packages of the program, 0 if that is not known.
func (p Program) packages(ctx context.Context) int {
	list, err := p.command(ctx, "list", "-deps", ".").Output()
	if err != nil {
		return 0 // the build itself will tell why
	}
	return strings.Count(string(list), "\n")
}

// command is a go command that sees nothing of a workspace or of flags that would change what is built.
func (p Program) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = p.Source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	return command
}

// key hashes the Go version, the flags, the pins and the sources.
func (p Program) key(ctx context.Context) (string, error) {
	toolchain, err := p.command(ctx, "env", "GOVERSION", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version: %w", err)
	}
	files := []string{filepath.Join(p.Module, "go.mod"), filepath.Join(p.Module, "go.sum")}
	err = filepath.WalkDir(p.Source, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s%q%q", toolchain, p.LDFlags, p.Links)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(file), len(data), data)
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// lock waits until nobody else builds the same program.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock.Lock(ctx, file); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}
