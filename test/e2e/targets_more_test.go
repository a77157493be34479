// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	distribution "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// of changes what is scanned. The node of these tests has little disk.
func (w wrapper) of(t v1alpha1.Target) wrapper {
	if w.Spec.Target = t; t.Image != nil {
		w.Spec.Tmp.SizeLimit = ptr.To(resource.MustParse("64Mi"))
	}
	return w
}

// second makes another claim with a volume of its own, and returns its directory.
func (s *site) second(name string) *site {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "sifscan-e2e-volume-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	volume := &corev1.PersistentVolume{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: s.namespace}, volume)).To(Succeed())
	class := s.namespace + "-" + name
	volume = &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: class}, Spec: *volume.Spec.DeepCopy()}
	volume.Spec.StorageClassName, volume.Spec.HostPath.Path = class, dir
	volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: s.namespace, Name: name}
	Expect(admin.Create(ctx, volume)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, volume))).To(Succeed()) })
	claim := s.getClaim()
	claim = &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: *claim.Spec.DeepCopy()}
	claim.Spec.StorageClassName, claim.Spec.VolumeName = &class, class
	Expect(admin.Create(ctx, claim)).To(Succeed())
	return &site{namespace: s.namespace, dir: dir}
}

func (s *site) configMap(name, key, text string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Data: map[string]string{key: text},
	})).To(Succeed())
}

var _ = Describe("What is scanned besides volumes", func() {
	It("scans what a list names, on two claims, and fails by name what is on neither", func() {
		s := newSite().image(debian, "a.sif").image(alpine, "not-listed.sif")
		s.second("archive").image(alpine, "old/b.img")
		s.configMap("targets", "targets.txt", "\ufeff# our images\r\n\r\n/shared/a.sif\r\n  /shared/archive/old/b.img\r\nsif:/shared/a.sif\r\n/shared/gone.sif\r\n/elsewhere/c.sif\r\n# /shared/not-listed.sif\r\n")
		scan := s.scan().of(v1alpha1.Target{List: &v1alpha1.ListTarget{
			ConfigMap: v1alpha1.ListSource{Name: "targets"},
			Volumes:   []v1alpha1.ListVolume{{ClaimName: claimName, MountPath: "/shared"}, {ClaimName: "archive", MountPath: "/shared/archive"}},
		}}).create()
		Eventually(get(scan)).Should(beDone(degraded))

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"/shared/a.sif": v1alpha1.EntryScanned, "/shared/archive/old/b.img": v1alpha1.EntryScanned,
			"/shared/gone.sif": v1alpha1.EntryFailed, "/elsewhere/c.sif": v1alpha1.EntryFailed,
		}))
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 4, Scanned: 2, Failed: 2})))
		Expect(scan.Status.Summary.Packages).To(BeEquivalentTo(debianPackages + 3))
		reports := reportsOf(scan)
		Expect(reports["/shared/a.sif"].Labels).To(HaveKeyWithValue(v1alpha1.LabelClaim, claimName))
		Expect(reports["/shared/archive/old/b.img"].Labels).To(HaveKeyWithValue(v1alpha1.LabelClaim, "archive"))
		Expect(reports["/shared/archive/old/b.img"].OwnerReferences).To(HaveExactElements(HaveField("Name", "archive")))
		Expect(reports["/shared/gone.sif"]).To(failWith(v1alpha1.ReasonNoTargets, "does not exist"))
		Expect(reports["/elsewhere/c.sif"]).To(failWith(v1alpha1.ReasonNoTargets, "line 7 of the list is on none of the volumes (/shared, /shared/archive)"))

		rescan(scan, "again")
		Eventually(get(scan)).Should(beDone(degraded))
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 4, Unchanged: 2, Failed: 2})))
	})

	It("scans a directory as a root file system, and as source code", func() {
		s := newSite().with(func(t *fixtures.Tree) {
			t.File("src/app/requirements.txt", "numpy==1.26.4\nrequests==2.31.0\n").File("src/app/go.mod", "module m\n\ngo 1.26\n\nrequire example.com/dep v1.2.3\n")
			t.File("src/empty/README", "nothing\n")
		})
		Expect(fixtures.NewTree(s.path("roots/alpine")).With(fixtures.Alpine).Done()).To(Succeed())
		for _, tc := range []struct {
			name   string
			target v1alpha1.DirectoryTarget
			report string
			want   int
		}{
			{"rootfs", v1alpha1.DirectoryTarget{ClaimName: claimName, SubPath: "roots", Path: "/alpine"}, "/alpine", 3},
			{"repo", v1alpha1.DirectoryTarget{ClaimName: claimName, Path: "src/app", Kind: v1alpha1.DirectoryRepository}, "/src/app", 4},
		} {
			w := s.scan().of(v1alpha1.Target{Directory: &tc.target})
			w.Name = tc.name
			scan := w.create()
			Eventually(get(scan)).Should(beDone(), tc.name)
			Expect(reportsOf(scan)[tc.report].Report.Summary).To(HaveField("Packages", BeEquivalentTo(tc.want)), tc.name)
		}
		w := s.scan().of(v1alpha1.Target{Directory: &v1alpha1.DirectoryTarget{ClaimName: claimName, Path: "/src/empty", Kind: v1alpha1.DirectoryRepository}})
		scan := w.create()
		Eventually(get(scan)).Should(have("Complete=True/Degraded", "Ready=True/Degraded", degraded))
		Expect(reportsOf(scan)["/src/empty"]).To(failWith(v1alpha1.ReasonEmptyInventory, "lock file"))
	})

	It("scans an image of a private registry once for each digest, and waits for the Secret", func() {
		s := newSite()
		hub := newHub()
		s.configMap("registry-ca", "ca.crt", hub.ca)
		target := v1alpha1.Target{Image: &v1alpha1.ImageTarget{Reference: hub.reference, PullSecretName: "regcred"}}
		scan := s.scan().of(target).create()
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonCredentialsMissing))
		Expect(admin.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "regcred"}, Type: corev1.SecretTypeDockerConfigJson,
			Data: map[string][]byte{corev1.DockerConfigJsonKey: hub.credentials},
		})).To(Succeed())
		Eventually(get(scan)).Should(beDone())

		report := reportsOf(scan)[hub.reference]
		Expect(report.Report.OS).To(HaveField("Family", "alpine"))
		Expect(report.Report.Target).To(And(HaveField("Kind", "oci"), HaveField("Reference", hub.reference), HaveField("Digest", HavePrefix("sha256:")), HaveField("ClaimName", "")))
		Expect(report.Report.Image.Layers).To(HaveLen(1))
		Expect(report.Labels).NotTo(HaveKey(v1alpha1.LabelClaim))
		Expect(report.OwnerReferences).To(HaveExactElements(HaveField("UID", scan.UID)))
		fetched := hub.blobs.Load()

		again := s.scan().of(target)
		again.Name = "images-again"
		second := again.create()
		Eventually(get(second)).Should(beDone())
		Expect(second.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 1, Unchanged: 1})))
		Expect(hub.blobs.Load()).To(Equal(fetched), "an unchanged digest is not fetched again")
		Expect(reportsOf(scan)[hub.reference].OwnerReferences).To(HaveLen(2), "the report stays while one of the two SIFScans does")
	})

	It("says what is wrong with an image of a registry", func() {
		s := newSite()
		hub := newHub()
		s.configMap("registry-ca", "ca.crt", hub.ca)
		for name, tc := range map[string]struct{ reference, reason, message string }{
			"no-account": {hub.reference, v1alpha1.ReasonCredentialsRejected, "pullSecretName"},
			"nobody":     {hub.host + "1/team/app", v1alpha1.ReasonBackendUnreachable, "reached"},
		} {
			w := s.scan().of(v1alpha1.Target{Image: &v1alpha1.ImageTarget{Reference: tc.reference}})
			w.Name = name
			scan := w.create()
			Eventually(get(scan)).Should(have("Complete=True/Degraded", "Ready=True/Degraded", degraded), name)
			Expect(reportsOf(scan)[tc.reference]).To(failWith(tc.reason, tc.message), name)
		}
	})
})

