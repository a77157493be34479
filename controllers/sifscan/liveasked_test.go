// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/nodepolicy"
)

func TestNoRunBeginsWhereTheOperatorCannotReadThePolicy(t *testing.T) {
	for name, c := range map[string]struct {
		answer              error
		stalled, ends, held bool
	}{
		"it may not":                     {apierrors.NewForbidden(schema.GroupResource{}, nodepolicy.Name, errors.New("no")), true, false, true},
		"it is not there":                {apierrors.NewNotFound(schema.GroupResource{}, nodepolicy.Name), false, true, true},
		"the API server has no answer":   {apierrors.NewInternalError(errors.New("etcd")), false, false, false},
		"the connection broke meanwhile": {errors.New("EOF"), false, false, false},
	} {
		live := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return c.answer
			},
		}).Build()
		scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
		err := (&Reconciler{Live: live}).checkAsked(t.Context(), &pass{scan: scan, now: time.Now()})
		var h *hold
		if held := errors.As(err, &h); err == nil || held != c.held {
			t.Errorf("%s: %v", name, err)
		} else if held && (h.reason != v1alpha1.ReasonNotAllowed || h.stalled != c.stalled || h.ends != c.ends || (h.retry > 0) != c.stalled) {
			t.Errorf("%s: %+v", name, h)
		}
	}
}
