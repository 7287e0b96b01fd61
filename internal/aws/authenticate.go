package aws

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
)

// caller is who has signed a request.
type caller struct {
	access.Actor
	done func() // gives the room of the body back
}

// expected is what a request has to be: of a service of AWS's, with a body of at most most bytes.
type expected struct {
	service string
	most    int64
}

// authenticate checks the signature of a request, whose body is in memory afterwards. The caller's done is to be called in any case.
func (l *Lambda) authenticate(w http.ResponseWriter, r *http.Request, want expected) (who caller, err error) {
	who.done = func() {}
	s, err := readSignature(r)
	if err != nil {
		return who, err
	}
	most := want.most
	// What can be known without the body is looked at first: a stranger shall make nobody hold one.
	key, ok := l.o.Catalog.View().AccessKey(s.key)
	switch {
	case !ok, r.Header.Get("X-Amz-Security-Token") != "" || r.URL.Query().Has("X-Amz-Security-Token"):
		return who, unrecognized() // nobody has temporary ones
	case s.service != want.service:
		return who, invalid(fmt.Sprintf("Credential should be scoped to correct service: '%s'.", want.service))
	case s.region != l.o.Region:
		return who, invalid(fmt.Sprintf("Credential should be scoped to a valid region: this node's is '%s' (AWS_REGION).", l.o.Region))
	}
	if err := s.timely(l.o.Now()); err != nil {
		return who, err
	}
	if name := s.unsigned(r); name != "" {
		return who, invalid("There were headers present in the request which were not signed: " + name)
	}
	held := most
	if r.ContentLength >= 0 {
		held = min(r.ContentLength, most)
	}
	giveBack, err := l.room.take(r.Context(), s.key, held)
	if err != nil {
		return who, err
	}
	who.done = giveBack
	body, err := readBody(w, r, bodyBounds{most, timeFor(held)})
	if err != nil {
		return who, err
	}
	digest := sha256.Sum256(body)
	sum := hex.EncodeToString(digest[:])
	if said := r.Header.Get("X-Amz-Content-Sha256"); said != "" && said != sum {
		return who, invalid("The provided 'x-amz-content-sha256' header does not match what was computed: the body has to be sent whole, and signed.")
	}
	plain, err := l.keys.open(key)
	if err != nil {
		return who, err
	}
	if !s.verify(r, sum, plain) {
		return who, mismatch()
	}
	if who.Actor = key.Actor(); who.Expired(l.o.Now()) {
		return who, expired(who.Actor)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return who, nil
}

// bodyBounds are a body's, in bytes and in time.
type bodyBounds struct {
	most   int64
	within time.Duration
}

func readBody(w http.ResponseWriter, r *http.Request, b bodyBounds) ([]byte, error) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(b.within)) // what cannot have deadlines is not slow
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, b.most))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, fault.New(fault.TooLarge, "Request must be smaller than %d bytes for this operation", b.most)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // it stays: net/http does not wait for the rest then
		return nil, fault.New(fault.Timeout, "the request's body took longer to arrive than %v", b.within)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "the body cannot be read: %w", err)
	}
	_ = c.SetReadDeadline(time.Time{})
	return body, nil
}

// withoutSignature is a request whose query has what the operation knows alone.
func withoutSignature(r *http.Request) *http.Request {
	if !strings.Contains(r.URL.RawQuery, "X-Amz-") {
		return r
	}
	q := r.URL.Query()
	for name := range q {
		if strings.HasPrefix(name, "X-Amz-") {
			q.Del(name)
		}
	}
	c := r.Clone(r.Context())
	c.URL.RawQuery = q.Encode()
	return c
}
