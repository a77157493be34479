// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/sifscan/sifscan-operator/test/bench/apiserver"
)

// policy has the API server write down every request of the operator. Watches are one request for all that they bring.
const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [watch]
- level: Metadata
  users: [` + apiserver.User + `]
- level: None
`

// server is a kube-apiserver that counts, with its etcd.
type server struct {
	*apiserver.Server
	log string
}

func startServer(scheme *k8sruntime.Scheme) (*server, error) {
	s := &server{}
	var err error
	s.Server, err = apiserver.Start(func(a *apiserver.Server) error {
		a.Scheme, a.ControlPlaneStopTimeout = scheme, 2*time.Minute
		s.log = filepath.Join(a.Dir, "audit.log")
		file := filepath.Join(a.Dir, "policy.yaml")
		api := a.ControlPlane.GetAPIServer().Configure()
		api.Set("audit-policy-file", file).Set("audit-log-path", s.log).Set("audit-log-mode", "blocking")
		api.Set("audit-log-maxsize", "10240") // MiB: a log that is rotated at 100 loses what was counted
		api.Set("max-requests-inflight", "2000").Set("max-mutating-requests-inflight", "1000")
		return os.WriteFile(file, []byte(policy), 0o600)
	})
	return s, err
}

// requests are those of the operator so far.
type requests struct {
	reads, writes int
	// read and written by resource.
	read, written map[string]int
}

// requests reads the API server's log.
func (s *server) requests() (requests, error) {
	time.Sleep(time.Second) // for what is being written
	all := requests{read: map[string]int{}, written: map[string]int{}}
	file, err := os.Open(s.log)
	if err != nil {
		return all, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb      string `json:"verb"`
			ObjectRef struct {
				Resource    string `json:"resource"`
				Subresource string `json:"subresource"`
			} `json:"objectRef"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return all, err
		}
		resource := strings.TrimSuffix(event.ObjectRef.Resource+"/"+event.ObjectRef.Subresource, "/")
		switch event.Verb {
		case "create", "update", "patch", "delete", "deletecollection":
			all.writes++
			all.written[resource]++
		default:
			all.reads++
			all.read[event.Verb+" "+resource]++
		}
	}
	return all, lines.Err()
}

// kinds says how often each resource was asked for since before, for each of n.
func kinds(before, after map[string]int, n int) string {
	var words []string
	for resource, times := range after {
		if each := float64(times-before[resource]) / float64(n); each >= 0.05 {
			words = append(words, fmt.Sprintf("%.1f %s", each, resource))
		}
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
