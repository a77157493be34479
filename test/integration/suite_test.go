// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration runs the operator against a real kube-apiserver and etcd, under its own
// roles and admission policies. There is no kubelet and no Job controller: the tests play both,
// and the reporter, which they do under the reporter's account.
package integration

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/scanschedule"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// assets names the folder with etcd, kube-apiserver and kubectl.
const assets = "KUBEBUILDER_ASSETS"

var (
	control    *envtest.Environment
	restConfig *rest.Config
	scheme     = runtime.NewScheme()
	// admin may do everything and reads past every cache.
	admin client.Client
	// now is the operator's clock.
	now = &steppedClock{}
	// operator is the manager that runs during most specs.
	operator *process
)

func TestIntegration(t *testing.T) {
	if os.Getenv(assets) == "" {
		t.Fatalf("%s is not set: run make test-integration, or name a folder that holds etcd, kube-apiserver and kubectl", assets)
	}
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	SetDefaultConsistentlyDuration(2 * time.Second)
	SetDefaultConsistentlyPollingInterval(100 * time.Millisecond)
	RegisterFailHandler(Fail)
	RunSpecs(t, "Operator on a real API server")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	Expect(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))).To(Succeed())

	control = &envtest.Environment{}
	var err error
	restConfig, err = control.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(control.Stop()).To(Succeed()) })
	restConfig.QPS, restConfig.Burst = 500, 500
	admin, err = client.New(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	kubectl("apply", "--server-side", "-k", filepath.Join("..", "..", "config", "node-scans"))
	awaitPolicies()
	awaitNodePolicy()

	operator = startOperator(nil)
	DeferCleanup(func() { operator.stop() })
})

// steppedClock is the real clock, which the API server's timestamps follow too, moved ahead by a
// test that has no time to wait.
type steppedClock struct{ ahead atomic.Int64 }

func (c *steppedClock) Now() time.Time                  { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *steppedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c *steppedClock) step(d time.Duration)            { c.ahead.Add(int64(d)) }
func (c *steppedClock) reset()                          { c.ahead.Store(0) }

// kubectl runs the real kubectl, as a user would.
func kubectl(args ...string) string {
	GinkgoHelper()
	out, err := tryKubectl(args...)
	Expect(err).NotTo(HaveOccurred(), out)
	return out
}

func tryKubectl(args ...string) (string, error) {
	GinkgoHelper()
	kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, control.KubeConfig, 0o600)).To(Succeed())
	cmd := exec.Command(filepath.Join(os.Getenv(assets), "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// process is an operator that was started.
type process struct {
	cancel context.CancelFunc
	ended  chan error
}

// startOperator starts the operator under its own account, with its own rights and caches.
// wrap, where given, stands between it and its client; changes are made to its configuration.
func startOperator(wrap func(client.WithWatch) client.Client, changes ...func(*sifscan.OperatorConfig)) *process {
	GinkgoHelper()
	account := rest.CopyConfig(restConfig)
	account.Impersonate = serviceAccount("sifscan-system", "sifscan-manager")
	skip := true
	options := ctrl.Options{
		Scheme:  scheme,
		Cache:   sifscan.Caches(),
		Metrics: server.Options{BindAddress: "0"},
		// Several managers of one process would register the same metrics twice.
		Controller: config.Controller{SkipNameValidation: &skip},
	}
	if wrap != nil {
		options.NewClient = func(c *rest.Config, o client.Options) (client.Client, error) {
			inner, err := client.NewWithWatch(c, o)
			if err != nil {
				return nil, err
			}
			return wrap(inner), nil
		}
	}
	mgr, err := ctrl.NewManager(account, options)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	configuration := sifscan.OperatorConfig{
		AgentImage:    "sifscan.io/sifscan-node-agent:dev",
		Identity:      sifscan.Identity{User: 65532, Group: 65532},
		Qscanner:      siteQscanner,
		PriorityClass: "sifscan-low",
		NodeScans:     siteNodeScans(),
	}
	for _, change := range changes {
		change(&configuration)
	}
	Expect((&sifscan.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("sifscan.io/operator"), Clock: now,
		Config: configuration,
	}).SetupWithManager(ctx, mgr)).To(Succeed())
	Expect((&scanschedule.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("sifscan.io/operator"), Clock: now,
		NodeScans: configuration.NodeScans != nil,
	}).SetupWithManager(mgr)).To(Succeed())
	p := &process{cancel: cancel, ended: make(chan error, 1)}
	go func() { p.ended <- mgr.Start(ctx) }()
	return p
}

func (p *process) stop() {
	GinkgoHelper()
	p.cancel()
	Eventually(p.ended).Should(Receive())
}
