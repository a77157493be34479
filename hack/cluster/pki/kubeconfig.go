package pki

import (
	"encoding/base64"
	"fmt"
)

// Kubeconfig is a file for one user of one cluster, with everything in it: it can be copied anywhere.
func Kubeconfig(name, server string, authority *Authority, client Pair) []byte {
	encode := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: %[1]s
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
contexts:
- name: %[1]s
  context: {cluster: %[1]s, user: %[1]s}
users:
- name: %[1]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`, name, server, encode(authority.PEM), encode(client.Cert), encode(client.Key))
}
