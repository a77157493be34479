// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eachPage lists what others own, or what no cache holds, page by page; what names it in the error. Every page is
// a list made anew: decoded into a used one, an object would keep what the one before it had there.
func eachPage[L client.ObjectList](ctx context.Context, from client.Reader, what string, size int64, empty func() L, fn func(L) error, opts ...client.ListOption) error {
	for next := ""; ; {
		page := empty()
		if err := from.List(ctx, page, append(slices.Clone(opts), client.Limit(size), client.Continue(next))...); err != nil {
			return fmt.Errorf("list %s: %w", what, err)
		}
		if err := fn(page); err != nil {
			return err
		}
		if next = page.GetContinue(); next == "" {
			return nil
		}
	}
}
