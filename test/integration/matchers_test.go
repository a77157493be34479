// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"

	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// have matches all conditions of a SIFScan whose status speaks of its spec.
func have(conditions string) gomegatypes.GomegaMatcher {
	return And(
		WithTransform(func(s *v1alpha1.SIFScan) int64 { return s.Generation - s.Status.ObservedGeneration }, BeZero()),
		WithTransform(conditionsOf, Equal(conditions)),
	)
}

// beReady, beWaiting, beStalled and beSuspended are the four states of a SIFScan, to the last condition.
func beReady(reason string) gomegatypes.GomegaMatcher {
	return have(fmt.Sprintf("Complete=True/%[1]s Ready=True/%[1]s", reason))
}

func beWaiting(reason string) gomegatypes.GomegaMatcher {
	return have(fmt.Sprintf("Complete=False/%[1]s Ready=False/%[1]s Reconciling=True/%[1]s", reason))
}

func beStalled(reason string) gomegatypes.GomegaMatcher {
	return have(fmt.Sprintf("Complete=False/%[1]s Ready=False/%[1]s Stalled=True/%[1]s", reason))
}

func beSuspended() gomegatypes.GomegaMatcher {
	return have("Complete=False/Suspended Ready=False/Suspended")
}

func say(text string) gomegatypes.GomegaMatcher {
	return WithTransform(messageOf, ContainSubstring(text))
}
