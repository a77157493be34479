package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/hack/cluster/process"
)

// programs says where the programs of a cluster are.
type programs struct {
	kube   string // folder of etcd, kube-* and kubectl
	debian string // root that Debian's packages are unpacked in
	pause  string // the program of the pause image
}

func (p programs) containerd(name string) string { return filepath.Join(p.debian, "usr/bin", name) }

// component is a daemon with the files it reads when it starts.
type component struct {
	name string
	argv []string
	// files are read once: the component is started again when one of them changes.
	files []string
}

// components lists the daemons in the order they start in.
func (l layout) components(p programs) []component {
	return []component{
		l.etcd(p), l.containerd(p), l.apiServer(p), l.controllerManager(p), l.scheduler(p), l.kubelet(p), l.proxy(p),
	}
}

func (l layout) etcd(p programs) component {
	const url, peer = "https://127.0.0.1:2379", "https://127.0.0.1:2380"
	return component{
		name: "etcd",
		argv: []string{
			filepath.Join(p.kube, "etcd"),
			"--name=" + nodeName,
			"--data-dir=" + l.disk("etcd", "data"),
			"--listen-client-urls=" + url,
			"--advertise-client-urls=" + url,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=" + nodeName + "=" + peer,
			"--client-cert-auth",
			"--trusted-ca-file=" + l.pki("etcd/ca.crt"),
			"--cert-file=" + l.pki("etcd/server.crt"),
			"--key-file=" + l.pki("etcd/server.key"),
			"--peer-client-cert-auth",
			"--peer-trusted-ca-file=" + l.pki("etcd/ca.crt"),
			"--peer-cert-file=" + l.pki("etcd/server.crt"),
			"--peer-key-file=" + l.pki("etcd/server.key"),
			// A killed etcd loses nothing by it; only a crash of the machine does, and the cluster can be made again.
			"--unsafe-no-fsync",
			// Less than its disk, which holds write-ahead logs and a snapshot besides.
			"--quota-backend-bytes=536870912",
			"--logger=zap", "--log-level=warn",
		},
		files: []string{l.pki("etcd/ca.crt"), l.pki("etcd/server.crt")},
	}
}

func (l layout) containerd(p programs) component {
	config := l.state("config", "containerd.toml")
	return component{
		name:  "containerd",
		argv:  []string{p.containerd("containerd"), "--config", config},
		files: []string{config, l.state("config", "cni", "10-pods.conflist")},
	}
}

// proxyUser is who the API server is to the servers of aggregated APIs.
const proxyUser = "front-proxy-client"

