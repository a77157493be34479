package qscanner

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// gatewayWithin bounds the question whether the gateway answers. qscanner itself would try for half an hour.
const gatewayWithin = 9 * time.Second

// gateways are the platforms' API gateways. Platforms that are missing are not asked: no address of theirs is certain.
var gateways = map[string]string{
	"US1": "https://gateway.qg1.apps.qualys.com", "US2": "https://gateway.qg2.apps.qualys.com",
	"US3": "https://gateway.qg3.apps.qualys.com", "US4": "https://gateway.qg4.apps.qualys.com",
	"EU1": "https://gateway.qg1.apps.qualys.eu", "EU2": "https://gateway.qg2.apps.qualys.eu",
	"CA1": "https://gateway.qg1.apps.qualys.ca", "IN1": "https://gateway.qg1.apps.qualys.in",
	"AU1": "https://gateway.qg1.apps.qualys.com.au", "UK1": "https://gateway.qg1.apps.qualys.co.uk",
	"AE1": "https://gateway.qg1.apps.qualys.ae",
}

// reach asks the gateway for anything, the way qscanner will: through the same proxy, trusting the same CA. Any answer of the
// gateway will do; the token is not shown to it.
func (c Config) reach(ctx context.Context) error {
	address := c.GatewayURL
	if address == "" {
		address = gateways[c.Platform]
	}
	if address == "" {
		return nil
	}
	client, err := c.client()
	if err != nil {
		return &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: "the CA file for the gateway cannot be used", Err: err}
	}
	defer client.CloseIdleConnections()
	asking, cancel := context.WithTimeout(ctx, gatewayWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(asking, http.MethodHead, address, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err == nil {
		_ = answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusProxyAuthRequired, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			err = errors.New(answer.Status)
		default:
			return nil
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("ask the gateway: %w", ctx.Err())
	}
	through := ""
	if c.Proxy != "" {
		through = " through the proxy " + host(c.Proxy)
	}
	return &engine.Error{Reason: v1alpha1.ReasonBackendUnreachable, Err: withoutURL(err),
		Message: fmt.Sprintf("the gateway %s does not answer%s: check network policies, proxy and CA, or use the mode inventory-only", host(address), through)}
}

func (c Config) client() (*http.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if c.Proxy != "" {
		proxy, err := url.Parse(c.Proxy)
		if err != nil {
			return nil, errors.New("the proxy's URL is none")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	if c.CertFile != "" {
		pem, err := os.ReadFile(c.CertFile)
		if err != nil {
			return nil, err
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", c.CertFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// host is a URL without the user name and password that a proxy's may hold.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(no URL)"
	}
	return strings.TrimPrefix(u.Scheme+"://"+u.Host, "://")
}

// password is that of a URL; empty where it has none.
func password(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return ""
	}
	secret, _ := u.User.Password()
	return secret
}

// withoutURL takes the URL out of an error of the HTTP client: a proxy's holds its password.
func withoutURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
