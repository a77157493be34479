// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Metrics of all ScanSchedules together: names of namespaces and schedules would grow without bound.
var (
	runs = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sifscan_schedule_runs_total", Help: "Runs that ScanSchedules started.",
	})
	missed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sifscan_schedule_missed_total", Help: "Runs that did not start because they were too late, or a later one was due.",
	})
	lateness = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "sifscan_schedule_lateness_seconds", Help: "Time from when a run was due, jitter included, to its start.",
		Buckets: []float64{1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600},
	})
)

func init() { metrics.Registry.MustRegister(runs, missed, lateness) }
