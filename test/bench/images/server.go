// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// namespace of everything.
const namespace = "hpc"

// server is a kube-apiserver with its etcd.
type server struct {
	*envtest.Environment
	kubeconfig string
}

func startServer(ctx context.Context, dir string) (*server, error) {
	s := &server{
		Environment: &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true},
		kubeconfig:  filepath.Join(dir, "kubeconfig"),
	}
	s.ControlPlane.Etcd = &envtest.Etcd{}
	s.ControlPlane.Etcd.Configure().Set("quota-backend-bytes", "8589934592")
	config, err := s.Start()
	if err != nil {
		return nil, fmt.Errorf("start the API server (KUBEBUILDER_ASSETS names its folder): %w", err)
	}
	user, err := s.AddUser(envtest.User{Name: "reporter", Groups: []string{"system:masters"}}, nil)
	var text []byte
	if err == nil {
		text, err = user.KubeConfig()
	}
	if err == nil {
		err = os.WriteFile(s.kubeconfig, text, 0o600)
	}
	var api client.Client
	if err == nil {
		api, err = client.New(config, client.Options{})
	}
	if err == nil {
		err = api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	if err != nil {
		_ = s.Stop() // the first error tells more
		return nil, err
	}
	return s, nil
}

// etcd returns how many bytes of etcd's file are in use: values, what was there before them until it is
// compacted, and what its pages leave empty.
func (s *server) etcd() (int64, error) {
	answer, err := http.Get(s.ControlPlane.Etcd.URL.String() + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "etcd_mvcc_db_total_size_in_use_in_bytes "); ok {
			bytes, err := strconv.ParseFloat(text, 64)
			return int64(bytes), err
		}
	}
	return 0, fmt.Errorf("etcd does not tell its size: %w", lines.Err())
}
