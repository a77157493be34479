// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/reporter"
)

// requestTimeout of one API call. An API server that went away without a word must not hold
// the reporter: the call is tried again.
const requestTimeout = 15 * time.Second

func reporterCommand() *cobra.Command {
	var results, state, artifacts, rescan string
	var maxFindings int
	o := reporter.Options{}
	c := &cobra.Command{
		Use:    "reporter",
		Short:  "Upload what the scanner of the same pod finds",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: failing(func(c *cobra.Command, _ []string) error {
			o.MaxFindings = &maxFindings
			o.Artifacts = v1alpha1.ArtifactStore(artifacts)
			o.Rescan = v1alpha1.RescanPolicy(rescan)
			o.Namespace, o.Node = os.Getenv("POD_NAMESPACE"), os.Getenv("NODE_NAME")
			if index := os.Getenv("JOB_COMPLETION_INDEX"); index != "" {
				n, err := strconv.ParseInt(index, 10, 32)
				if err != nil {
					return usageError{fmt.Errorf("JOB_COMPLETION_INDEX: %w", err)}
				}
				o.Worker = int32(n)
			}
			o.ScanTypes = slices.Sorted(slices.Values(o.ScanTypes))
			api, err := apiClient()
			if err != nil {
				return err
			}
			return reporter.Run(c.Context(), api, results, state, o, newLog(c.ErrOrStderr()))
		}),
	}
	flags := c.Flags()
	flags.StringVar(&results, "results-dir", "", "directory the scanner writes")
	flags.StringVar(&state, "state-dir", "", "directory the scanner reads")
	flags.StringVar(&o.ScanName, "scan-name", "", "name of the SIFScan")
	flags.StringVar(&o.ScanUID, "scan-uid", "", "UID of the SIFScan")
	flags.StringVar(&o.Run, "run", "", "id of the run")
	flags.StringVar(&o.Job, "job-name", "", "name of the Job, which inventories are named after")
	flags.StringVar(&o.ClaimName, "claim-name", "", "name of the PersistentVolumeClaim")
	flags.StringVar(&o.ClaimUID, "claim-uid", "", "UID of the PersistentVolumeClaim")
	flags.StringVar(&o.SubPath, "sub-path", "", "folder of the volume that is scanned")
	flags.StringVar(&o.Engine, "engine", native.Name, "engine of the reports")
	flags.StringSliceVar(&o.ScanTypes, "scan-types", defaultScanTypes, "scan types of the reports")
	flags.StringVar(&artifacts, "artifacts", string(v1alpha1.ArtifactsConfigMap), "where documents are kept: ConfigMap or None")
	flags.IntVar(&maxFindings, "max-findings", 20, "findings listed in a ScanReport")
	flags.StringVar(&rescan, "rescan", string(v1alpha1.RescanWhenChanged), "WhenChanged or Always")
	for _, name := range []string{"results-dir", "state-dir", "scan-name", "scan-uid", "run", "job-name", "claim-name", "claim-uid"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not defined above
		}
	}
	return c
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
