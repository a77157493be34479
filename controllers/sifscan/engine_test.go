// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	qscannerImage = "registry.example/qscanner@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	trivySum      = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
)

// everyEngine is a site with all there is.
func everyEngine() OperatorConfig {
	c := config
	c.Qscanner = &QscannerConfig{
		Binary:     Binary{Image: qscannerImage, Path: "/qscanner"},
		GatewayURL: "https://gateway.example", Proxy: "http://proxy.example:3128", CAConfigMap: "site-ca",
		JavaDB:      &v1alpha1.DatabaseSource{ClaimName: "java-db", Path: "current"},
		ReportWaits: []time.Duration{time.Second, time.Minute},
	}
	c.Trivy = &Binary{Path: "/opt/trivy", SHA256: trivySum}
	return c
}

func withQscanner(s *v1alpha1.SIFScan) {
	s.Spec.Scanner = v1alpha1.Scanner{Engine: v1alpha1.EngineQscanner, Qscanner: &v1alpha1.QscannerEngine{
		Platform: "US2", CredentialsSecretName: "qualys",
	}}
}

func everyQscannerSetting(s *v1alpha1.SIFScan) {
	s.Spec.Scanner = v1alpha1.Scanner{
		Engine: v1alpha1.EngineQscanner, Offline: ptr.To(true),
		ScanTypes:   []v1alpha1.ScanType{v1alpha1.ScanPackages, v1alpha1.ScanSecrets},
		ExcludeDirs: []v1alpha1.ImageDirectory{"/opt/data", "/srv/$(X)"},
		Qscanner: &v1alpha1.QscannerEngine{
			Platform: "EU1", Mode: v1alpha1.QscannerEvaluatePolicy, PolicyTags: []v1alpha1.PolicyTag{"hpc", "prod"}, CredentialsSecretName: "qualys",
		},
	}
	s.Spec.Tmp = v1alpha1.Tmp{SizeLimit: ptr.To(resource.MustParse("20Gi"))}
}

func withTrivy(s *v1alpha1.SIFScan) {
	s.Spec.Scanner = v1alpha1.Scanner{Engine: v1alpha1.EngineTrivy, Trivy: &v1alpha1.TrivyEngine{
		Database: &v1alpha1.TrivyDatabase{ClaimName: "trivy", Path: "cache"},
	}}
	s.Spec.Tmp = v1alpha1.Tmp{VolumeClaimTemplate: &v1alpha1.TmpClaimTemplate{Spec: v1alpha1.TmpClaimSpec{
		StorageClassName: ptr.To("fast"),
		Resources:        v1alpha1.TmpClaimResources{Requests: v1alpha1.TmpClaimRequests{Storage: resource.MustParse("50Gi")}},
	}}}
}

func (w *scanWrapper) inputs(c OperatorConfig) JobInputs {
	in := JobInputs{Scan: w.obj(), Run: w.run(), Config: c, Identity: c.Identity, ClaimUIDs: []types.UID{claimUID}}
	if c.Qscanner != nil && resolve(&in.Scan.Spec).Engine == v1alpha1.EngineQscanner {
		in.JavaDB = c.Qscanner.JavaDB
	}
	return in
}

func TestBuildJobOfExecutedEngines(t *testing.T) {
	for golden, scan := range map[string]*scanWrapper{
		"job-qscanner.yaml":             makeScan().with(withQscanner),
		"job-qscanner-every-field.yaml": makeScan().with(everyQscannerSetting),
		"job-trivy.yaml":                makeScan().with(withTrivy),
	} {
		t.Run(golden, func(t *testing.T) { compareWithGolden(t, golden, BuildJob(scan.inputs(everyEngine()))) })
	}
}

// What follows holds for the pods of every engine.
func TestEveryPodOfAnExecutedEngine(t *testing.T) {
	for name, scan := range map[string]*scanWrapper{
		"qscanner": makeScan().with(everyQscannerSetting), "trivy": makeScan().with(withTrivy),
	} {
		t.Run(name, func(t *testing.T) {
			pod := BuildJob(scan.inputs(everyEngine())).Spec.Template.Spec
			for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
				s := c.SecurityContext
				if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
					t.Errorf("container %s may more than it needs", c.Name)
				}
				if c.Name != scannerContainer && slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == v1alpha1.QscannerTokenKey }) {
					t.Errorf("container %s gets the token", c.Name)
				}
				if c.Name == reporterContainer && (mountOf(c, tmpVolume) != nil || mountOf(c, engineVolume) != nil) {
					t.Error("the reporter sees what the engine reads or writes")
				}
				for _, arg := range c.Args {
					if strings.Contains(arg, "qualys") {
						t.Errorf("container %s is told where the token lies: %s", c.Name, arg)
					}
				}
			}
			scanner := pod.Containers[0]
			if m := mountOf(scanner, engineVolume); m != nil && !m.ReadOnly {
				t.Error("the scanner can write its engine")
			}
			if m := mountOf(scanner, tmpVolume); m == nil || m.MountPath != tmpDir {
				t.Error("the scanner has no tmp")
			}
		})
	}
}

