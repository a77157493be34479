// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// scannerUser is the user of the scanner's container: that of the agent's image.
const scannerUser = 65532

func openerCommand() *cobra.Command {
	var socket string
	var pods []string
	var user uint32
	c := &cobra.Command{
		Use:    "opener",
		Short:  "Hand out what running containers were started from to the scanner of the same pod",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: failing(func(c *cobra.Command, _ []string) error {
			if err := idle(); err != nil {
				return err
			}
			err := opener.Serve(c.Context(), socket, user, opener.NewNode(process.Node(), pods), newLog(c.ErrOrStderr()))
			if c.Context().Err() != nil {
				return nil // the kubelet ends a sidecar
			}
			return err
		}),
	}
	flags := c.Flags()
	flags.StringVar(&socket, "socket", "", "where to listen")
	flags.StringArrayVar(&pods, "pod-uid", nil, "show only containers in this pod (repeatable)")
	flags.Uint32Var(&user, "peer-uid", scannerUser, "user id of the scanner")
	if err := c.MarkFlagRequired("socket"); err != nil {
		panic(err) // a flag that is not defined above
	}
	return c
}
