// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry fetches images from OCI registries into a directory. A registry, and whoever
// pushed to it, is taken for hostile: every size is bounded, every path stays in the directory, and
// nothing is sent in the clear.
package registry

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Options of a Client.
type Options struct {
	// Credentials as `docker login` writes them, and a Secret of the type
	// kubernetes.io/dockerconfigjson holds them; empty: none.
	Credentials []byte
	// CAFile has PEM certificates to trust besides the system's; empty: none.
	CAFile string
	// Architecture of images that come in several, in Go's spelling; empty: this machine's.
	Architecture string
	// Wait bounds a connection, and each silence of the registry. Default: 30 s.
	Wait time.Duration
}

// Client fetches images.
type Client struct {
	platform v1.Platform
	options  []remote.Option
}

// New returns a client. It fails when credentials or certificates cannot be read.
func New(o Options) (*Client, error) {
	if o.Architecture == "" {
		o.Architecture = runtime.GOARCH
	}
	if o.Wait == 0 {
		o.Wait = 30 * time.Second
	}
	transport, err := newTransport(o.CAFile, o.Wait)
	if err != nil {
		return nil, err
	}
	keys, err := parseCredentials(o.Credentials)
	if err != nil {
		return nil, err
	}
	return &Client{
		platform: v1.Platform{OS: "linux", Architecture: o.Architecture},
		options: []remote.Option{
			remote.WithTransport(transport),
			remote.WithAuthFromKeychain(keys),
			remote.WithUserAgent("sifscan"),
			remote.WithRetryBackoff(remote.Backoff{Duration: 500 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 2}),
		},
	}, nil
}

// Architecture of the images that are chosen.
func (c *Client) Architecture() string { return c.platform.Architecture }

// Image is an image in a registry, of which manifest and configuration were read. All texts are the image author's.
type Image struct {
	// Digest of what the reference leads to: an index, or the manifest.
	Digest string
	// ManifestDigest is that of the platform's manifest.
	ManifestDigest string
	Architecture   string
	Created        time.Time
	Labels         map[string]string
	// Layers are their digests, the lowest first.
	Layers []string
	// SizeBytes of the layers as they are transferred.
	SizeBytes int64

	layers []v1.Layer
}

// Digest asks what a reference leads to now: one request. Errors are of type *Error.
func (c *Client) Digest(ctx context.Context, reference string) (string, error) {
	descriptor, err := c.get(ctx, reference)
	if err != nil {
		return "", err
	}
	return descriptor.Digest.String(), nil
}

// Image reads the manifest for this machine and the configuration. Errors are of type *Error, but for the end of ctx.
func (c *Client) Image(ctx context.Context, reference string) (*Image, error) {
	descriptor, err := c.get(ctx, reference)
	if err != nil {
		return nil, err
	}
	img, err := c.choose(descriptor)
	if err != nil {
		return nil, explain(ctx, reference, err)
	}
	read, err := c.read(img)
	if err != nil {
		return nil, explain(ctx, reference, err)
	}
	read.Digest = descriptor.Digest.String()
	return read, nil
}

func (c *Client) get(ctx context.Context, reference string) (*remote.Descriptor, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return nil, &Error{Reason: v1alpha1.ReasonNoTargets, Message: "is no reference to an image in a registry, such as registry.example/team/app:1.0", Err: err}
	}
	descriptor, err := remote.Get(ref, append(c.options, remote.WithContext(ctx))...)
	if err != nil {
		return nil, explain(ctx, reference, err)
	}
	return descriptor, nil
}

// choose returns the image for the platform.
func (c *Client) choose(d *remote.Descriptor) (v1.Image, error) {
	if !d.MediaType.IsIndex() {
		return d.Image()
	}
	index, err := d.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, corrupt("its index: %v", err)
	}
	var others []string
	for _, m := range manifest.Manifests {
		switch {
		case m.Platform == nil || !m.MediaType.IsImage():
		case m.Platform.OS == c.platform.OS && m.Platform.Architecture == c.platform.Architecture:
			return index.Image(m.Digest)
		case m.Platform.OS != "unknown": // that of attestations
			others = append(others, m.Platform.OS+"/"+m.Platform.Architecture)
		}
	}
	const shown = 8
	return nil, unsupported("the image does not come for linux/%s, but for %s", c.platform.Architecture, strings.Join(others[:min(len(others), shown)], ", "))
}

// Bounds of what is read into memory.
const (
	maxConfig = 4 << 20
	maxLayers = 1000
)

// read reads configuration and list of layers.
func (c *Client) read(img v1.Image) (*Image, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, corrupt("its manifest: %v", err)
	}
	if !slices.Contains([]types.MediaType{types.OCIConfigJSON, types.DockerConfigJSON}, manifest.Config.MediaType) {
		return nil, unsupported("the reference leads to no container image but to an artifact of the type %s", manifest.Config.MediaType)
	}
	if manifest.Config.Size > maxConfig || len(manifest.Layers) > maxLayers {
		return nil, unsupported("the image has a configuration of %d bytes and %d layers; %d and %d are read", manifest.Config.Size, len(manifest.Layers), maxConfig, maxLayers)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	if config.OS != "" && config.OS != c.platform.OS {
		return nil, unsupported("an image of the operating system %s", config.OS)
	}
	read := &Image{ManifestDigest: digest.String(), Architecture: config.Architecture, Created: config.Created.Time, Labels: config.Config.Labels}
	if read.layers, err = img.Layers(); err != nil {
		return nil, err
	}
	for _, l := range manifest.Layers {
		if err := readable(l.MediaType); err != nil {
			return nil, err
		}
		if l.Size < 0 {
			return nil, corrupt("a layer of %d bytes", l.Size)
		}
		read.Layers = append(read.Layers, l.Digest.String())
		read.SizeBytes += l.Size
	}
	return read, nil
}

// readable refuses layers that are not content of a root file system, or that nobody without a key can read.
func readable(t types.MediaType) error {
	switch {
	case strings.HasSuffix(string(t), "+encrypted"):
		return unsupported("the image is encrypted (layers of the type %s)", t)
	case !t.IsDistributable():
		return unsupported("the image has layers that its registry does not have (of the type %s)", t)
	case !t.IsLayer():
		return unsupported("the image has layers of the type %s", t)
	}
	return nil
}

func unsupported(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ReasonUnsupported, Message: fmt.Sprintf(format, args...)}
}

func corrupt(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ReasonCorruptImage, Message: fmt.Sprintf(format, args...)}
}
