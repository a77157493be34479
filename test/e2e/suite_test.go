// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e runs the operator as users do: on a real cluster of one node, which is this
// machine, over real images on a real volume. hack/e2e.sh starts that cluster and runs the specs
// side by side, each in a namespace of its own. Specs that break something that all share are
// labelled faults and run alone.
//
// That the node is this machine is what the specs stand on: they see the processes of scan pods
// from outside, stop and kill them, and put files on volumes as their owners would.
package e2e

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	// kubeconfigVariable names the file that leads to the cluster.
	kubeconfigVariable = "KUBECONFIG"
	// clusterVariable holds the development cluster's name, for stopping parts of it.
	clusterVariable = "SIFSCAN_E2E_CLUSTER"
)

// pollClosely is for what must be seen within a fraction of a second.
const pollClosely = 20 * time.Millisecond

var (
	ctx        = context.Background()
	restConfig *rest.Config
	scheme     = runtime.NewScheme()
	// admin may do everything and reads past every cache.
	admin client.WithWatch
)

func TestEndToEnd(t *testing.T) {
	for _, name := range []string{kubeconfigVariable, clusterVariable} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set: run make test-e2e, which starts a cluster for these tests", name)
		}
	}
	// A scan takes a few seconds where nothing else runs; several start at a time here.
	SetDefaultEventuallyTimeout(2 * time.Minute)
	SetDefaultEventuallyPollingInterval(250 * time.Millisecond)
	SetDefaultConsistentlyPollingInterval(250 * time.Millisecond)
	RegisterFailHandler(Fail)
	RunSpecs(t, "SIFScan operator on a real kubelet")
}

// The images are made once, by one of the processes that run specs.
var _ = SynchronizedBeforeSuite(func() []byte {
	dir, err := os.MkdirTemp("", "sifscan-e2e-images-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	makeImages(dir)
	return []byte(dir)
}, func(dir []byte) {
	imageDir = string(dir)
	Expect(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))).To(Succeed())
	var err error
	restConfig, err = clientcmd.BuildConfigFromFlags("", os.Getenv(kubeconfigVariable))
	Expect(err).NotTo(HaveOccurred())
	restConfig.QPS, restConfig.Burst = 200, 200
	admin, err = client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})
