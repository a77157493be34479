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
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// operatorUser is whom the API server takes the operator for.
const operatorUser = "operator"

// policy has the API server write down every request of the operator. Watches are one request for all that they bring.
const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [watch]
- level: Metadata
  users: [` + operatorUser + `]
- level: None
`

// server is a kube-apiserver that counts, with its etcd.
type server struct {
	*envtest.Environment
	config     *rest.Config
	kubeconfig string
	log        string
}

func startServer(dir string, scheme *k8sruntime.Scheme) (*server, error) {
	s := &server{
		Environment: &envtest.Environment{
			CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true, Scheme: scheme,
			ControlPlaneStopTimeout: 2 * time.Minute,
		},
		kubeconfig: filepath.Join(dir, "kubeconfig"), log: filepath.Join(dir, "audit.log"),
	}
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		return nil, err
	}
	api := s.ControlPlane.GetAPIServer().Configure()
	api.Set("audit-policy-file", file).Set("audit-log-path", s.log).Set("audit-log-mode", "blocking")
	api.Set("audit-log-maxsize", "10240") // MiB; the log of 10,000 scans would be rotated away under the count otherwise
	api.Set("max-requests-inflight", "2000").Set("max-mutating-requests-inflight", "1000")
	s.ControlPlane.Etcd = &envtest.Etcd{}
	s.ControlPlane.Etcd.Configure().Set("quota-backend-bytes", "8589934592")
	var err error
	if s.config, err = s.Start(); err != nil {
		return nil, fmt.Errorf("start the API server (KUBEBUILDER_ASSETS names its folder): %w", err)
	}
	user, err := s.AddUser(envtest.User{Name: operatorUser, Groups: []string{"system:masters"}}, nil)
	if err == nil {
		var text []byte
		if text, err = user.KubeConfig(); err == nil {
			err = os.WriteFile(s.kubeconfig, text, 0o600)
		}
	}
	if err != nil {
		_ = s.Stop() // the first error tells more
		return nil, err
	}
	return s, nil
}

// requests are those of the operator so far.
type requests struct {
	reads, writes int
	// written by resource.
	written map[string]int
}

// requests reads the API server's log.
func (s *server) requests() (requests, error) {
	time.Sleep(time.Second) // for what is being written
	all := requests{written: map[string]int{}}
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
		switch event.Verb {
		case "create", "update", "patch", "delete", "deletecollection":
			all.writes++
			all.written[strings.TrimSuffix(event.ObjectRef.Resource+"/"+event.ObjectRef.Subresource, "/")]++
		default:
			all.reads++
		}
	}
	return all, lines.Err()
}

// kinds says what was written since before, for each of n.
func (r requests) kinds(before requests, n int) string {
	var words []string
	for resource, times := range r.written {
		if each := float64(times-before.written[resource]) / float64(n); each >= 0.05 {
			words = append(words, fmt.Sprintf("%.1f %s", each, resource))
		}
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
