// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// engineFlags say where the programs of engines come from, and how qscanner reaches its platform.
type engineFlags struct {
	qscanner sifscan.QscannerConfig
	javaDB   v1alpha1.DatabaseSource
	waits    string
	trivy    sifscan.Binary
}

// add defines the flags.
func (f *engineFlags) add(flags *flag.FlagSet) {
	q := &f.qscanner
	addBinary(flags, "qscanner", &q.Binary)
	flags.StringVar(&q.GatewayURL, "qscanner-gateway-url", "", "URL that qscanner asks instead of the platform that a SIFScan names")
	flags.StringVar(&q.Proxy, "qscanner-proxy", "", "URL of the HTTP proxy to the platform, without a password")
	flags.StringVar(&q.CAConfigMap, "qscanner-ca-configmap", "", "ConfigMap in each namespace of scans whose key ca.crt holds the PEM certificates that qscanner trusts")
	flags.StringVar(&f.javaDB.ClaimName, "qscanner-java-db-claim", "", "claim that holds trivy-java.db in each namespace that has one of this name; elsewhere qscanner downloads it")
	flags.StringVar(&f.javaDB.Path, "qscanner-java-db-path", "", "its directory on that claim [the volume's root]")
	flags.StringVar(&f.waits, "qscanner-report-waits", "", "waits, separated by commas, before qscanner is run again for a report that its platform does not have yet [30s,1m,2m]")
	addBinary(flags, "trivy", &f.trivy)
}

func addBinary(flags *flag.FlagSet, engine string, b *sifscan.Binary) {
	flags.StringVar(&b.Image, engine+"-image", "", "image, by digest, that holds "+engine+"; it needs no shell")
	flags.StringVar(&b.Path, engine+"-path", "", "path of "+engine+" in that image, plain or .gz [/"+engine+"]; without the image, in the agent image")
	flags.StringVar(&b.SHA256, engine+"-sha256", "", "SHA-256 that "+engine+" must have; required without the image")
}

// configure puts the engines that were named into the operator's configuration.
func (f *engineFlags) configure(c *sifscan.OperatorConfig) error {
	q := &f.qscanner
	if named(&q.Binary, "/qscanner") {
		for _, word := range strings.FieldsFunc(f.waits, func(r rune) bool { return r == ',' }) {
			d, err := time.ParseDuration(word)
			if err != nil || d <= 0 {
				return fmt.Errorf("--qscanner-report-waits %q: use durations such as 30s,1m", f.waits)
			}
			q.ReportWaits = append(q.ReportWaits, d)
		}
		if f.javaDB.ClaimName != "" {
			q.JavaDB = &f.javaDB
		}
		if err := q.Check(); err != nil {
			return fmt.Errorf("--qscanner-…: %w", err)
		}
		c.Qscanner = q
	}
	if named(&f.trivy, "/trivy") {
		if err := f.trivy.Check(); err != nil {
			return fmt.Errorf("--trivy-…: %w", err)
		}
		c.Trivy = &f.trivy
	}
	return nil
}

// named tells whether a binary was named, and fills in its usual path.
func named(b *sifscan.Binary, usual string) bool {
	if b.Image == "" && b.Path == "" {
		return false
	}
	b.Path = cmp.Or(b.Path, usual)
	return true
}
