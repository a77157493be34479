// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	stageStarter   = "starter"
	stageContainer = "container"

	// planVariable tells a stage that its plan comes through descriptor planFD. Apptainer's stages get theirs so, too: the
	// starter's environment holds nothing else of the user's.
	planVariable = "PIPE_EXEC_FD"
	planFD       = 3
)

// plan is all that the stages of a container need to know.
type plan struct {
	Stage string
	// Image is the image's absolute path. A directory is a sandbox.
	Image string
	layout
	Sandbox bool
	// Decrypted is what dm-crypt shows of an encrypted image's partition.
	Decrypted string
	Command   []string
	// Instance is an instance's name.
	Instance string
	User     int

	// Setuid is how the setuid build starts: no user namespace. Kernel mounts the SquashFS through a loop device, not FUSE.
	Setuid, Kernel, Fakeroot   bool
	PIDNamespace, IPCNamespace bool
	Writable, Underlay         bool
	// OpenForWriting is how the starter holds an image that was started with --writable.
	OpenForWriting bool

	// Environment of the command.
	Environment []string
	// Home and Binds are directories seen at the same path inside. Scratch is how many files the tmpfs at /scratch has.
	Home    string
	Binds   []string
	Scratch int

	// State is Apptainer's LOCALSTATEDIR.
	State string
	// Ranks is how many containers run, Cgroup the directory in which each gets a cgroup of its own.
	Ranks  int
	Cgroup string
}

func (p plan) session() string { return filepath.Join(p.State, "apptainer/mnt/session") }

func (p plan) openFlags() int {
	if p.OpenForWriting {
		return os.O_RDWR
	}
	return os.O_RDONLY
}

// init tells whether a process of Apptainer's own is the parent of the command.
func (p plan) init() bool { return p.Instance != "" || p.PIDNamespace }

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

var errUsage = errors.New("usage: exec [FLAG…] IMAGE COMMAND… | instance [FLAG…] IMAGE NAME COMMAND…")

func parse(args []string) (plan, error) {
	if len(args) == 0 || args[0] != "exec" && args[0] != "instance" {
		return plan{}, errUsage
	}
	var p plan
	var env list
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	pid := flags.Bool("pid", false, "a PID namespace")
	containall := flags.Bool("containall", false, "PID and IPC namespaces and a clean environment")
	cleanenv := flags.Bool("cleanenv", false, "no variable of the caller's")
	bare := flags.Bool("bare-env", false, "no variable at all, as after 'env -i'")
	flags.BoolVar(&p.Setuid, "setuid", false, "start as the setuid build does")
	flags.BoolVar(&p.Kernel, "kernel-squashfs", false, "mount the image by the kernel; needs --setuid")
	flags.StringVar(&p.Decrypted, "decrypted", "", "SquashFS file that an encrypted image's partition holds; needs --kernel-squashfs")
	flags.BoolVar(&p.Fakeroot, "fakeroot", false, "root within the user namespace")
	flags.BoolVar(&p.Writable, "writable-tmpfs", false, "writable by fuse-overlayfs")
	flags.BoolVar(&p.OpenForWriting, "open-for-writing", false, "hold the image open for writing, as with --writable")
	flags.BoolVar(&p.Underlay, "underlay", false, "binds instead of an overlay")
	flags.IntVar(&p.User, "user", os.Getuid(), "the user who starts it")
	flags.StringVar(&p.Home, "home", "", "the user's home directory, seen inside")
	flags.IntVar(&p.Scratch, "scratch-files", 0, "files of a tmpfs at /scratch")
	flags.IntVar(&p.Ranks, "ranks", 1, "containers, as srun -n starts them")
	flags.StringVar(&p.Cgroup, "cgroup", "", "directory of cgroups, one to be made for each rank: task_0, …")
	flags.StringVar(&p.State, "state", "", "directory for mount points; one that is removed again when not given")
	flags.Var((*list)(&p.Binds), "bind", "directory seen inside at the same path")
	flags.Var(&env, "env", "NAME=VALUE of the command's environment")
	if err := flags.Parse(args[1:]); err != nil {
		return p, err
	}
	rest := flags.Args()
	if args[0] == "instance" && len(rest) > 1 {
		p.Instance, rest = rest[1], append(rest[:1:1], rest[2:]...)
	}
	if len(rest) < 2 {
		return p, errUsage
	}
	if p.Kernel && !p.Setuid || p.Underlay && p.Writable {
		return p, fmt.Errorf("these flags exclude each other: %w", errUsage)
	}
	p.PIDNamespace = *pid || *containall || p.Instance != ""
	p.IPCNamespace = *containall
	p.Command = rest[1:]
	if err := p.openable(rest[0]); err != nil {
		return p, err
	}
	p.Environment = p.environment(*cleanenv || *containall, *bare, env)
	return p, nil
}

// openable fills in what the image is.
func (p *plan) openable(image string) (err error) {
	if p.Image, err = filepath.Abs(image); err != nil {
		return err
	}
	st, err := os.Stat(p.Image)
	if err != nil {
		return err
	}
	if p.Sandbox = st.IsDir(); p.Sandbox {
		return nil
	}
	p.layout, err = layoutOf(p.Image)
	if err == nil && !p.Kernel && (p.FileSystem != "squashfs" || p.Overlay != 0 || p.Decrypted != "") {
		err = fmt.Errorf("%s is for the kernel to mount: %w", p.Image, errUsage)
	}
	return err
}

// environment is what Apptainer gives the command: all of the caller's but under --cleanenv, and its own under two prefixes.
func (p *plan) environment(clean, bare bool, set []string) []string {
	if bare {
		return set
	}
	var env []string
	if !clean {
		env = os.Environ()
	}
	for _, prefix := range []string{"APPTAINER_", "SINGULARITY_"} {
		env = append(env, prefix+"CONTAINER="+p.Image, prefix+"NAME="+filepath.Base(p.Image))
		if p.Instance != "" {
			env = append(env, prefix+"INSTANCE="+p.Instance)
		}
	}
	return append(env, set...)
}

func receivePlan() (p plan, err error) {
	pipe := os.NewFile(planFD, "plan")
	defer pipe.Close()
	err = json.NewDecoder(pipe).Decode(&p)
	return p, err
}