func TestNoTokenIsHandedOutWhereNoneIsNeeded(t *testing.T) {
	scan := makeScan().with(withQscanner).with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Qscanner.Mode = v1alpha1.QscannerInventoryOnly })
	for _, e := range BuildJob(scan.inputs(everyEngine())).Spec.Template.Spec.Containers[0].Env {
		if e.ValueFrom != nil {
			t.Errorf("variable %s comes from %v", e.Name, e.ValueFrom)
		}
	}
}

func TestTheDiskOfTmpIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		tmp            v1alpha1.Tmp
		asked          corev1.ResourceRequirements
		limit, request string
	}{
		"by default": {v1alpha1.Tmp{}, corev1.ResourceRequirements{}, "11904Mi", "10Gi"},
		"of another size": {v1alpha1.Tmp{SizeLimit: ptr.To(resource.MustParse("1Gi"))},
			corev1.ResourceRequirements{}, "2688Mi", "1Gi"},
		"where the spec has its own": {v1alpha1.Tmp{},
			corev1.ResourceRequirements{Limits: quantities("ephemeral-storage", "40Gi"), Requests: quantities("ephemeral-storage", "1Gi")}, "40Gi", "1Gi"},
		"not in memory":              {v1alpha1.Tmp{Medium: corev1.StorageMediumMemory}, corev1.ResourceRequirements{}, "0", "0"},
		"not on a volume of its own": {makeScan().with(withTrivy).Spec.Tmp, corev1.ResourceRequirements{}, "0", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			scan := makeScan().with(withQscanner).with(func(s *v1alpha1.SIFScan) { s.Spec.Tmp, s.Spec.Resources = c.tmp, c.asked })
			got := BuildJob(scan.inputs(everyEngine())).Spec.Template.Spec.Containers[0].Resources
			for what, pair := range map[string][2]resource.Quantity{
				"limit":   {*got.Limits.StorageEphemeral(), resource.MustParse(c.limit)},
				"request": {*got.Requests.StorageEphemeral(), resource.MustParse(c.request)},
			} {
				if pair[0].Cmp(pair[1]) != 0 {
					t.Errorf("%s %s, want %s", what, pair[0].String(), pair[1].String())
				}
			}
		})
	}
}

func TestATmpThatDoesNotFitIsRefused(t *testing.T) {
	size := func(text string) *resource.Quantity { return ptr.To(resource.MustParse(text)) }
	for name, c := range map[string]struct {
		scan *scanWrapper
		tmp  v1alpha1.Tmp
		own  corev1.ResourceList
		want string
	}{
		"the default on disk":          {makeScan().with(withQscanner), v1alpha1.Tmp{}, nil, ""},
		"the default in memory":        {makeScan().with(withQscanner), v1alpha1.Tmp{Medium: corev1.StorageMediumMemory}, nil, "10Gi with medium Memory counts against spec.resources.limits.memory, which is 4Gi: raise that to 10752Mi at least"},
		"memory for it":                {makeScan().with(withQscanner), v1alpha1.Tmp{Medium: corev1.StorageMediumMemory, SizeLimit: size("2Gi")}, nil, ""},
		"a disk too small for it":      {makeScan().with(withQscanner), v1alpha1.Tmp{}, quantities("ephemeral-storage", "10Gi"), "makes 11904Mi: remove the limit, or raise it"},
		"an engine that needs no tmp":  {makeScan(), v1alpha1.Tmp{Medium: corev1.StorageMediumMemory}, nil, ""},
		"a volume instead of the disk": {makeScan().with(withTrivy), makeScan().with(withTrivy).Spec.Tmp, quantities("ephemeral-storage", "1Gi"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.scan.Spec.Tmp, c.scan.Spec.Resources.Limits = c.tmp, c.own
			expectHold(t, checkTmp(&c.scan.Spec), v1alpha1.ReasonInvalidSpec, c.want)
		})
	}
}

