// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

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
