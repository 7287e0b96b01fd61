// Package issuer says what a JSON Web Token claims, where an issuer has signed it: it has the issuer's public keys, and keeps them. It does not know what
// the claims are good for (gateway's routes and the control API do), and has nobody sign in (signin does).
package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How an issuer's keys are kept. They are fetched when the first token comes; again when they are old, and when a token names one that is not
// among them, but not more often than once in keysPause, whoever sends what. While the issuer cannot be reached the old ones hold.
const (
	keysAge     = time.Hour
	keysPause   = 30 * time.Second
	keysTimeout = 10 * time.Second
	maxKeys     = 1 << 20 // bytes of a document
)

// Options of New. Issuer and Audience are required.
type Options struct {
	Issuer   string
	Audience []string // of which a token must be for one
	Keys     string   // URL of the public keys; "" = the issuer's description says
	Now      func() time.Time
}

// Issuer has the public keys of who signs tokens. Safe for concurrent use.
type Issuer struct {
	o      Options
	client *http.Client
	turn   chan struct{} // holds a value while a request asks the issuer

	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	fetched time.Time // zero = never
	tried   time.Time
	err     error // of the last try
}

// New asks nobody: the first token does.
func New(o Options) *Issuer {
	if o.Now == nil {
		o.Now = time.Now
	}
	// A redirect could lead from https to anywhere.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Issuer{o: o, client: client, turn: make(chan struct{}, 1)}
}

// find returns the keys that a token may be signed with: those of its key id, or all where it names none. None is no error. One request at a time
// asks the issuer; those for which old keys are at hand do not wait for it.
func (i *Issuer) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	keys, ok, err := i.known(id)
	if ok {
		return keys, err
	}
	if len(keys) > 0 {
		select {
		case i.turn <- struct{}{}:
		default:
			return keys, nil
		}
	} else {
		select {
		case i.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for keys of %s: %w", i.o.Issuer, ctx.Err())
		}
	}
	defer func() { <-i.turn }()
	if keys, ok, err := i.known(id); ok { // another request has fetched them, or has found that they cannot be had
		return keys, err
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout) // it is for all, not only for a client that may go
	defer cancel()
	fresh, err := i.fetch(limited)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tried, i.err = i.o.Now(), err
	if err == nil {
		i.keys, i.fetched = fresh, i.tried
	}
	if i.fetched.IsZero() {
		return nil, err
	}
	return i.of(id), nil
}

// known says what is known without asking the issuer; ok is false when it has to be asked.
func (i *Issuer) known(id string) (keys []jose.JSONWebKey, ok bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.o.Now()
	keys = i.of(id)
	if len(keys) > 0 && now.Sub(i.fetched) < keysAge {
		return keys, true, nil
	}
	if i.fetched.IsZero() {
		err = i.err
	}
	return keys, !i.tried.IsZero() && now.Sub(i.tried) < keysPause, err
}

// of needs mu.
func (i *Issuer) of(id string) []jose.JSONWebKey {
	if id == "" {
		return i.keys.Keys
	}
	return i.keys.Key(id)
}

// fetch gets the keys, by way of the issuer's description where nothing else is said. OpenID Connect Discovery 1.0, section 4.
func (i *Issuer) fetch(ctx context.Context) (keys jose.JSONWebKeySet, err error) {
	address := i.o.Keys
	if address == "" {
		var about struct {
			Issuer string `json:"issuer"`
			Keys   string `json:"jwks_uri"`
		}
		if err := i.get(ctx, strings.TrimSuffix(i.o.Issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
			return keys, err
		}
		if about.Issuer != i.o.Issuer {
			return keys, fmt.Errorf("discover issuer %s: it calls itself %q", i.o.Issuer, about.Issuer)
		}
		if !strings.HasPrefix(about.Keys, "https://") && !strings.HasPrefix(i.o.Issuer, "http://") {
			return keys, fmt.Errorf("discover issuer %s: its keys are at %q, not at https", i.o.Issuer, about.Keys)
		}
		address = about.Keys
	}
	var all struct{ Keys []json.RawMessage }
	if err := i.get(ctx, address, &all); err != nil {
		return keys, err
	}
	for _, text := range all.Keys {
		var k jose.JSONWebKey
		// One that is of a kind which is not known here is not for us: RFC 7517, section 5.
		if json.Unmarshal(text, &k) == nil && k.Valid() && k.IsPublic() && k.Use != "enc" {
			keys.Keys = append(keys.Keys, k)
		}
	}
	return keys, nil
}

func (i *Issuer) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch keys from %s: status %d", address, resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys+1))
	if err == nil && len(b) > maxKeys {
		err = fmt.Errorf("more than %d bytes", maxKeys)
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("read keys from %s: %w", address, err)
	}
	return nil
}
