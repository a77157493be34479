package native

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// privateKey returns a key made for the test, as openssl writes it.
func privateKey(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestSecretsAreNamedByRuleAndPlaceAndNeverShown(t *testing.T) {
	gitlab := "glpat-" + strings.Repeat("Ab3", 7)[:20]
	slack := "xoxb-" + strings.Repeat("1", 12) + "-" + strings.Repeat("Zz9", 10)
	huggingface := "hf_" + strings.Repeat("Qw", 17)
	key := privateKey(t)
	root := debianTree().
		file("opt/app/.env", "A=1\nTOKEN="+gitlab+"\n\nSLACK="+slack+"\n").
		file("root/.ssh/id_ed25519", key).
		file("root/.cache/huggingface/token", huggingface).
		file("etc/munge/munge.key", "\x00\x01\x02").
		file("usr/lib/python3/dist-packages/test/key.pem", key).
		file("opt/binary", "\x00"+gitlab).
		file("opt/app/readme", "glpat- and hf_ and xoxb- are prefixes")
	result := mustScan(t, engine.Target{
		Root: root.fs(), ScanTypes: []engine.ScanType{engine.ScanPackages, engine.ScanSecrets}, Formats: []engine.Format{engine.FormatJSON},
	})
	want := []engine.Secret{
		{Rule: "munge-key", Path: "etc/munge/munge.key"},
		{Rule: "gitlab-token", Path: "opt/app/.env", Line: 2},
		{Rule: "slack-token", Path: "opt/app/.env", Line: 4},
		{Rule: "huggingface-token", Path: "root/.cache/huggingface/token", Line: 1},
		{Rule: "private-key", Path: "root/.ssh/id_ed25519", Line: 1},
	}
	if diff := cmp.Diff(want, result.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	document := string(result.Documents[engine.InventoryFile])
	for _, value := range []string{gitlab, slack, huggingface, strings.Split(key, "\n")[1]} {
		if strings.Contains(document, value) {
			t.Error("the document holds a secret's value")
		}
	}
	if !strings.Contains(document, `"rule": "munge-key"`) {
		t.Error("the document does not name the secrets")
	}
}

func TestSecretsAreLookedForOnlyWhenAsked(t *testing.T) {
	root := debianTree().file("root/.ssh/id_ed25519", privateKey(t))
	if result := mustScan(t, engine.Target{Root: root.fs()}); result.Secrets != nil {
		t.Errorf("secrets = %v", result.Secrets)
	}
}

func TestALargeTextIsNotSearchedAndCounted(t *testing.T) {
	root := debianTree().file("data/big.csv", strings.Repeat("1,2,3\n", maxSecretFile/6+1))
	result := mustScan(t, engine.Target{Root: root.fs(), ScanTypes: []engine.ScanType{engine.ScanSecrets}})
	if !warned(result, "", "1 text files larger than 4194304 bytes were not searched") && !warned(result, "", "no package database") {
		t.Errorf("warnings = %v", result.Warnings)
	}
}

func TestSecretsHaveABound(t *testing.T) {
	line := "glpat-" + strings.Repeat("Ab3", 7)[:20] + "\n"
	root := debianTree().file("a", strings.Repeat(line, maxSecrets+10))
	if result := mustScan(t, engine.Target{Root: root.fs(), ScanTypes: []engine.ScanType{engine.ScanSecrets}}); len(result.Secrets) != maxSecrets {
		t.Errorf("%d secrets", len(result.Secrets))
	}
}
