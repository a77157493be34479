// Package debian gets what the cluster needs from Debian's archive with apt-get.
package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// lockTimeout waits for another apt or dpkg, for example unattended-upgrades after boot, instead of failing.
const lockTimeout = "DPkg::Lock::Timeout=300"

// installed is what the machine itself must have: each program and the package it comes from.
var installed = map[string]string{
	"nft":       "nftables", // kube-proxy
	"ip":        "iproute2",
	"mkfs.ext4": "e2fsprogs",
	"mount":     "mount", // also kubelet
}

// private packages are unpacked, not installed. Installing Debian's containerd starts it as a service, and removes Docker's
// package of the same content; what we need are its programs.
var private = []string{"containerd", "runc", "containernetworking-plugins"}

// shared are libraries that the private programs are linked to and a Debian machine has, but a minimal container image may not.
var shared = map[string]string{"libseccomp.so.2": "libseccomp2"}

// Install installs the packages of programs that the machine does not have.
func Install(ctx context.Context, say func(string, ...any)) error {
	var missing []string
	for program, name := range installed {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	for library, name := range shared {
		if found, _ := filepath.Glob("/usr/lib/*/" + library); len(found) == 0 {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	say("installing %s", strings.Join(missing, " "))
	if err := update(ctx); err != nil {
		return err
	}
	arguments := []string{"-o", lockTimeout, "install", "-y", "-qq", "--no-install-recommends"}
	return apt(ctx, "", append(arguments, missing...)...)
}

// Unpack downloads the private packages and unpacks them into directory, unless that was done before. Programs are then at
// usr/bin, usr/sbin and usr/lib/cni in it.
func Unpack(ctx context.Context, directory string, say func(string, ...any)) error {
	if _, err := os.Stat(directory); err == nil {
		return nil
	}
	say("downloading %s", strings.Join(private, " "))
	if err := os.MkdirAll(filepath.Dir(directory), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(directory), ".unpack-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := apt(ctx, work, append([]string{"-qq", "download"}, private...)...); err != nil {
		// The machine's list of packages may name versions that the archive no longer has.
		if err := errors.Join(update(ctx), apt(ctx, work, append([]string{"-qq", "download"}, private...)...)); err != nil {
			return err
		}
	}
	packages, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return err
	}
	root := filepath.Join(work, "root")
	for _, name := range packages {
		if err := run(exec.CommandContext(ctx, "dpkg-deb", "--extract", name, root)); err != nil {
			return err
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	return os.Rename(root, directory)
}

func update(ctx context.Context) error { return apt(ctx, "", "-qq", "update") }

// apt runs apt-get in a directory, with nobody there to answer questions. _apt, the user that apt downloads as, may not enter
// our cache; that it downloads as root instead is not worth a warning.
func apt(ctx context.Context, directory string, arguments ...string) error {
	command := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "APT::Sandbox::User=root"}, arguments...)...)
	command.Dir = directory
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	return run(command)
}

func run(command *exec.Cmd) error {
	output, err := command.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is missing: the development cluster needs Debian 12 or a relative of it", command.Args[0])
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, bytes.TrimSpace(output))
	}
	return nil
}
