package callback

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// patience is for one request; maxAgain bounds what a host may ask for by Retry-After.
	patience = 10 * time.Second
	maxAgain = 10 * time.Minute
	// maxAnswer is how much of an answer is read, so that the connection can be used again.
	maxAnswer = 64 << 10
)

// message is one callback as it is sent.
type message struct {
	url, run     string
	body, secret []byte
}

// post sends a message once. The signature is of the time, a dot and the body, as a route's auth: {signature: {timestamp}} checks it.
func (k *Keeper) post(ctx context.Context, m message) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return 0, fault.New(fault.Invalid, "make a callback: %w", err)
	}
	at := strconv.FormatInt(k.o.Now().Unix(), 10)
	mac := hmac.New(sha256.New, bytes.TrimRight(m.secret, "\r\n"))
	fmt.Fprintf(mac, "%s.%s", at, m.body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "dalamb")
	r.Header.Set(function.HeaderCallback, m.run)
	r.Header.Set(function.HeaderCallbackTime, at)
	r.Header.Set(function.HeaderCallbackSignature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	res, err := k.client.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		if fault.KindOf(err) == fault.Denied {
			return 0, fmt.Errorf("call %s back: %w", hostOf(m.url), err)
		}
		return 0, fault.New(fault.Unavailable, "%s does not answer: %w", hostOf(m.url), err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
	switch s := res.StatusCode; {
	case s >= 200 && s < 300:
		return 0, nil
	case s >= 500, s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s == http.StatusTooEarly:
		if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
			again = min(time.Duration(min(seconds, 1<<20))*time.Second, maxAgain)
		}
		return again, fault.New(fault.Unavailable, "%s answers %d", hostOf(m.url), s)
	case s >= 300 && s < 400:
		return 0, fault.New(fault.Denied, "%s answers %d, and a callback follows nobody elsewhere", hostOf(m.url), s)
	default:
		return 0, fault.New(fault.Denied, "%s answers %d", hostOf(m.url), s)
	}
}

// hostOf is whom a URL asks. What else stands in it may be secret.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "no host"
	}
	return u.Host
}
