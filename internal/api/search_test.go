package api

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestQuestionsAreBounded(t *testing.T) {
	n := newNode(t)
	for range maxSearches {
		n.api.searches <- struct{}{}
	}
	for _, path := range []string{"/v1/past", "/v1/changes", "/v1/explanation?id=x", "/v1/trace?id=x"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", n.url+path, nil)
		ok(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		ok(t, err)
		res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" {
			t.Errorf("%s, of which enough are under way: %d, Retry-After %q, want 503 and 1", path, res.StatusCode, res.Header.Get("Retry-After"))
		}
	}
	for range maxSearches {
		<-n.api.searches
	}
	_, err := n.client.Past(t.Context(), time.Time{}, "")
	ok(t, err)
}

func TestAQuestionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &API{searches: make(chan struct{}, 1)}
		err := a.search(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
			t.Errorf("a question that takes too long: %v, want unavailable with a hint", err)
		}
		if len(a.searches) != 0 {
			t.Error("it keeps its place")
		}
	})
}
