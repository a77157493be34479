// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// leftovers are what a run of a scan leaves on nodes: its Job, its account and the account's rights.
func leftovers(scan *v1alpha1.SIFScan, run string) []client.Object {
	labels, account := nodeLabelsOf(scan, run), nodeAccount(scan.UID, run)
	return []client.Object{
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: NodeScansNamespace, Name: account, UID: "job-uid", Labels: labels}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: NodeScansNamespace, Name: account, Labels: labels}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: scan.Namespace, Name: bindingPrefix + account, Labels: labels}},
	}
}

// sweptServer begins an API server in whose cache SIFScans are found by their UID.
func sweptServer(t *testing.T) *fake.ClientBuilder {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.SIFScan{}, indexUID, byUID)
}

func TestWhatNobodyWantsOnNodesIsRemovedAtTheStartAndEveryTenMinutes(t *testing.T) {
	wanted := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	deleted := wanted.DeepCopy()
	deleted.Name, deleted.UID = "deleted", "de1e7ed0-0000-4000-8000-000000000000"
	kept, old, gone := leftovers(wanted, RunID(wanted)), leftovers(wanted, "v1-00000000000000aa"), leftovers(deleted, RunID(deleted))

	synctest.Test(t, func(t *testing.T) {
		server := sweptServer(t).WithObjects(wanted).WithObjects(kept...).Build()
		there := func(objects []client.Object) (n int) {
			for _, o := range objects {
				if server.Get(t.Context(), client.ObjectKeyFromObject(o), o.DeepCopyObject().(client.Object)) == nil {
					n++
				}
			}
			return n
		}
		leave := func(objects []client.Object) {
			for _, o := range objects {
				if err := server.Create(t.Context(), o.DeepCopyObject().(client.Object)); err != nil {
					t.Fatal(err)
				}
			}
		}
		leave(old)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- sweeper{&Reconciler{Client: cacheOf(server), Live: server, Clock: clock.RealClock{}, Config: nodeConfig()}}.run(ctx)
		}()
		synctest.Wait()
		if n := there(old); n != 0 {
			t.Errorf("of another run %d objects are left after the start", n)
		}
		leave(gone) // and no event tells
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		if n := there(gone); n != len(gone) {
			t.Errorf("%d objects are left before the time: the test shows nothing", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := there(gone); n != 0 {
			t.Errorf("of a deleted SIFScan %d objects are left after ten minutes", n)
		}
		if n := there(kept); n != len(kept) {
			t.Errorf("of what is wanted %d of %d objects are left", n, len(kept))
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// stubborn refuses to delete what has one of some names.
func stubborn(names ...string) interceptor.Funcs {
	return interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
		if slices.Contains(names, o.GetName()) {
			return fmt.Errorf("%s stays", o.GetName())
		}
		return c.Delete(ctx, o, opts...)
	}}
}

func TestWhatCannotBeRemovedFromNodesKeepsNothingElseThere(t *testing.T) {
	scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	var objects []client.Object
	var stay []string
	for i := range 60 {
		run := fmt.Sprintf("v1-%016x", i)
		objects = append(objects, leftovers(scan, run)...)
		if i%2 == 0 {
			stay = append(stay, nodeAccount(scan.UID, run))
		}
	}
	server := sweptServer(t).WithObjects(objects...).WithInterceptorFuncs(stubborn(stay...)).Build()
	err := sweeper{&Reconciler{Client: cacheOf(server), Live: server, Config: nodeConfig()}}.sweep(t.Context(), types.NamespacedName{})

	for _, o := range objects {
		name := o.GetName()
		there := server.Get(t.Context(), client.ObjectKeyFromObject(o), o) == nil
		if refused := slices.Contains(stay, name); there != refused {
			t.Errorf("%T %s: there %v, refused %v", o, name, there, refused)
		}
	}
	if err == nil || !strings.Contains(err.Error(), stay[0]+" stays") || !strings.Contains(err.Error(), "50 more") {
		t.Fatalf("%v", err)
	}
	if lines := strings.Count(err.Error(), "\n"); lines > maxTroubles {
		t.Errorf("the error has %d lines", lines)
	}
}

func TestOfARunThatIsOverTheAccountIsRemovedAndTheJobStaysItsTime(t *testing.T) {
	for _, tc := range []struct {
		name string
		run  string
		want bool
	}{{"it is over", "", false}, {"another was before it", "v1-00000000000000aa", true}} {
		scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
		run := RunID(scan)
		if tc.run == "" {
			tc.run = run
		}
		scan.Status.RunID, scan.Status.CompletionTime = tc.run, &metav1.Time{Time: epoch}
		left := leftovers(scan, run)
		server := sweptServer(t).WithStatusSubresource(scan).WithObjects(scan).WithObjects(left...).Build()
		if err := (sweeper{&Reconciler{Client: cacheOf(server), Live: server, Config: nodeConfig()}}).sweep(t.Context(), types.NamespacedName{}); err != nil {
			t.Fatal(err)
		}
		for _, o := range left {
			_, isJob := o.(*batchv1.Job)
			there := server.Get(t.Context(), client.ObjectKeyFromObject(o), o) == nil
			if want := isJob || tc.want; there != want {
				t.Errorf("%s: %T is there: %t, want %t", tc.name, o, there, want)
			}
		}
	}
}
