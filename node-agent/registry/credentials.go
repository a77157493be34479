// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// credentials are accounts by registry, and by folder of a registry. Credential helpers are not
// run: whoever writes the file would choose a program.
type credentials map[string]authn.AuthConfig

// parseCredentials reads what `docker login` writes (docker, cli/config/configfile).
func parseCredentials(content []byte) (credentials, error) {
	if len(content) == 0 {
		return nil, nil
	}
	var file struct {
		Auths map[string]struct {
			Auth          string `json:"auth"`
			Username      string `json:"username"`
			Password      string `json:"password"`
			IdentityToken string `json:"identitytoken"`
			RegistryToken string `json:"registrytoken"`
		} `json:"auths"`
	}
	// Neither error repeats the content, which is secret.
	if json.Unmarshal(content, &file) != nil {
		return nil, errors.New("the registry's credentials are no JSON as docker login writes it: use a Secret of the type kubernetes.io/dockerconfigjson")
	}
	keys := credentials{}
	for key, a := range file.Auths {
		account := authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
		if a.Auth != "" {
			pair, err := base64.StdEncoding.DecodeString(a.Auth)
			user, password, ok := strings.Cut(string(pair), ":")
			if err != nil || !ok {
				return nil, fmt.Errorf("the registry's credentials for %q: auth is no base64 of user:password", key)
			}
			account.Username, account.Password = user, strings.TrimRight(password, "\x00")
		}
		keys[place(key)] = account
	}
	return keys, nil
}

// place is what a key of the file stands for: host, or host and folder. Docker writes its own
// registry as the URL of an API that no longer exists.
func place(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimRight(key, "/")
	host, folder, _ := strings.Cut(key, "/")
	if host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io" {
		if host = "index.docker.io"; folder == "v1" || folder == "v2" {
			folder = ""
		}
	}
	return strings.TrimRight(host+"/"+folder, "/")
}

// Resolve finds the account for a repository, the closest first, as kubelet does: the repository's
// own, that of a folder above it, the registry's, one for *.example.com.
func (c credentials) Resolve(repository authn.Resource) (authn.Authenticator, error) {
	for at := repository.String(); ; {
		if account, ok := c[at]; ok {
			return authn.FromConfig(account), nil
		}
		end := strings.LastIndexByte(at, '/')
		if end < 0 {
			break
		}
		at = at[:end]
	}
	for key, account := range c {
		if strings.Contains(key, "*") && matches(key, repository.RegistryStr()) {
			return authn.FromConfig(account), nil
		}
	}
	return authn.Anonymous, nil
}

// matches compares label by label: *.example.com is no account for a.b.example.com.
func matches(pattern, host string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
