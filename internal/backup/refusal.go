package backup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/dalamb/dalamb/internal/fault"
)

// refused says in words for a person why the store did not do something, such as "read FORMAT".
func (b *bucket) refused(what string, err error) error {
	if cause := (*fault.Error)(nil); errors.As(err, &cause) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var no minio.ErrorResponse
	if !errors.As(err, &no) {
		return b.unreached(what, err)
	}
	said := fault.Clip(no.Error())
	switch no.Code {
	case minio.NoSuchBucket:
		return fault.New(fault.NotFound, "there is no bucket %s at %s", b.name, b.endpoint).WithHint("make it, or check the name, --endpoint and --region")
	case minio.InvalidAccessKeyID, "InvalidToken", "InvalidClientTokenId":
		return fault.New(fault.Denied, "%s does not know the access key: %s", b.endpoint, said).WithHint("check the keys, and that they are of this store: --endpoint")
	case "SignatureDoesNotMatch":
		return fault.New(fault.Denied, "%s does not take the secret key for that of the access key: %s", b.endpoint, said).WithHint("check the keys, and --region")
	case "ExpiredToken", "ExpiredTokenException":
		return fault.New(fault.Denied, "the keys for %s have expired: %s", b.endpoint, said).WithHint("get new ones")
	case "RequestTimeTooSkewed":
		return fault.New(fault.Denied, "the clock of this machine and that of %s are far apart: %s", b.endpoint, said).WithHint("set this machine's clock")
	case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", minio.InvalidRegion:
		hint := "name its region by --region"
		if no.Region != "" {
			hint = fmt.Sprintf("name it: --region %q", fault.Clip(no.Region))
		}
		return fault.New(fault.Invalid, "bucket %s is in another region: %s", b.name, said).WithHint("%s", hint)
	case minio.NotImplemented, "MethodNotAllowed":
		return fault.New(fault.Invalid, "%s cannot do what a backup needs, %s: %s", b.endpoint, what, said).WithHint("docs/backup.md says what a store must know; use another one, or a directory")
	}
	if no.StatusCode == http.StatusForbidden {
		return fault.New(fault.Denied, "the keys do not allow to %s in %s: %s", what, b, said).WithHint("docs/backup.md has the policy that a backup takes")
	}
	return fault.New(fault.Unavailable, "%s in %s: the store says: %s", what, b, said)
}

// unreached says why nothing was heard of the store.
func (b *bucket) unreached(what string, err error) error {
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		noRecord tls.RecordHeaderError
	)
	if asked := (*url.Error)(nil); errors.As(err, &asked) {
		err = asked.Err // without the address of the object, which what names
	}
	hint := "check --endpoint, and that this machine reaches it"
	switch {
	case errors.As(err, &unknown):
		hint = "name the authority of its certificate by AWS_CA_BUNDLE"
	case errors.As(err, &name), errors.As(err, &invalid):
		hint = "check --endpoint, and the certificate there"
	case errors.As(err, &noRecord), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		hint = "it speaks no TLS: where nobody else can listen, write http:// in --endpoint"
	}
	return fault.New(fault.Unavailable, "%s in %s: %s does not answer: %w", what, b, b.endpoint, err).WithHint("%s", hint)
}
