// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestWorkersThatShareAVolumeDoNotShareAName(t *testing.T) {
	seen := map[string]string{}
	for what, o := range map[string]Options{
		"a worker":                 {Job: "nightly-1", ScanUID: "u1"},
		"another worker of it":     {Job: "nightly-1", ScanUID: "u1", Worker: 1},
		"an equal scan elsewhere":  {Job: "nightly-1", ScanUID: "u2"},
		"another run of the scan":  {Job: "nightly-2", ScanUID: "u1"},
		"a job named like another": {Job: "nightly-1-w0", ScanUID: "u1"},
	} {
		if other, taken := seen[o.staging()]; taken {
			t.Errorf("%s has the name of %s: %s", what, other, o.staging())
		}
		seen[o.staging()] = what
	}
	pod := Options{Job: "nightly-1", ScanUID: "u1", Node: "n2"}
	if seen[pod.staging()] != "a worker" {
		t.Error("a worker's next pod does not find what the one before left")
	}
}

func TestAPlaceForDocumentsIsToldFromEveryOther(t *testing.T) {
	on := func(uid, subPath string) Options {
		return Options{Artifacts: v1alpha1.ArtifactsVolume, Volume: &Volume{Dir: "/reports", ClaimUID: uid, SubPath: subPath}}
	}
	seen := map[string]string{}
	for what, o := range map[string]Options{
		"ConfigMaps":     {Artifacts: v1alpha1.ArtifactsConfigMap},
		"nowhere":        {Artifacts: v1alpha1.ArtifactsNone},
		"a volume":       on("u1", ""),
		"one made anew":  on("u2", ""),
		"a folder of it": on("u1", "a"),
	} {
		if other, taken := seen[o.store()]; taken {
			t.Errorf("%s is %s: %s", what, other, o.store())
		}
		seen[o.store()] = what
	}
	for _, same := range []Options{on("u1", "."), on("u1", "/")} {
		if seen[same.store()] != "a volume" {
			t.Errorf("the root in other words is another place: %q", same.Volume.SubPath)
		}
	}
}
