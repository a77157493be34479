package cluster

import (
	"bytes"
	"embed"
	"io/fs"
	"net"
	"os"
	"path/filepath"
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

// certify makes the two authorities and all certificates, and returns the kubeconfig files that carry those of clients.
func (l layout) certify(now time.Time) (map[string][]byte, error) {
	if err := l.certifyEtcd(now); err != nil {
		return nil, err
	}
	if err := pki.EnsureKey(l.state("pki"), "service-accounts"); err != nil {
		return nil, err
	}
	authority, err := pki.EnsureAuthority(l.state("pki"), "sifscan-"+l.name, now)
	if err != nil {
		return nil, err
	}
	for name, request := range l.certificates() {
		if _, err := authority.Ensure(l.state("pki"), name, request, now); err != nil {
			return nil, err
		}
	}
	files := map[string][]byte{}
	for file, request := range l.clients() {
		name := "client-" + filepath.Base(file)
		client, err := authority.Ensure(l.state("pki"), name, request, now)
		if err != nil {
			return nil, err
		}
		files[file] = pki.Kubeconfig("sifscan-"+l.name, l.server(), authority, client)
	}
	return files, nil
}

// certificates are those that components read from files.
func (l layout) certificates() map[string]pki.Request {
	return map[string]pki.Request{
		"kube-apiserver": {
			CommonName: "kube-apiserver",
			DNSNames: []string{
				"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
			},
			IPs:    []net.IP{l.node().Addr().AsSlice(), l.apiService().AsSlice(), net.IPv4(127, 0, 0, 1)},
			Server: true,
		},
		"kube-apiserver-kubelet-client": {CommonName: "kube-apiserver-kubelet-client", Organizations: []string{"system:masters"}},
		"kubelet": {
			CommonName: nodeName, DNSNames: []string{nodeName}, IPs: []net.IP{l.node().Addr().AsSlice()}, Server: true,
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

// certifyEtcd uses an authority of its own: etcd lets everybody in whom its authority has signed.
func (l layout) certifyEtcd(now time.Time) error {
	directory := l.state("pki", "etcd")
	authority, err := pki.EnsureAuthority(directory, "sifscan-"+l.name+"-etcd", now)
	if err != nil {
		return err
	}
	server := pki.Request{CommonName: "etcd", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}
	if _, err := authority.Ensure(directory, "server", server, now); err != nil {
		return err
	}
	_, err = authority.Ensure(directory, "client", pki.Request{CommonName: "kube-apiserver"}, now)
	return err
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
