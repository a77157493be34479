// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build race

package main

// The race detector keeps a shadow of all memory: what a process takes then says nothing.
func init() { shadowed = true }
