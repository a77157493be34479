// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager is the operator: it watches SIFScans and runs their Jobs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/cmd/garbage"
	"github.com/sifscan/sifscan-operator/controllers/scanschedule"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// version is set when the binary is linked.
var version = "unknown"

// recorder is the reporting controller of the operator's Events.
const recorder = "sifscan.io/operator"

// shutdownTimeout is how long running reconciles may take once the operator is told to end. A
// Deployment gives its pods 30 s.
const shutdownTimeout = 20 * time.Second

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "manager:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.log)))
	ctrl.Log.Info("starting", "version", version, "agentImage", o.operator.AgentImage)

	garbage.Pace()
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	mgr, err := ctrl.NewManager(config, o.manager())
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	reconciler := &sifscan.Reconciler{
		Client: mgr.GetClient(),
		Live:   mgr.GetAPIReader(),
		Events: mgr.GetEventRecorder(recorder),
		Clock:  clock.RealClock{},
		Config: o.operator,
	}
	if err := reconciler.SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("set up the SIFScan controller: %w", err)
	}
	schedules := &scanschedule.Reconciler{
		Client: mgr.GetClient(),
		Live:   mgr.GetAPIReader(),
		Events: mgr.GetEventRecorder(recorder),
		Clock:  clock.RealClock{},

		NodeScans: o.operator.NodeScans != nil,
	}
	if err := schedules.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up the ScanSchedule controller: %w", err)
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping)); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// manager returns the options of the manager.
func (o *options) manager() ctrl.Options {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // two kinds under one name: a defect of the build
		}
	}
	timeout := shutdownTimeout
	return ctrl.Options{
		Scheme:                  scheme,
		Cache:                   sifscan.Caches(),
		Metrics:                 server.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:  o.healthAddress,
		PprofBindAddress:        o.profilingAddress,
		LeaderElection:          o.leaderElection,
		LeaderElectionID:        "manager.sifscan.io",
		GracefulShutdownTimeout: &timeout,
		// The process ends right after Start returns, so the next leader need not wait for the
		// lease to expire.
		LeaderElectionReleaseOnCancel: true,
	}
}
