package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var testPrograms = programs{kube: "/cache/kube", debian: "/cache/debian", pause: "/cache/pause"}

func testLayout(t *testing.T) layout {
	t.Helper()
	l, err := newLayout("dev", 3)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// written lists every file that configure writes.
func written(t *testing.T, l layout) map[string]bool {
	t.Helper()
	files := map[string]bool{l.pki("service-accounts.key"): true}
	rendered, err := l.render(testPrograms)
	if err != nil {
		t.Fatal(err)
	}
	for file := range rendered {
		files[l.state("config", file)] = true
	}
	for file := range l.clients() {
		files[file] = true
	}
	for authority, requests := range l.certificates() {
		files[l.state("pki", authority, "ca.crt")] = true
		for name := range requests {
			files[l.state("pki", authority, name+".crt")] = true
			files[l.state("pki", authority, name+".key")] = true
		}
	}
	return files
}

func TestComponentsReadOnlyFilesThatAreWritten(t *testing.T) {
	l := testLayout(t)
	files := written(t, l)
	for _, c := range l.components(testPrograms) {
		for _, file := range c.files {
			if !files[file] {
				t.Errorf("%s reads %s, which nobody writes", c.name, file)
			}
		}
		for _, argument := range c.argv[1:] {
			_, value, _ := strings.Cut(argument, "=")
			inConfig := strings.HasPrefix(value, l.state("config")+"/") || strings.HasPrefix(value, l.state("pki")+"/")
			if inConfig && !files[value] {
				t.Errorf("%s has the argument %s, a file that nobody writes", c.name, argument)
			}
		}
	}
}

func TestAComponentIsStartedAgainWhenACertificateOfItsChanges(t *testing.T) {
	// The key of a certificate changes with it, so the certificate stands for both.
	l := testLayout(t)
	for _, c := range l.components(testPrograms) {
		for _, argument := range c.argv[1:] {
			_, value, _ := strings.Cut(argument, "=")
			if strings.HasSuffix(value, ".crt") && !slices.Contains(c.files, value) {
				t.Errorf("%s reads %s, but a change of it goes unnoticed", c.name, value)
			}
		}
	}
}

func TestConfigurationOfTwoClustersSharesNoPath(t *testing.T) {
	one, other := testLayout(t), layout{name: "test", index: 4}
	rendered, err := other.render(testPrograms)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range rendered {
		for _, path := range []string{one.state() + "/", one.run() + "/", one.group() + "/"} {
			if strings.Contains(string(content), path) {
				t.Errorf("%s of one cluster names %s of another", file, path)
			}
		}
	}
}

func TestSettingsWithoutWhichPodsDoNotStartAreThere(t *testing.T) {
	rendered, err := testLayout(t).render(testPrograms)
	if err != nil {
		t.Fatal(err)
	}
	for file, settings := range map[string][]string{
		"containerd.toml": {"restrict_oom_score_adj = true", `sandbox_image = "` + pauseImage + `"`, "SystemdCgroup = false"},
		"kubelet.yaml":    {"cgroupDriver: cgroupfs", "failCgroupV1: false", "failSwapOn: false", `cgroupRoot: "/sifscan-operator/dev/pods"`},
		"kube-proxy.yaml": {"mode: nftables", `clusterCIDR: "10.213.3.128/25"`},
	} {
		for _, setting := range settings {
			if !strings.Contains(string(rendered[file]), setting) {
				t.Errorf("%s lacks %s", file, setting)
			}
		}
	}
}

func TestAFingerprintChangesWithArgumentsAndFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	print := func(content string, arguments ...string) string {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		result, err := fingerprint(component{argv: arguments, files: []string{file}})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	first := print("a", "x")
	if print("a", "x") != first {
		t.Error("it changed with nothing")
	}
	if print("b", "x") == first {
		t.Error("it did not change with the file")
	}
	if print("a", "x", "y") == first {
		t.Error("it did not change with the arguments")
	}
}

func TestTheProgramsReportTheVersionThatIsPinned(t *testing.T) {
	module, err := os.ReadFile("../kube/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(module), "k8s.io/kubernetes "+kubeVersion+"\n") {
		t.Errorf("kube/go.mod does not require k8s.io/kubernetes %s", kubeVersion)
	}
	flags := strings.Join(versionFlags(kubeVersion), " ")
	if want := "k8s.io/component-base/version.gitMinor=36"; !strings.Contains(flags, want) {
		t.Errorf("%s lacks %s", flags, want)
	}
}