// hub is a registry on this machine, behind TLS with a CA of its own, with one image, an Alpine.
type hub struct {
	host, reference, ca string
	credentials         []byte
	blobs               atomic.Int64 // that were asked for
}

func newHub() *hub {
	GinkgoHelper()
	address := besideTheNode()
	h := &hub{}
	inner := distribution.New(distribution.Logger(log.New(io.Discard, "", 0)))
	open := atomic.Bool{}
	open.Store(true)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); !open.Load() && (user != "scanner" || password != engineToken) {
			w.Header().Set("WWW-Authenticate", `Basic realm="hub"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodGet && filepath.Base(filepath.Dir(r.URL.Path)) == "blobs" {
			h.blobs.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	Expect(err).NotTo(HaveOccurred())
	Expect(server.Listener.Close()).To(Succeed())
	server.Listener = listener
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	certificate, ca := selfSigned(net.ParseIP(address))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	DeferCleanup(server.Close)

	h.ca, h.host = ca, listener.Addr().String()
	h.reference = h.host + "/team/alpine:3"
	ref, err := name.ParseReference(h.reference)
	Expect(err).NotTo(HaveOccurred())
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM([]byte(ca))).To(BeTrue())
	Expect(remote.Write(ref, layered(), remote.WithTransport(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}))).To(Succeed())
	open.Store(false)
	h.blobs.Store(0)
	h.credentials, err = json.Marshal(map[string]any{"auths": map[string]any{h.host: map[string]string{"username": "scanner", "password": engineToken}}})
	Expect(err).NotTo(HaveOccurred())
	return h
}

// besideTheNode is this machine's address in the node's network, which pods can reach. They have no DNS in this cluster.
func besideTheNode() string {
	GinkgoHelper()
	ours, err := net.InterfaceAddrs()
	Expect(err).NotTo(HaveOccurred())
	for _, its := range realNode().Status.Addresses {
		for _, a := range ours {
			if network, ok := a.(*net.IPNet); ok && its.Type == corev1.NodeInternalIP && network.Contains(net.ParseIP(its.Address)) {
				return network.IP.String()
			}
		}
	}
	Fail("this machine has no address in the node's network")
	return ""
}

// layered is an Alpine of one layer.
func layered() v1.Image {
	GinkgoHelper()
	root := filepath.Join(GinkgoT().TempDir(), "root")
	Expect(fixtures.NewTree(root).With(fixtures.Alpine).Done()).To(Succeed())
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	Expect(errors.Join(w.AddFS(os.DirFS(root).(fs.ReadLinkFS)), w.Close())).To(Succeed())
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), static.NewLayer(layer.Bytes(), types.OCIUncompressedLayer))
	Expect(err).NotTo(HaveOccurred())
	return img
}

// selfSigned is a certificate for an address, and the same as PEM.
func selfSigned(address net.IP) (tls.Certificate, string) {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{address}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	Expect(err).NotTo(HaveOccurred())
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
