// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

const (
	// maxDocument bounds a document that is read. An SBOM takes about 1 KiB a package; the
	// largest images seen have some 20,000.
	maxDocument = 64 << 20
	// maxConfigMap is what the values of one ConfigMap may take together: etcd refuses a request
	// above 1.5 MiB, the API server an object above 1 MiB, keys and metadata included.
	maxConfigMap = 960 << 10
)

// documents that may be kept, the most useful first: what does not fit is dropped from the end.
var documents = []struct{ name, mediaType string }{
	{"sbom.spdx.json", "application/spdx+json"},
	{"report.sarif", "application/sarif+json"},
	{"sbom.cdx.json", "application/vnd.cyclonedx+json"},
	{"inventory.json", "application/json"},
	{"report.txt", "text/plain; charset=utf-8"},
}

// collect compresses the result's documents into the ConfigMap that want will own, and tells in
// want what is kept. It returns nil where nothing is.
func (r *Reporter) collect(result *handover.Result, want *v1alpha1.ScanReport) *corev1.ConfigMap {
	data := map[string][]byte{}
	var total int64
	var parts, dropped []string
	for _, d := range documents {
		if _, err := result.Size(d.name); err != nil {
			continue // not asked for
		}
		if !r.budget.allows(total + 1) {
			dropped = append(dropped, overBudget(d.name)) // compressing it takes longer than all else that is done here
			continue
		}
		a := v1alpha1.Artifact{Name: d.name, MediaType: d.mediaType}
		p, err := pack(result, &a)
		if err != nil {
			dropped = append(dropped, fmt.Sprintf("%s (%v)", d.name, err))
			continue
		}
		switch n := p.size; {
		case total+n > maxConfigMap:
			dropped = append(dropped, fmt.Sprintf("%s (%d bytes compressed, a ConfigMap holds %d)", d.name, n, maxConfigMap))
		case !r.budget.allows(total + n):
			dropped = append(dropped, overBudget(d.name))
		default:
			data[d.name+".gz"] = p.bytes
			total += n
			parts = append(parts, d.name, a.SHA256)
			want.Report.Artifacts = append(want.Report.Artifacts, a)
		}
	}
	if len(dropped) > 0 {
		notKept(want, fmt.Sprint(dropped))
	}
	if len(data) == 0 {
		return nil
	}
	const hashLength = 10 // of one image's contents over time, not of all images
	name := v1alpha1.ArtifactPrefix + want.Name + "-" + report.Hash(hashLength, parts...)
	for i := range want.Report.Artifacts {
		want.Report.Artifacts[i].ConfigMap = name
	}
	want.Annotations[v1alpha1.AnnotationArtifacts] = fmt.Sprintf("%s/%d", name, total)
	if r.known[want.Name].artifacts != name {
		r.budget.used += total
	}
	return configMap(want, name, data)
}

func overBudget(document string) string {
	return fmt.Sprintf("%s (the namespace's budget of %d MiB is used up)", document, maxArtifactBytes>>20)
}

// configMap is immutable and named by its content: the kubelet and caches need not watch it,
// and writing it twice is writing it once.
func configMap(owner *v1alpha1.ScanReport, name string, data map[string][]byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.Namespace,
			Name:      name,
			Labels: map[string]string{
				v1alpha1.LabelManagedBy:  v1alpha1.ManagedBy,
				v1alpha1.LabelArtifactOf: owner.Name,
				v1alpha1.LabelClaim:      owner.Labels[v1alpha1.LabelClaim],
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(),
				Kind:       "ScanReport",
				Name:       owner.Name,
			}},
		},
		Immutable:  ptr.To(true),
		BinaryData: data,
	}
}

// pack compresses one document, and fills in its digest and size. What would not fit into a
// ConfigMap is measured and not held: a document of random bytes would take the reporter's memory.
func pack(result *handover.Result, a *v1alpha1.Artifact) (*packed, error) {
	f, err := result.File(a.Name, maxDocument)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := &packed{}
	sum := sha256.New()
	zip, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if a.SizeBytes, err = io.Copy(io.MultiWriter(zip, sum), f); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	a.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return out, nil
}

// packed is a compressed document, or how large it would be.
type packed struct {
	bytes []byte
	size  int64
}

func (p *packed) Write(b []byte) (int, error) {
	if p.size += int64(len(b)); p.size <= maxConfigMap {
		p.bytes = append(p.bytes, b...)
	}
	return len(b), nil
}
