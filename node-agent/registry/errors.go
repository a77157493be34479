// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Error is why an image could not be fetched.
type Error struct {
	// Reason is one of the API's reasons.
	Reason string
	// Message says what failed and what to change. Texts of the registry in it are not escaped.
	Message string
	// Err is the cause, if any.
	Err error
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// explain gives an error of a request its reason.
func explain(ctx context.Context, reference string, err error) error {
	var already *Error
	var answer *transport.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("fetch %s: %w", reference, context.Cause(ctx))
	case errors.As(err, &already):
		return already
	case errors.As(err, &answer):
		return answered(answer)
	case isNetwork(err):
		return &Error{Reason: v1alpha1.ReasonBackendUnreachable, Message: "the registry cannot be reached", Err: unreached(err)}
	}
	return &Error{Reason: v1alpha1.ReasonCorruptImage, Message: "what the registry sent cannot be understood", Err: err}
}

// answered explains an answer of the registry, or of the service that it has tokens from.
func answered(err *transport.Error) error {
	switch code := err.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return &Error{Reason: v1alpha1.ReasonCredentialsRejected, Err: err, Message: "the registry refuses the credentials, or has no such image for them: " +
			"check spec.target.image.reference and the Secret of pullSecretName (--authfile)"}
	case code == http.StatusNotFound:
		return &Error{Reason: v1alpha1.ReasonNoTargets, Message: "the registry has no such image: check the reference", Err: err}
	case code == http.StatusTooManyRequests, code >= http.StatusInternalServerError:
		return &Error{Reason: v1alpha1.ReasonBackendUnreachable, Message: "the registry does not answer requests now", Err: err}
	}
	return &Error{Reason: v1alpha1.ReasonEngineFailed, Message: "the registry refuses the request", Err: err}
}

// unreached says in short why the network failed. What go-containerregistry says names the request,
// and the one without TLS that was refused after it.
func unreached(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return fmt.Errorf("%w; the registry's private CA is named with --registry-ca-file, of the operator with --registry-ca-configmap", certificate)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("no host has the name %s", dns.Name)
	case errors.As(err, &dns):
		return fmt.Errorf("look up %s: %s", dns.Name, dns.Err)
	case errors.As(err, &op) && op.Addr != nil:
		return fmt.Errorf("%s: %w", op.Addr, op.Err)
	}
	return err
}

func isNetwork(err error) bool {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &network) || errors.As(err, &certificate) || errors.Is(err, errSilent) || errors.Is(err, errInsecure)
}
