// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestTheClosestAccountIsTaken(t *testing.T) {
	keys, err := parseCredentials([]byte(`{"credsStore":"evil","auths":{
		"https://index.docker.io/v1/": {"auth":"aHViOnB3OjE="},
		"registry.example":            {"username":"site","password":"p"},
		"registry.example/team":       {"username":"team","password":"p"},
		"registry.example/team/app":   {"identitytoken":"token"},
		"http://plain.example:5000/":  {"username":"plain","password":"p"},
		"*.wild.example":              {"username":"wild","password":"p"}
	}}`))
	if err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"nginx":                        "hub:pw:1",
		"docker.io/library/nginx:1.27": "hub:pw:1",
		"registry.example/other":       "site:p",
		"registry.example/teams":       "site:p",
		"registry.example/team/x/y@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "team:p",
		"registry.example/team/app:1":     ":",
		"registry.example:443/app":        ":",
		"plain.example:5000/app":          "plain:p",
		"a.wild.example/app":              "wild:p",
		"a.b.wild.example/app":            ":",
		"evil.example/registry.example/a": ":",
	} {
		ref, err := name.ParseReference(reference)
		if err != nil {
			t.Fatal(err)
		}
		account, err := keys.Resolve(ref.Context())
		if err != nil {
			t.Fatal(err)
		}
		config, err := account.Authorization()
		if err != nil {
			t.Fatal(err)
		}
		if got := config.Username + ":" + config.Password; got != want {
			t.Errorf("%s: got %s, want %s", reference, got, want)
		}
		if reference == "registry.example/team/app:1" && config.IdentityToken != "token" {
			t.Error("the repository's own token was not taken")
		}
	}
	if account, err := credentials(nil).Resolve(name.MustParseReference("a").Context()); err != nil || account != authn.Anonymous {
		t.Errorf("without credentials: %v, %v", account, err)
	}
}
