// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver starts a kube-apiserver with its etcd and the project's kinds for a benchmark, which measures a process
// against it.
package apiserver

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// User is whom the server takes the process for that is measured.
const User = "measured"

// Server is a kube-apiserver with its etcd.
type Server struct {
	*envtest.Environment
	// Dir is a directory of the benchmark's own.
	Dir string
	// Kubeconfig is a file in it by which User is an administrator.
	Kubeconfig string

	stop func() error
}

// Start starts a server whose etcd has room for 8 GiB. change, which may be nil, says what is different about it. The program runs
// in the project's root directory.
func Start(change func(*Server) error) (*Server, error) {
	dir, err := os.MkdirTemp("", "sifscan-bench-")
	if err != nil {
		return nil, err
	}
	s := &Server{
		Environment: &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true},
		Dir:         dir, Kubeconfig: filepath.Join(dir, "kubeconfig"),
	}
	s.stop = sync.OnceValue(func() error { return errors.Join(s.Environment.Stop(), os.RemoveAll(dir)) })
	s.ControlPlane.Etcd = &envtest.Etcd{}
	s.ControlPlane.Etcd.Configure().Set("quota-backend-bytes", "8589934592")
	if change != nil {
		err = change(s)
	}
	if err == nil {
		go s.stopWhenTold()
		err = s.start()
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop()) // what was started of it runs: Environment.Start leaves that to its caller
	}
	return s, nil
}

// stopWhenTold ends the program by a signal. The server's processes have process groups of their own, which no terminal tells.
func (s *Server) stopWhenTold() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	number, _ := (<-told).(syscall.Signal)
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(128 + int(number))
}

func (s *Server) start() error {
	if _, err := s.Environment.Start(); err != nil {
		return fmt.Errorf("start the API server (KUBEBUILDER_ASSETS names its folder): %w", err)
	}
	user, err := s.AddUser(envtest.User{Name: User, Groups: []string{"system:masters"}}, nil)
	var text []byte
	if err == nil {
		text, err = user.KubeConfig()
	}
	if err == nil {
		err = os.WriteFile(s.Kubeconfig, text, 0o600)
	}
	return err
}

// Stop stops the server and removes its directory.
func (s *Server) Stop() error { return s.stop() }
