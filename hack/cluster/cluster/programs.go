package cluster

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sifscan/sifscan-operator/hack/cluster/debian"
	"github.com/sifscan/sifscan-operator/hack/cluster/gobuild"
)

// kubeVersion is what kube/go.mod pins; the programs report it as theirs.
const kubeVersion = "v1.36.3"

// BuildKube returns the folder with etcd, kube-apiserver, kubectl and the others, and builds them first if they are not cached.
func BuildKube(ctx context.Context, checkout string, say Say) (string, error) {
	source := filepath.Join(checkout, "hack", "cluster", "kube")
	return gobuild.Program{
		Name:    "kube",
		Source:  source,
		Module:  source,
		LDFlags: versionFlags(kubeVersion),
		Links:   []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"},
		Notice:  "building Kubernetes " + kubeVersion + " and etcd from source: the first time takes about ten minutes, later ones none",
	}.Ensure(ctx, say)
}

// versionFlags set what upstream's build sets. kube-apiserver derives from it which features it has by default, and refuses to
// start without.
func versionFlags(version string) []string {
	var major, minor string
	if parts := strings.Split(strings.TrimPrefix(version, "v"), "."); len(parts) == 3 {
		major, minor = parts[0], parts[1]
	}
	values := []string{"gitVersion=" + version, "gitMajor=" + major, "gitMinor=" + minor, "gitCommit=", "gitTreeState=archive"}
	var flags []string
	for _, name := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, value := range values {
			flags = append(flags, "-X", name+"."+value)
		}
	}
	return flags
}

// ensurePrograms builds and downloads what is not there.
func ensurePrograms(ctx context.Context, checkout string, say Say) (programs, error) {
	kube, err := BuildKube(ctx, checkout, say)
	if err != nil {
		return programs{}, err
	}
	module := filepath.Join(checkout, "hack", "cluster")
	pause, err := gobuild.Program{Name: "pause", Source: filepath.Join(module, "pause"), Module: module}.Ensure(ctx, say)
	if err != nil {
		return programs{}, err
	}
	cache, err := gobuild.Cache()
	if err != nil {
		return programs{}, err
	}
	unpacked := filepath.Join(cache, "debian-"+release()+"-"+runtime.GOARCH)
	if err := debian.Unpack(ctx, unpacked, say); err != nil {
		return programs{}, err
	}
	return programs{kube: kube, debian: unpacked, pause: filepath.Join(pause, "pause")}, nil
}

// release is the version of the distribution, os-release(5): programs of another one may need other libraries.
func release() string {
	data, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(data)) {
		if version, found := strings.CutPrefix(strings.TrimSpace(line), "VERSION_ID="); found {
			return strings.Trim(version, `"'`)
		}
	}
	return "unknown"
}
