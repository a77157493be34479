// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds of the API group sifscan.io, and the names
// (conditions, reasons, labels, annotations) that the operator and the agent share.
//
// +kubebuilder:object:generate=true
// +groupName=sifscan.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "sifscan.io", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
var AddToScheme = schemeBuilder.AddToScheme

var schemeBuilder = runtime.NewSchemeBuilder(func(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&SIFScan{}, &SIFScanList{},
		&ScanSchedule{}, &ScanScheduleList{},
		&ScanReport{}, &ScanReportList{},
		&ScanInventory{}, &ScanInventoryList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
})