func (l layout) apiServer(p programs) component {
	return component{
		name: "kube-apiserver",
		argv: []string{
			filepath.Join(p.kube, "kube-apiserver"),
			"--advertise-address=" + l.node().Addr().String(),
			fmt.Sprintf("--secure-port=%d", apiPort),
			"--service-cluster-ip-range=" + l.services().String(),
			"--etcd-servers=https://127.0.0.1:2379",
			"--etcd-cafile=" + l.pki("etcd/ca.crt"),
			"--etcd-certfile=" + l.pki("etcd/client.crt"),
			"--etcd-keyfile=" + l.pki("etcd/client.key"),
			"--tls-cert-file=" + l.pki("kube-apiserver.crt"),
			"--tls-private-key-file=" + l.pki("kube-apiserver.key"),
			"--client-ca-file=" + l.pki("ca.crt"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + l.pki("service-accounts.key"),
			"--service-account-signing-key-file=" + l.pki("service-accounts.key"),
			"--kubelet-certificate-authority=" + l.pki("ca.crt"),
			"--kubelet-client-certificate=" + l.pki("kube-apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + l.pki("kube-apiserver-kubelet-client.key"),
			// kube-apiserver passes requests for aggregated APIs on; without this authority, controllers complain every few seconds.
			"--proxy-client-cert-file=" + l.pki("front-proxy/client.crt"),
			"--proxy-client-key-file=" + l.pki("front-proxy/client.key"),
			"--requestheader-client-ca-file=" + l.pki("front-proxy/ca.crt"),
			"--requestheader-allowed-names=" + proxyUser,
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			// The node's name is known to nobody.
			"--kubelet-preferred-address-types=InternalIP",
			"--allow-privileged",
		},
		files: []string{
			l.pki("ca.crt"), l.pki("kube-apiserver.crt"), l.pki("kube-apiserver-kubelet-client.crt"),
			l.pki("service-accounts.key"),
			l.pki("etcd/ca.crt"), l.pki("etcd/client.crt"), l.pki("front-proxy/ca.crt"), l.pki("front-proxy/client.crt"),
		},
	}
}

func (l layout) controllerManager(p programs) component {
	config := l.clientConfig("kube-controller-manager")
	return component{
		name: "kube-controller-manager",
		argv: []string{
			filepath.Join(p.kube, "kube-controller-manager"),
			"--kubeconfig=" + config,
			"--authentication-kubeconfig=" + config,
			"--authorization-kubeconfig=" + config,
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			"--use-service-account-credentials",
			"--service-account-private-key-file=" + l.pki("service-accounts.key"),
			"--root-ca-file=" + l.pki("ca.crt"),
		},
		files: []string{config, l.pki("ca.crt"), l.pki("service-accounts.key")},
	}
}

func (l layout) scheduler(p programs) component {
	config := l.clientConfig("kube-scheduler")
	return component{
		name: "kube-scheduler",
		argv: []string{
			filepath.Join(p.kube, "kube-scheduler"),
			"--kubeconfig=" + config,
			"--authentication-kubeconfig=" + config,
			"--authorization-kubeconfig=" + config,
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
		},
		files: []string{config},
	}
}

func (l layout) kubelet(p programs) component {
	config, client := l.state("config", "kubelet.yaml"), l.clientConfig("kubelet")
	return component{
		name: "kubelet",
		argv: []string{
			filepath.Join(p.kube, "kubelet"),
			"--config=" + config,
			"--kubeconfig=" + client,
			"--root-dir=" + l.disk("kubelet", "root"),
			"--cert-dir=" + l.disk("kubelet", "certificates"),
			"--hostname-override=" + nodeName,
			// There is no default route to find it by.
			"--node-ip=" + l.node().Addr().String(),
		},
		files: []string{config, client, l.pki("ca.crt"), l.pki("kubelet.crt")},
	}
}

func (l layout) proxy(p programs) component {
	config := l.state("config", "kube-proxy.yaml")
	return component{
		name:  "kube-proxy",
		argv:  []string{filepath.Join(p.kube, "kube-proxy"), "--config=" + config},
		files: []string{config, l.clientConfig("kube-proxy")},
	}
}

// clientConfig is the kubeconfig file of a component.
func (l layout) clientConfig(component string) string {
	return l.state("config", component+".kubeconfig")
}

// daemon adds to a component where it runs. PATH finds containerd's shim and runc.
func (l layout) daemon(c component, p programs) (process.Daemon, error) {
	fingerprint, err := fingerprint(c)
	if err != nil {
		return process.Daemon{}, err
	}
	return process.Daemon{
		Name: c.name,
		Argv: c.argv,
		Env: []string{
			"PATH=" + filepath.Join(p.debian, "usr/bin") + ":" + filepath.Join(p.debian, "usr/sbin") + ":/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=/root",
		},
		Namespace:   l.link().Namespace,
		Group:       l.group("daemons", c.name),
		Log:         l.log(c.name),
		Fingerprint: fingerprint,
	}, nil
}

func (l layout) log(component string) string { return l.state("logs", component+".log") }

// fingerprint changes when the command line or one of the files changes.
func fingerprint(c component) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q", c.argv)
	for _, file := range c.files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%d %s", len(data), data)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Components lists the names of the components of every cluster.
func Components() []string {
	var found []string
	for _, c := range (layout{}).components(programs{}) {
		found = append(found, c.name)
	}
	return found
}
