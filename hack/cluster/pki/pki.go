// Package pki makes the keys and certificates of a cluster: one certificate authority, the certificates it signs, and kubeconfig
// files that carry them. Files are kept from run to run and made again when they are missing, cut short by a crash, expired,
// signed by another authority or asked for other names.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// lifetime of every certificate: a development cluster is thrown away long before, so nothing rotates.
const lifetime = 10 * 365 * 24 * time.Hour

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// PEM is the authority's certificate, PEM-encoded.
	PEM []byte
}

// Request describes a certificate. Kubernetes reads the common name as the user and the organizations as its groups.
type Request struct {
	CommonName    string
	Organizations []string
	DNSNames      []string
	IPs           []net.IP
	// Server adds the extended key usage of a server to that of a client.
	Server bool
}

// Pair is a certificate with its private key, both PEM-encoded.
type Pair struct{ Cert, Key []byte }

// EnsureAuthority loads the authority kept in dir as ca.crt and ca.key, or makes a new one if there is none that is valid at now.
func EnsureAuthority(dir, commonName string, now time.Time) (*Authority, error) {
	if pair, err := readPair(dir, "ca"); err == nil {
		if cert, key, err := parsePair(pair); err == nil && cert.IsCA && validAt(cert, now) {
			return &Authority{cert: cert, key: key, PEM: pair.Cert}, nil
		}
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	pair, err := create(template, nil, now)
	if err != nil {
		return nil, err
	}
	if err := writePair(dir, "ca", pair); err != nil {
		return nil, err
	}
	cert, key, err := parsePair(pair)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key, PEM: pair.Cert}, nil
}

// Ensure returns the pair kept in dir as name.crt and name.key if it is what r asks for, signed by a and valid at now; otherwise
// it makes and keeps a new one.
func (a *Authority) Ensure(dir, name string, r Request, now time.Time) (Pair, error) {
	if pair, err := readPair(dir, name); err == nil {
		if cert, _, err := parsePair(pair); err == nil && a.matches(cert, r, now) {
			return pair, nil
		}
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if r.Server {
		usages = append(usages, x509.ExtKeyUsageServerAuth)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: r.CommonName, Organization: r.Organizations},
		DNSNames:    r.DNSNames,
		IPAddresses: r.IPs,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: usages,
	}
	pair, err := create(template, a, now)
	if err != nil {
		return Pair{}, err
	}
	return pair, writePair(dir, name, pair)
}

// EnsureKey keeps a private key in dir as name.key: the one that signs ServiceAccount tokens has no certificate.
func EnsureKey(dir, name string) error {
	path := filepath.Join(dir, name+".key")
	if data, err := os.ReadFile(path); err == nil {
		if _, err := parseKey(data); err == nil {
			return nil
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	data, err := encodeKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, data)
}

// matches reports whether cert is what r asks for and a signed it.
func (a *Authority) matches(cert *x509.Certificate, r Request, now time.Time) bool {
	return validAt(cert, now) &&
		cert.CheckSignatureFrom(a.cert) == nil &&
		cert.Subject.CommonName == r.CommonName &&
		slices.Equal(cert.Subject.Organization, r.Organizations) &&
		slices.Equal(cert.DNSNames, r.DNSNames) &&
		slices.EqualFunc(cert.IPAddresses, r.IPs, net.IP.Equal) &&
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) == r.Server
}

// create signs template with a, or with its own key if a is nil.
func create(template *x509.Certificate, a *Authority, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, err
	}
	template.SerialNumber = serial
	// An hour back: the pods' clock is the machine's, but the machine's may be set back after boot.
	template.NotBefore = now.Add(-time.Hour)
	template.NotAfter = now.Add(lifetime)
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return Pair{}, fmt.Errorf("signing the certificate of %s: %w", template.Subject.CommonName, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: keyPEM}, nil
}

func validAt(cert *x509.Certificate, now time.Time) bool {
	return now.After(cert.NotBefore) && now.Before(cert.NotAfter)
}
