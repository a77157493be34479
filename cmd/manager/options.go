// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// options are the manager's flags.
type options struct {
	operator       sifscan.OperatorConfig
	leaderElection bool
	metricsAddress string
	healthAddress  string
	// profilingAddress is empty for none.
	profilingAddress string
	log              zap.Options
}

// parse reads the command line. Identities are given in the form of the Namespace annotations
// that override them, and are checked by the same code.
func parse(args []string) (*options, error) {
	o := &options{}
	var user, group, groups string
	var database v1alpha1.DatabaseSource
	var engines engineFlags
	var nodes nodeFlags
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.StringVar(&o.operator.AgentImage, "agent-image", "", "image of the node agent, which runs in every scan pod (required)")
	flags.StringVar(&user, "run-as-user", "65532", "user id that reads volumes; a Namespace's annotation "+v1alpha1.AnnotationRunAsUser+" overrides it")
	flags.StringVar(&group, "run-as-group", "65532", "group id that reads volumes; "+v1alpha1.AnnotationRunAsGroup+" overrides it")
	flags.StringVar(&groups, "supplemental-groups", "", "more group ids, separated by commas; "+v1alpha1.AnnotationSupplementalGroups+" overrides them")
	flags.BoolVar(&o.leaderElection, "leader-elect", false, "let one of several managers be at work at a time")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", `address of the metrics, "0" for none`)
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", `address of /healthz and /readyz, "0" for none`)
	flags.StringVar(&database.ClaimName, "database-claim", "", "claim that holds the default vulnerability database in each namespace that has one of this name")
	flags.StringVar(&database.Path, "database-path", "osv.db", "path of the database on that claim")
	flags.StringVar(&o.operator.RegistryCAConfigMap, "registry-ca-configmap", "", "ConfigMap in each namespace of scans whose key ca.crt holds the PEM certificates of registries that scans trust")
	flags.StringVar(&o.profilingAddress, "pprof-bind-address", "", "address of Go's profiles for whoever reaches it, such as localhost:6060; empty: none")
	addLimits(flags, &o.operator)
	engines.add(flags)
	nodes.add(flags)
	o.log.BindFlags(flags)
	config.RegisterFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.operator.AgentImage == "" {
		return nil, errors.New("--agent-image is missing: name the image of the node agent")
	}
	id, err := sifscan.Identity{}.Override(map[string]string{
		v1alpha1.AnnotationRunAsUser:          user,
		v1alpha1.AnnotationRunAsGroup:         group,
		v1alpha1.AnnotationSupplementalGroups: groups,
	})
	if err != nil {
		return nil, fmt.Errorf("--run-as-user, --run-as-group, --supplemental-groups: %w", err)
	}
	o.operator.Identity = id
	if database.ClaimName != "" {
		o.operator.Database = &database
	}
	return o, errors.Join(checkLimits(&o.operator), engines.configure(&o.operator), nodes.configure(&o.operator))
}
