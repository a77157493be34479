// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// overwrite makes the report that is stored in obj's version obj. It is a conflict where another version is stored by now.
func (r *Reporter) overwrite(ctx context.Context, obj *v1alpha1.ScanReport) error {
	text, err := overwriting(obj)
	if err != nil {
		return &refused{err.Error()}
	}
	return r.patch(ctx, obj.Name, types.JSONPatchType, text)
}

// patch changes a stored report. The API server answers with its metadata: an update would be answered with all that was sent, and
// to read that took a fifteenth of the CPU of a report that is written again.
func (r *Reporter) patch(ctx context.Context, name string, kind types.PatchType, text []byte) error {
	obj := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: r.opts.Namespace, Name: name}}
	obj.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ScanReport"))
	return r.api.Patch(ctx, obj, client.RawPatch(kind, text))
}

// overwriting is the JSON patch (RFC 6902) that leaves nothing of a report but what reporters do not write. Its members are there
// or not: add does not ask.
func overwriting(obj *v1alpha1.ScanReport) ([]byte, error) {
	type operation struct {
		Do   string `json:"op"`
		Path string `json:"path"`
		With any    `json:"value"`
	}
	text, err := json.Marshal([]operation{
		{"add", "/metadata/resourceVersion", obj.ResourceVersion},
		{"add", "/metadata/labels", obj.Labels},
		{"add", "/metadata/annotations", obj.Annotations},
		{"add", "/metadata/ownerReferences", obj.OwnerReferences},
	})
	if err != nil {
		return nil, err
	}
	body, err := report.Body(&obj.Report)
	text = append(text[:len(text)-1], `,{"op":"add","path":"/report","value":`...)
	return append(append(text, body...), "}]"...), err
}
