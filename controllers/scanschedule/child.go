// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/naming"
)

// maxChildName is the longest name of a SIFScan that a schedule makes: the names of its Job and
// pods then still show it. CronJob has the same bound.
const maxChildName = 52

// childName names the SIFScan of a nominal instant. Two looks at one instant make one name, which
// is why no run starts twice.
func childName(schedule string, nominal time.Time) string {
	return childWith(schedule, strconv.FormatInt(nominal.Unix()/60, 10))
}

// askedName names the SIFScan that a value of the annotation sifscan.io/run-now asks for.
func askedName(schedule, value string) string {
	sum := sha256.Sum256([]byte(value))
	return childWith(schedule, "now-"+hex.EncodeToString(sum[:4]))
}

func childWith(schedule, suffix string) string {
	return naming.Label(schedule, maxChildName-1-len(suffix)) + "-" + suffix
}

// newChild makes the SIFScan of a run.
func newChild(s *v1alpha1.ScanSchedule, name string, nominal time.Time) *v1alpha1.SIFScan {
	labels, annotations := own(s.Spec.Template.Metadata.Labels), own(s.Spec.Template.Metadata.Annotations)
	labels[v1alpha1.LabelSchedule] = v1alpha1.LabelValue(s.Name)
	labels[v1alpha1.LabelScheduleUID] = string(s.UID)
	labels[v1alpha1.LabelManagedBy] = v1alpha1.ManagedBy
	if !nominal.IsZero() {
		annotations[v1alpha1.AnnotationScheduledAt] = nominal.Format(time.RFC3339)
	}
	return &v1alpha1.SIFScan{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   s.Namespace,
			Name:        name,
			Labels:      labels,
			Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(),
				Kind:       "ScanSchedule",
				Name:       s.Name,
				UID:        s.UID,
				Controller: ptr.To(true),
			}},
		},
		Spec: *s.Spec.Template.Spec.DeepCopy(),
	}
}

// foreign begins keys by which Flux, Argo CD and kubectl know what they applied. On a SIFScan that
// they did not apply, they would prune it.
var foreign = []string{
	"kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "reconcile.fluxcd.io/", "fluxcd.io/",
	"argocd.argoproj.io/", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by",
	"kubectl.kubernetes.io/", "meta.helm.sh/", "helm.sh/", "objectset.rio.cattle.io/", "config.kubernetes.io/",
}

// own returns a copy of what of a template's labels or annotations is the template's own.
func own(m map[string]string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	maps.DeleteFunc(out, func(key, _ string) bool {
		for _, prefix := range foreign {
			if strings.HasPrefix(key, prefix) || strings.Contains(key, ".fluxcd.io/") {
				return true
			}
		}
		return false
	})
	return out
}
