// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync/atomic"
	"syscall"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/cmd/garbage"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/reporter"
)

// assignment is what a reporter is told. The agent's own would look for the API server as a pod does,
// below /var/run/secrets.
type assignment struct {
	Kubeconfig, Results, State string
	Scan                       string
	// Calls is where the reporter writes its calls.
	Calls string
	// Documents is the volume for documents; empty: ConfigMaps.
	Documents string
	// Profile is where the reporter writes a profile of its CPU; empty: nowhere.
	Profile string
}

// keep says where documents go.
func (a *assignment) keep(o *reporter.Options) {
	if a.Documents == "" {
		o.Artifacts = v1alpha1.ArtifactsConfigMap
		return
	}
	o.Artifacts, o.Volume = v1alpha1.ArtifactsVolume, &reporter.Volume{Dir: a.Documents, ClaimUID: "uid-of-documents"}
}

// calls that a reporter made to the API server.
type calls struct{ Reads, Writes int }

// beReporter is the process that the reporter runs in, with the settings of a SIFScan that has no more
// than a target.
func beReporter(text string) error {
	var a assignment
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return err
	}
	garbage.Pace() // as the agent does
	if a.Profile != "" {
		file, err := os.Create(a.Profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", a.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 2000, 4000 // the client's own limit is not what is measured
	counter := &counter{}
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper {
		counter.inner = inner
		return counter
	})
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), metav1.AddMetaToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	o := reporter.Options{
		Namespace: namespace, Node: "node-1", ScanName: a.Scan, ScanUID: "uid-of-" + a.Scan, Run: a.Scan, Job: a.Scan,
		Claims: []reporter.Claim{{Name: claim, UID: "uid-of-" + claim}},
		Engine: native.Name, ScanTypes: []string{"fileinsight", "pkg"},
		MaxFindings: 20, Rescan: v1alpha1.RescanWhenChanged,
	}
	a.keep(&o)
	if err := reporter.Run(ctx, api, a.Results, a.State, o, logr.Discard()); err != nil {
		return err
	}
	said, err := json.Marshal(calls{int(counter.reads.Load()), int(counter.writes.Load())})
	if err != nil {
		return err
	}
	return os.WriteFile(a.Calls, said, 0o600)
}

// counter counts requests.
type counter struct {
	inner         http.RoundTripper
	reads, writes atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		c.reads.Add(1)
	} else {
		c.writes.Add(1)
	}
	return c.inner.RoundTrip(r)
}
