package cluster

import (
	"bytes"
	"embed"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/sifscan/sifscan-operator/hack/cluster/pki"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.New("").Option("missingkey=error").ParseFS(templateFiles, "templates/*"))

// configFiles maps each rendered file, relative to the folder of configuration, to its template.
var configFiles = map[string]string{
	"containerd.toml":      "containerd.toml",
	"cni/10-pods.conflist": "cni.conflist",
	"kubelet.yaml":         "kubelet.yaml",
	"kube-proxy.yaml":      "kube-proxy.yaml",
}

// values are what the templates may use.
type values struct {
	Name, NodeName                          string
	State, Run, Disk, PKI, ContainerdSocket string
	PodGroup, Debian, PauseImage            string
	Node, Pods, NameServer                  string
}

func (l layout) values(p programs) values {
	return values{
		Name: l.name, NodeName: nodeName,
		State: l.state(), Run: l.run(), Disk: l.disk(), PKI: l.state("pki"), ContainerdSocket: l.containerdSocket(),
		PodGroup: l.podGroup(), Debian: p.debian, PauseImage: pauseImage,
		Node: l.node().Addr().String(), Pods: l.pods().String(), NameServer: l.nameServer().String(),
	}
}

// render makes the content of all files of configuration that hold no keys.
func (l layout) render(p programs) (map[string][]byte, error) {
	// Nothing in it: a pod that asks for the node's name servers gets none, on every machine the same.
	rendered := map[string][]byte{"resolv.conf": nil}
	for file, name := range configFiles {
		var content bytes.Buffer
		if err := templates.ExecuteTemplate(&content, name, l.values(p)); err != nil {
			return nil, err
		}
		rendered[file] = content.Bytes()
	}
	return rendered, nil
}

// configure writes keys, certificates and configuration.
func (l layout) configure(p programs, now time.Time) error {
	rendered, err := l.render(p)
	if err != nil {
		return err
	}
	clients, err := l.certify(now)
	if err != nil {
		return err
	}
	for file, content := range rendered {
		if err := writeChanged(l.state("config", file), content, 0o644); err != nil {
			return err
		}
	}
	for file, content := range clients {
		if err := writeChanged(file, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// certify makes the authorities and all certificates, and returns the kubeconfig files that carry those of clients.
func (l layout) certify(now time.Time) (map[string][]byte, error) {
	if err := pki.EnsureKey(l.state("pki"), "service-accounts"); err != nil {
		return nil, err
	}
	for name, requests := range l.certificates() {
		authority, err := l.authority(name, now)
		if err != nil {
			return nil, err
		}
		for file, request := range requests {
			if _, err := authority.Ensure(l.state("pki", name), file, request, now); err != nil {
				return nil, err
			}
		}
	}
	authority, err := l.authority(clusterAuthority, now)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for file, request := range l.clients() {
		client, err := authority.Ensure(l.state("pki"), "client-"+filepath.Base(file), request, now)
		if err != nil {
			return nil, err
		}
		files[file] = pki.Kubeconfig("sifscan-"+l.name, l.server(), authority, client)
	}
	return files, nil
}

// The authorities, by their folder. etcd lets everybody in whom its authority has signed, and the API server believes a front proxy
// whatever it says about its users: neither may be the authority of the cluster's users.
const (
	clusterAuthority = ""
	etcdAuthority    = "etcd"
	proxyAuthority   = "front-proxy"
)

func (l layout) authority(name string, now time.Time) (*pki.Authority, error) {
	return pki.EnsureAuthority(l.state("pki", name), strings.TrimSuffix("sifscan-"+l.name+"-"+name, "-"), now)
}

// certificates are those that components read from files, by authority.
func (l layout) certificates() map[string]map[string]pki.Request {
	node, loopback := net.IP(l.node().Addr().AsSlice()), net.IPv4(127, 0, 0, 1)
	return map[string]map[string]pki.Request{
		clusterAuthority: {
			"kube-apiserver": {
				CommonName: "kube-apiserver",
				DNSNames: []string{
					"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
				},
				IPs:    []net.IP{node, l.apiService().AsSlice(), loopback},
				Server: true,
			},
			"kube-apiserver-kubelet-client": {CommonName: "kube-apiserver-kubelet-client", Organizations: []string{"system:masters"}},
			"kubelet":                       {CommonName: nodeName, DNSNames: []string{nodeName}, IPs: []net.IP{node}, Server: true},
		},
		etcdAuthority: {
			"server": {CommonName: "etcd", IPs: []net.IP{loopback}, Server: true},
			"client": {CommonName: "kube-apiserver"},
		},
		proxyAuthority: {
			"client": {CommonName: proxyUser},
		},
	}
}

// clients are the users of the API by their kubeconfig file. The names are those that the API server's built-in roles are bound to.
func (l layout) clients() map[string]pki.Request {
	return map[string]pki.Request{
		l.kubeconfig(): {CommonName: "admin", Organizations: []string{"system:masters"}},
		l.clientConfig("kube-controller-manager"): {CommonName: "system:kube-controller-manager"},
		l.clientConfig("kube-scheduler"):          {CommonName: "system:kube-scheduler"},
		l.clientConfig("kube-proxy"):              {CommonName: "system:kube-proxy"},
		l.clientConfig("kubelet"):                 {CommonName: "system:node:" + nodeName, Organizations: []string{"system:nodes"}},
	}
}

// writeChanged leaves a file alone that has the content already.
func writeChanged(path string, content []byte, mode fs.FileMode) error {
	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeFile(path, content, mode)
}
