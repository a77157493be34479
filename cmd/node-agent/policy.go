// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/pflag"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/qscanner"
)

// evaluatePolicy is the mode that matches packages and judges the image.
const evaluatePolicy = "evaluate-policy"

// policyFlags say what an image may have at most, as spec.policy does.
type policyFlags struct {
	maxCritical, maxHigh int32
	onlyFixable          bool
	flags                *pflag.FlagSet
}

func (p *policyFlags) add(flags *pflag.FlagSet) {
	p.flags = flags
	flags.Int32Var(&p.maxCritical, "max-critical", 0, "critical findings an image may have (--mode evaluate-policy) [any number]")
	flags.Int32Var(&p.maxHigh, "max-high", 0, "high findings an image may have (--mode evaluate-policy) [any number]")
	flags.BoolVar(&p.onlyFixable, "only-fixable", false, "count only findings that a newer version of the package fixes (--mode evaluate-policy)")
}

// policy is what images are judged by; nil when nobody asked, or when the engine's platform judges.
func (p *policyFlags) policy(engine, mode string) (*v1alpha1.Policy, error) {
	policy := &v1alpha1.Policy{OnlyFixable: p.onlyFixable}
	if p.flags.Changed("max-critical") {
		policy.MaxCritical = &p.maxCritical
	}
	if p.flags.Changed("max-high") {
		policy.MaxHigh = &p.maxHigh
	}
	limits := policy.MaxCritical != nil || policy.MaxHigh != nil
	switch given := limits || p.onlyFixable; {
	case given && mode != evaluatePolicy:
		return nil, usageError{errors.New("--max-critical, --max-high and --only-fixable need --mode evaluate-policy")}
	case given && engine == qscanner.Name:
		return nil, usageError{errors.New("--max-critical, --max-high, --only-fixable: leave them out, the engine qscanner is judged by its platform's policies (--policy-tags)")}
	case mode != evaluatePolicy || engine == qscanner.Name:
		return nil, nil
	case !limits:
		return nil, usageError{errors.New("--mode evaluate-policy: say what an image may have at most with --max-critical N or --max-high N; with --only-fixable, only findings that have a fix count")}
	case p.maxCritical < 0 || p.maxHigh < 0:
		return nil, usageError{errors.New("--max-critical, --max-high: use a number that is not negative")}
	}
	return policy, nil
}
