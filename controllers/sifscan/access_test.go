// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestAccessIsLookedAtOnceInFiveSeconds(t *testing.T) {
	reads := 0
	api := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			reads++
			return c.Get(ctx, key, obj, opts...)
		},
	}).Build()
	r, now := &Reconciler{Client: cacheOf(api), Live: api}, time.Now()
	look := func(namespace string, at time.Time, wantReads int) {
		t.Helper()
		before := reads
		if err := r.ensureAccess(t.Context(), namespace, at); err != nil {
			t.Fatal(err)
		}
		if got := reads - before; got != wantReads {
			t.Errorf("%s, %s later: %d reads, want %d", namespace, at.Sub(now), got, wantReads)
		}
	}
	look("hpc", now, 2)
	look("hpc", now.Add(4*time.Second), 0)
	look("lab", now.Add(4*time.Second), 2)
	look("hpc", now.Add(5*time.Second), 2)
	look("hpc", now.Add(-time.Hour), 2) // a clock that was set back

	wrong := reporterBinding("wrong")
	wrong.RoleRef.Name = "admin"
	if err := api.Create(t.Context(), wrong); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.ensureAccess(t.Context(), "wrong", now); err == nil {
			t.Error("a wrong binding counts as right")
		}
	}
}

func TestCheckBinding(t *testing.T) {
	want := reporterBinding("hpc")
	for _, tc := range []struct {
		name   string
		change func(*rbacv1.RoleBinding)
		ok     bool
	}{
		{"just created", func(b *rbacv1.RoleBinding) { *b = rbacv1.RoleBinding{} }, true},
		{"there as it should be", func(*rbacv1.RoleBinding) {}, true},
		{"there with one subject more", func(b *rbacv1.RoleBinding) {
			b.Subjects = append([]rbacv1.Subject{{Kind: "User", Name: "a"}}, b.Subjects...)
		}, true},
		{"of another role", func(b *rbacv1.RoleBinding) { b.RoleRef.Name = "admin" }, false},
		{"of a Role of that name", func(b *rbacv1.RoleBinding) { b.RoleRef.Kind = "Role" }, false},
		{"to nobody", func(b *rbacv1.RoleBinding) { b.Subjects = nil }, false},
		{"to the account of another namespace", func(b *rbacv1.RoleBinding) { b.Subjects[0].Namespace = "other" }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			there := want.DeepCopy()
			tc.change(there)
			if err := checkBinding(there, want); (err == nil) != tc.ok {
				t.Errorf("checkBinding = %v", err)
			}
		})
	}
}
