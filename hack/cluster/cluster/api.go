package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// api asks the API server of a cluster, as its administrator.
type api struct {
	client *http.Client
	server string
}

func (l layout) api() (*api, error) {
	ca, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", l.pki("ca.crt"))
	}
	pair, err := tls.LoadX509KeyPair(l.pki("client-kubeconfig.crt"), l.pki("client-kubeconfig.key"))
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}},
		// A connection to an API server that was killed is not to be tried again.
		DisableKeepAlives: true,
	}
	return &api{client: &http.Client{Transport: transport, Timeout: 5 * time.Second}, server: l.server()}, nil
}

// get decodes what is at path into a value; nil ignores it.
func (a *api) get(ctx context.Context, path string, value any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.server+path, nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(body, value)
}

// ready reports why the API server does not serve yet.
func (a *api) ready(ctx context.Context) error { return a.get(ctx, "/readyz", nil) }

// nodeReady reports why no pod can start yet. The node's condition alone is not enough: the API server keeps the word of a kubelet
// that is dead. Pods also need the default ServiceAccount of their namespace.
func (a *api) nodeReady(ctx context.Context) error {
	if err := a.get(ctx, "/api/v1/nodes/"+nodeName+"/proxy/healthz", nil); err != nil {
		return fmt.Errorf("asking kubelet: %w", err)
	}
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := a.get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}
		if condition.Status != "True" {
			return fmt.Errorf("node %s is not ready: %s", nodeName, condition.Message)
		}
		return a.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	}
	return errors.New("kubelet has not reported yet")
}