func TestAnEngineThatCannotRunIsRefused(t *testing.T) {
	with := func(change func(*OperatorConfig)) OperatorConfig { c := everyEngine(); change(&c); return c }
	for name, c := range map[string]struct {
		scan         *scanWrapper
		config       OperatorConfig
		reason, want string
	}{
		"qscanner":                     {makeScan().with(withQscanner), everyEngine(), "", ""},
		"qscanner that the site lacks": {makeScan().with(withQscanner), config, v1alpha1.ReasonNotAllowed, "no binary of the engine qscanner: set spec.scanner.engine to native, or ask the operator's administrator for --qscanner-image"},
		"trivy that the site lacks":    {makeScan().with(withTrivy), config, v1alpha1.ReasonNotAllowed, "ask the operator's administrator for --trivy-image"},
		"native needs nothing":         {makeScan(), config, "", ""},
		"no platform": {makeScan().with(withQscanner).with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Qscanner.Platform = "" }),
			with(func(c *OperatorConfig) { c.Qscanner.GatewayURL = "" }), v1alpha1.ReasonInvalidSpec, "name your Qualys platform"},
		"no platform, and the site's gateway": {makeScan().with(withQscanner).with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Qscanner.Platform = "" }),
			everyEngine(), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			expectHold(t, c.config.checkEngine(&c.scan.Spec), c.reason, c.want)
		})
	}
}

// expectHold expects a hold that stalls the scan, or none where no text is wanted.
func expectHold(t *testing.T, err error, reason, text string) {
	t.Helper()
	var h *hold
	switch {
	case text == "" && err != nil:
		t.Errorf("refused: %v", err)
	case text == "":
	case !errors.As(err, &h) || !h.stalled || h.reason != reason || !strings.Contains(h.message, text):
		t.Errorf("got %v, want %s: …%s…", err, reason, text)
	}
}

func TestTheSitesBinaryMustBeOneThatCannotBeExchanged(t *testing.T) {
	for name, c := range map[string]struct {
		binary Binary
		says   string
	}{
		"an image by digest":          {Binary{Image: qscannerImage, Path: "/qscanner"}, ""},
		"a file of the agent image":   {Binary{Path: "/opt/trivy", SHA256: trivySum}, ""},
		"an image by tag":             {Binary{Image: "registry.example/qscanner:4.8", Path: "/qscanner"}, "name it by digest"},
		"a digest that is cut":        {Binary{Image: qscannerImage[:len(qscannerImage)-1], Path: "/qscanner"}, "name it by digest"},
		"a file without its sum":      {Binary{Path: "/opt/trivy"}, "needs its sha256"},
		"a relative path":             {Binary{Image: qscannerImage, Path: "qscanner"}, "full path"},
		"a path that leads elsewhere": {Binary{Image: qscannerImage, Path: "/a/../qscanner"}, "full path"},
		"a sum that is none":          {Binary{Path: "/opt/trivy", SHA256: "abc"}, "64 hexadecimal digits"},
	} {
		t.Run(name, func(t *testing.T) { expectError(t, c.binary.Check(), c.says) })
	}
}

func TestTheSitesWayToThePlatformIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*QscannerConfig)
		says   string
	}{
		"as it should be":         {func(*QscannerConfig) {}, ""},
		"a gateway's host":        {func(c *QscannerConfig) { c.GatewayURL = "gateway.example" }, "gateway: use a URL"},
		"a proxy's password":      {func(c *QscannerConfig) { c.Proxy = "http://user:secret@proxy.example" }, "proxy: remove the user"},
		"a proxy of another kind": {func(c *QscannerConfig) { c.Proxy = "socks5://proxy.example" }, "proxy: use a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			q := *everyEngine().Qscanner
			c.change(&q)
			expectError(t, q.Check(), c.says)
		})
	}
}

func expectError(t *testing.T, err error, says string) {
	t.Helper()
	if (err != nil) != (says != "") || err != nil && !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %q", err, says)
	}
}

func TestTheSitesDatabaseIsMissedOnlyWhereTheAPIServerHasNoneEither(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	source := &v1alpha1.DatabaseSource{ClaimName: "db"}
	there := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: "db", UID: claimUID}}
	for _, tc := range []struct {
		name        string
		cache, live []client.Object
		want        *v1alpha1.DatabaseSource
	}{
		{"there is none", nil, nil, nil},
		{"the cache shows it", []client.Object{there}, nil, source},
		{"the cache does not show it yet", nil, []client.Object{there}, source},
	} {
		server := func(objects []client.Object) client.WithWatch {
			return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
		}
		r := &Reconciler{Client: cacheOf(server(tc.cache)), Live: server(tc.live)}
		if got, err := r.shared(t.Context(), "hpc", source); err != nil || got != tc.want {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
	}
}
