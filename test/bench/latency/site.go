// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// claim is the volume, a directory of this machine, which is the node.
const claim = "images"

// site is a namespace with a volume of images.
type site struct {
	api       client.WithWatch
	namespace string
	dir       string
	volume    *corev1.PersistentVolume
}

// newSite makes a site with n equal images.
func newSite(ctx context.Context, n int) (_ *site, err error) {
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	cluster, err := config.GetConfig()
	if err != nil {
		return nil, err
	}
	s := &site{}
	if s.api, err = client.NewWithWatch(cluster, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "sifscan-bench-latency-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove(ctx))
		}
	}()
	if err := s.fill(n); err != nil {
		return nil, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "latency-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := s.api.Create(ctx, namespace); err != nil {
		return nil, err
	}
	s.namespace = namespace.Name
	return s, s.mount(ctx)
}

// fill makes the images: Debian, Python and Node.js packages.
func (s *site) fill(n int) error {
	work, err := os.MkdirTemp("", "sifscan-bench-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	root, squashfs, sif := filepath.Join(work, "root"), filepath.Join(work, "squashfs"), filepath.Join(work, "sif")
	err = fixtures.NewTree(root).With(fixtures.Debian).With(fixtures.Python).With(fixtures.Node).Done()
	if err == nil {
		err = fixtures.Squashfs{}.Make(root, squashfs)
	}
	if err == nil {
		err = fixtures.NewSIF("amd64").System(squashfs).Write(sif)
	}
	if err != nil {
		return err
	}
	content, err := os.ReadFile(sif)
	if err != nil {
		return err
	}
	for i := range n {
		err = errors.Join(err, os.WriteFile(s.image(i), content, 0o644))
	}
	return errors.Join(err, os.Chmod(s.dir, 0o755))
}

// image is the path of an image.
func (s *site) image(i int) string { return filepath.Join(s.dir, fmt.Sprintf("image-%02d.sif", i)) }

// mount makes the volume and its claim.
func (s *site) mount(ctx context.Context) error {
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	s.volume = &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, StorageClassName: s.namespace,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: s.namespace, Name: claim},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: s.dir}},
		},
	}
	if err := s.api.Create(ctx, s.volume); err != nil {
		return err
	}
	return s.api.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: claim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: &s.namespace, VolumeName: s.namespace,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	})
}

// remove deletes what the site made.
func (s *site) remove(ctx context.Context) error {
	var err error
	if s.volume != nil {
		err = client.IgnoreNotFound(s.api.Delete(ctx, s.volume))
	}
	if s.namespace != "" {
		err = errors.Join(err, s.api.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}))
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
