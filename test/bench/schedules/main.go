// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command schedules measures the ScanSchedule controller against a real API server: what a look
// costs with 10,000 ScanSchedules, and how many requests it makes while nothing is due.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/scanschedule"
	"github.com/sifscan/sifscan-operator/test/bench/apiserver"
)

func main() {
	n := flag.Int("schedules", 10_000, "ScanSchedules to make")
	idle := flag.Duration("idle", 120*time.Second, "how long requests are counted while nothing is due")
	flag.Parse()
	if err := run(context.Background(), *n, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "schedules:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n int, idle time.Duration) (err error) {
	ctrl.SetLogger(logr.Discard())
	control, err := apiserver.Start(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Stop()) }()
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if err := fill(ctx, control.Config, scheme, n); err != nil {
		return err
	}

	counted := rest.CopyConfig(control.Config)
	counted.QPS, counted.Burst = 1000, 2000 // the client's own limit is not what is measured
	var requests atomic.Int64
	counted.Wrap(func(inner http.RoundTripper) http.RoundTripper { return counter{inner, &requests} })
	mgr, err := ctrl.NewManager(counted, ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		return err
	}
	looks := &looks{Client: mgr.GetClient(), last: time.Now()}
	err = (&scanschedule.Reconciler{
		Client: looks, Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("bench"), Clock: clock.RealClock{},
	}).SetupWithManager(mgr)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(running) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()

	before := usage()
	looks.settle(int64(n))
	after := usage()
	made := looks.count()
	fmt.Printf("%d ScanSchedules: %d looks, %d requests; a look with its status write costs %.0f µs of CPU and %.0f KiB of allocations\n",
		n, made, requests.Load(), float64(after.cpu-before.cpu)/float64(made)/1e3, float64(after.allocated-before.allocated)/float64(made)/1024)

	quiet := requests.Load()
	time.Sleep(idle)
	fmt.Printf("idle for %s: %d requests, %.2f s of CPU, peak memory %d MiB\n", idle, requests.Load()-quiet, (usage().cpu - after.cpu).Seconds(), usage().peak>>20)
	return nil
}

// fill makes schedules that are due once a year, which is not soon.
func fill(ctx context.Context, config *rest.Config, scheme *k8sruntime.Scheme, n int) error {
	fast := rest.CopyConfig(config)
	fast.QPS, fast.Burst = 1000, 2000
	api, err := client.New(fast, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	if err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hpc"}}); err != nil {
		return err
	}
	far := time.Now().AddDate(0, 6, 0)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range n {
		group.Go(func() error {
			return api.Create(ctx, &v1alpha1.ScanSchedule{
				ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: fmt.Sprintf("nightly-%05d", i)},
				Spec: v1alpha1.ScanScheduleSpec{
					Schedule: fmt.Sprintf("30 1 1 %d *", far.Month()), Jitter: &metav1.Duration{Duration: time.Hour},
					Template: v1alpha1.SIFScanTemplate{Spec: v1alpha1.SIFScanSpec{
						Target: v1alpha1.Target{Volume: &v1alpha1.VolumeTarget{ClaimName: "shared", MountPath: "/shared"}},
					}},
				},
			})
		})
	}
	return group.Wait()
}

// counter counts requests.
type counter struct {
	inner http.RoundTripper
	n     *atomic.Int64
}

func (c counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.inner.RoundTrip(r)
}

// looks counts reconciles by their first read.
type looks struct {
	client.Client
	mu   sync.Mutex
	n    int64
	last time.Time
}

func (l *looks) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	l.mu.Lock()
	l.n++
	l.last = time.Now()
	l.mu.Unlock()
	return l.Client.Get(ctx, key, obj, opts...)
}

func (l *looks) count() int64 { l.mu.Lock(); defer l.mu.Unlock(); return l.n }

// settle waits until every schedule was looked at and no look came for five seconds.
func (l *looks) settle(n int64) {
	for {
		time.Sleep(time.Second)
		l.mu.Lock()
		done := l.n >= n && time.Since(l.last) > 5*time.Second
		l.mu.Unlock()
		if done {
			return
		}
	}
}

type spent struct {
	cpu             time.Duration
	allocated, peak uint64
}

// usage is what this process took until now; the API server is another one.
func usage() spent {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err) // a wrong constant
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return spent{time.Duration(r.Utime.Nano() + r.Stime.Nano()), m.TotalAlloc, uint64(r.Maxrss) << 10}
}
