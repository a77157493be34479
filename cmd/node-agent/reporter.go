// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/reporter"
)

// requestTimeout of one API call. An API server that went away without a word must not hold
// the reporter: the call is tried again.
const requestTimeout = 15 * time.Second

// reporterFlags are set by the operator.
type reporterFlags struct {
	options           reporter.Options
	results, state    string
	namespace         string
	nodeWorker        int32
	claims            []string
	artifacts, rescan string
	volume            reporter.Volume
}

func reporterCommand() *cobra.Command {
	var f reporterFlags
	c := &cobra.Command{
		Use:    "reporter",
		Short:  "Upload what the scanner of the same pod finds",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE:   failing(func(c *cobra.Command, _ []string) error { return f.run(c) }),
	}
	f.add(c.Flags())
	for _, name := range []string{"results-dir", "state-dir", "scan-name", "scan-uid", "run", "job-name"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that add does not define
		}
	}
	return c
}

// add defines the flags.
func (f *reporterFlags) add(flags *pflag.FlagSet) {
	o, v := &f.options, &f.volume
	flags.StringVar(&f.results, "results-dir", "", "directory the scanner writes")
	flags.StringVar(&f.state, "state-dir", "", "directory the scanner reads")
	flags.StringVar(&o.ScanName, "scan-name", "", "name of the SIFScan")
	flags.StringVar(&o.ScanUID, "scan-uid", "", "UID of the SIFScan")
	flags.StringVar(&o.Run, "run", "", "id of the run")
	flags.StringVar(&f.namespace, "namespace", "", "namespace of the SIFScan, where it is not the pod's")
	flags.Int32Var(&f.nodeWorker, "node-worker", -1, "worker that this pod is in a scan of nodes, where each has a Job of its own")
	flags.Int32Var(&o.Workers, "workers", 1, "number of workers that share the targets of the run")
	flags.StringVar(&o.Job, "job-name", "", "name of the Job, which inventories are named after")
	flags.StringArrayVar(&f.claims, "claim", nil, "NAME=UID=SUBPATH of a PersistentVolumeClaim, in the order of the scanner's volumes (repeatable)")
	flags.StringVar(&o.Engine, "engine", native.Name, "engine of the reports")
	flags.StringSliceVar(&o.ScanTypes, "scan-types", defaultScanTypes, "scan types of the reports")
	flags.StringVar(&f.artifacts, "artifacts", string(v1alpha1.ArtifactsConfigMap), "where documents are kept: ConfigMap, Volume or None")
	flags.StringVar(&v.Dir, "reports-dir", "", "directory that the claim for documents is mounted at")
	flags.StringVar(&v.ClaimUID, "reports-claim-uid", "", "UID of that claim")
	flags.StringVar(&v.SubPath, "reports-sub-path", "", "folder of it that documents are kept in")
	flags.IntVar(&o.MaxFindings, "max-findings", 20, "findings listed in a ScanReport")
	flags.StringVar(&o.Scope, "scope", "", "name of what the SIFScan looks for, noted on every report")
	flags.StringVar(&f.rescan, "rescan", string(v1alpha1.RescanWhenChanged), "WhenChanged or Always")
}

func (f *reporterFlags) run(c *cobra.Command) error {
	if err := f.complete(); err != nil {
		return err
	}
	api, err := apiClient()
	if err != nil {
		return err
	}
	err = reporter.Run(c.Context(), api, f.results, f.state, f.options, newLog(c.ErrOrStderr()))
	if handover.Crashed(f.results) {
		err = errors.Join(errScannerCrashed, err)
	}
	return err
}

// complete fills in the options that no flag is, and checks them.
func (f *reporterFlags) complete() (err error) {
	o := &f.options
	o.Artifacts = v1alpha1.ArtifactStore(f.artifacts)
	o.Rescan = v1alpha1.RescanPolicy(f.rescan)
	o.Namespace, o.Node, o.PodUID = cmp.Or(f.namespace, os.Getenv("POD_NAMESPACE")), os.Getenv("NODE_NAME"), os.Getenv("POD_UID")
	if o.Worker = f.nodeWorker; f.nodeWorker < 0 {
		if o.Worker, err = workerIndex(o.Workers); err != nil {
			return err
		}
	}
	for _, claim := range f.claims {
		name, rest, _ := strings.Cut(claim, "=")
		uid, subPath, ok := strings.Cut(rest, "=")
		if !ok {
			return usageError{fmt.Errorf("--claim %q: use NAME=UID=SUBPATH", claim)}
		}
		o.Claims = append(o.Claims, reporter.Claim{Name: name, UID: uid, SubPath: subPath})
	}
	o.ScanTypes = slices.Sorted(slices.Values(o.ScanTypes))
	if o.Artifacts == v1alpha1.ArtifactsVolume {
		if f.volume.Dir == "" || f.volume.ClaimUID == "" {
			return usageError{errors.New("--artifacts=Volume needs --reports-dir and --reports-claim-uid")}
		}
		o.Volume = &f.volume
	}
	return nil
}

// workerIndex is which of the workers of a run this pod is: the Job controller tells each its index.
func workerIndex(workers int32) (int32, error) {
	if workers < 1 {
		return 0, usageError{fmt.Errorf("--workers=%d: a run has at least one", workers)}
	}
	text := os.Getenv("JOB_COMPLETION_INDEX")
	if text == "" && workers == 1 {
		return 0, nil
	}
	index, err := strconv.ParseInt(text, 10, 32)
	if err != nil || index < 0 || int32(index) >= workers {
		return 0, usageError{fmt.Errorf("JOB_COMPLETION_INDEX=%q: it is not one of %d workers", text, workers)}
	}
	return int32(index), nil
}

// apiClient is a client without a cache, with the token that only the reporter's container holds.
func apiClient() (client.Client, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	config.Timeout = requestTimeout
	// client-go's defaults, stated: a scan of thousands of small images writes no faster than
	// an API server that serves others too should take from one pod.
	config.QPS, config.Burst = 5, 10
	config.UserAgent = "sifscan-reporter"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, metav1.AddMetaToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme})
}
