// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/test/bench/apiserver"
)

// namespace of everything.
const namespace = "hpc"

// server is a kube-apiserver with its etcd, and the namespace in it.
type server struct{ *apiserver.Server }

func startServer(ctx context.Context) (server, error) {
	s, err := apiserver.Start(nil)
	if err != nil {
		return server{}, err
	}
	api, err := client.New(s.Config, client.Options{})
	if err == nil {
		err = api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	if err != nil {
		return server{}, errors.Join(err, s.Stop())
	}
	return server{s}, nil
}

// etcd returns how many bytes of etcd's file are in use: values, what was there before them until it is
// compacted, and what its pages leave empty.
func (s server) etcd() (int64, error) {
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
