// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestIdentityOverride(t *testing.T) {
	base := Identity{User: 65532, Group: 65532, SupplementalGroups: []int64{1}}
	for _, tc := range []struct {
		name        string
		annotations map[string]string
		want        Identity
		err         string
	}{
		{"no annotation changes nothing", map[string]string{"example.com/run-as-user": "0"}, base, ""},
		{"each annotation changes its own", map[string]string{v1alpha1.AnnotationRunAsUser: "4242"}, Identity{4242, 65532, []int64{1}}, ""},
		{"all three", map[string]string{v1alpha1.AnnotationRunAsUser: "4242", v1alpha1.AnnotationRunAsGroup: "0", v1alpha1.AnnotationSupplementalGroups: "100, 200"},
			Identity{4242, 0, []int64{100, 200}}, ""},
		{"an empty list takes the groups away", map[string]string{v1alpha1.AnnotationSupplementalGroups: ""}, Identity{65532, 65532, nil}, ""},
		{"root is refused", map[string]string{v1alpha1.AnnotationRunAsUser: "0"}, base, `sifscan.io/run-as-user: "0" is not a number from 1 to 2147483647`},
		{"a name is refused", map[string]string{v1alpha1.AnnotationRunAsGroup: "hpc"}, base, `sifscan.io/run-as-group: "hpc"`},
		{"more than Kubernetes takes is refused", map[string]string{v1alpha1.AnnotationRunAsUser: "2147483648"}, base, "2147483648"},
		{"a hole in the list is refused", map[string]string{v1alpha1.AnnotationSupplementalGroups: "1,,2"}, base, `"" is not a number`},
		{"more groups than anybody has are refused", map[string]string{v1alpha1.AnnotationSupplementalGroups: strings.Repeat("1,", 64) + "1"}, base, "65 groups"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := base.Override(tc.annotations)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANamespaceThatTheCacheDoesNotShowDecidesNothing(t *testing.T) {
	broken := interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return errors.New("the cache is not there")
	}}
	for name, tc := range map[string]struct {
		api   client.WithWatch
		fails bool // what is asked of a SIFScan
	}{
		"it is new": {fake.NewClientBuilder().Build(), false},
		"no answer": {fake.NewClientBuilder().WithInterceptorFuncs(broken).Build(), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{Client: cacheOf(tc.api)}
			if id, err := r.identity(t.Context(), "hpc"); err == nil {
				t.Errorf("its pods run as %+v, which its annotations may not say", id)
			}
			if going, err := r.going(t.Context(), makeScan().obj()); going || (err != nil) != tc.fails {
				t.Errorf("going: %t, %v", going, err)
			}
		})
	}
}
