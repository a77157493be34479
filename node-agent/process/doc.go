// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process finds the Apptainer and Singularity containers that are alive on a node, by what
// the kernel says in /proc and never by what a process says of itself.
//
// The join that holds for every launch mode, and needs no capability: the file system that a
// container has as its root is the one that its starter has mounted at
// …/{apptainer,singularity}/mnt/session/final. Both are in the processes' mountinfo. Everything that
// a user can write (command line, environment, a process's name) is a hint that is marked as such, or
// text to show.
//
// Discover is a pure function of a tree in the shape of /proc; nothing here opens a file of a user.
package process
