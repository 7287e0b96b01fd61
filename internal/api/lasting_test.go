package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// lastingPaths are those of answers without an end, and what each says when its token ends it.
var lastingPaths = map[string]string{
	"/v1/events?follow=true": `"kind":"unauthenticated"`,
	"/v1/logs?follow=true":   `"kind":"unauthenticated"`,
	"/v1/watch":              "", // who comes anew is told
}

// opened is the answer to a request that shows a token, once its head is there.
func (n *node) opened(ctx context.Context, token, path string) io.ReadCloser {
	n.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+path, nil)
	ok(n, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	ok(n, err)
	if resp.StatusCode != http.StatusOK {
		n.Fatalf("GET %s = %d", path, resp.StatusCode)
	}
	return resp.Body
}

func TestAnOpenAnswerEndsWithItsToken(t *testing.T) {
	n := newNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for path, says := range lastingPaths {
		for how, asked := range map[string]wire.TokenCreate{
			"is removed": {Role: "viewer"},
			"expires":    {Role: "viewer", Expires: time.Now().Add(400 * time.Millisecond)},
		} {
			token := n.tokenOf("jane", asked)
			other := n.tokenOf("other", wire.TokenCreate{Role: "viewer"})
			body, stays := n.opened(ctx, token, path), n.opened(ctx, other, path)
			if asked.Expires.IsZero() {
				ok(n, n.client.RemoveToken(ctx, "jane"))
			}
			rest, err := io.ReadAll(body)
			if err != nil || !strings.Contains(string(rest), says) {
				t.Errorf("%s, whose token %s, ends with %q (%v), want %q", path, how, rest, err, says)
			}
			if got := n.as(token, http.MethodGet, path, ""); got.status != http.StatusUnauthorized {
				t.Errorf("%s, whose token %s, asked for anew = %d", path, how, got.status)
			}
			// Another's goes on: that it has ended would be seen before the next change is.
			if path == "/v1/watch" {
				_, err := n.client.SetConfig(ctx, "mark", "on")
				ok(n, err)
				if !reads(stays, `"name":"mark"`) {
					t.Errorf("%s of another token has ended, too, when the token %s", path, how)
				}
				ok(n, n.client.RemoveConfig(ctx, "mark"))
			}
			body.Close()
			stays.Close()
			if !asked.Expires.IsZero() {
				ok(n, n.client.RemoveToken(ctx, "jane"))
			}
			ok(n, n.client.RemoveToken(ctx, "other"))
		}
	}
}

// reads says whether a text comes before the end.
func reads(r io.Reader, text string) bool {
	var seen strings.Builder
	part := make([]byte, 4<<10)
	for !strings.Contains(seen.String(), text) {
		n, err := r.Read(part)
		seen.Write(part[:n])
		if err != nil {
			return strings.Contains(seen.String(), text)
		}
	}
	return true
}

// What a person's token allows ends by its time alone: the node has not given it out.
func TestAPersonsTimeIsUp(t *testing.T) {
	n := newNode(t)
	who := access.Actor{Type: access.User, ID: "jane", Grant: access.Grant{Role: access.Viewer, Expires: time.Now().Add(50 * time.Millisecond)}}
	ctx, cancel := context.WithTimeout(access.With(t.Context(), who), 20*time.Second)
	defer cancel()
	if err := n.api.untilUnknown(ctx, "a.b.c"); fault.KindOf(err) != fault.Unauthenticated || time.Now().Before(who.Expires) {
		t.Errorf("the stream ends by %v", err)
	}
}

// Each answer of many lines or events ends with its token; one that ends by itself need not.
func TestWhatLastsIsSaidToLast(t *testing.T) {
	bounded := map[string]bool{"build": true} // ends when the build does
	for _, r := range newNode(t).api.routes() {
		if many := r.AnswerType == ndjson || r.AnswerType == eventStream; many != r.Lasts && !bounded[r.Name] {
			t.Errorf("%s %s: Lasts = %v", r.Method, r.Path, r.Lasts)
		}
	}
}
