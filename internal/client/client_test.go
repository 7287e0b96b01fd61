package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// serve answers every request alike. The calls themselves are tested against the real server, in api.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{Address: strings.TrimPrefix(s.URL, "http://"), Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	for _, address := range []string{"", "ftp://x", "http://", "::", "http://a b"} {
		if _, err := client.New(client.Options{Address: address}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("New(%q) = %v, want invalid", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:8081", "http://localhost:1/", "https://example.com", "[::1]:8081"} {
		if _, err := client.New(client.Options{Address: address}); err != nil {
			t.Errorf("New(%q) = %v", address, err)
		}
	}
}

func TestErrorsComeBackAsTheyWere(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   fault.Error
	}{
		{"of a node", 409, `{"error":{"kind":"conflict","message":"m","hint":"h"}}`, fault.Error{Kind: fault.Conflict, Message: "m", Hint: "h"}},
		{"of a proxy", 502, "<html>", fault.Error{Kind: fault.Internal, Message: "the node answered 502 Bad Gateway"}},
		{"of another server", 404, `{"detail":"gone"}`, fault.Error{Kind: fault.NotFound, Message: "the node answered 404 Not Found"}},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		})
		_, err := c.Node(t.Context())
		var got *fault.Error
		if !errors.As(err, &got) || *got != tt.want {
			t.Errorf("%s: Node = %v, want %+v", tt.name, err, tt.want)
		}
	}
}

// Whose token the node refuses learns from where it was taken; the node itself knows of a header alone. What another registry refuses is not meant.
func TestARefusedTokenIsExplainedByWhoTookIt(t *testing.T) {
	const body = `{"error":{"kind":"unauthenticated","message":"m","hint":"send a header"}}`
	for _, tt := range []struct{ name, challenge, body, message, hint string }{
		{"with a word", wire.TokenChallenge, body, "m", "from there"},
		{"without a word", wire.TokenChallenge, "", "the token is missing or wrong", "from there"},
		{"another's token", "", body, "m", "send a header"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tt.challenge != "" {
				w.Header().Set("WWW-Authenticate", tt.challenge)
			}
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(tt.body))
		}))
		t.Cleanup(s.Close)
		c, err := client.New(client.Options{Address: s.URL, Token: "t", TokenHint: "from there"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Node(t.Context())
		if fault.KindOf(err) != fault.Unauthenticated || err.Error() != tt.message || fault.HintOf(err) != tt.hint {
			t.Errorf("%s: Node = %v (hint %q), want %q (hint %q)", tt.name, err, fault.HintOf(err), tt.message, tt.hint)
		}
	}
}

func TestANodeThatIsNotThere(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	c, err := client.New(client.Options{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Functions(t.Context())
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "does not answer") || !strings.Contains(fault.HintOf(err), "dalamb up") {
		t.Errorf("Functions = %v (hint %q), want unavailable with the next step", err, fault.HintOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Functions(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Functions with a context that is done = %v, want canceled", err)
	}
}

func TestNamesAreEscaped(t *testing.T) {
	var path string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		_, _ = w.Write([]byte("{}"))
	})
	if _, err := c.Function(t.Context(), "a/../b c?d"); err != nil {
		t.Fatal(err)
	}
	if want := "/v1/functions/a%2F..%2Fb%20c%3Fd"; path != want {
		t.Errorf("path = %s, want %s", path, want)
	}
}

func TestStreams(t *testing.T) {
	line := `{"topic":"events","partition":0,"offset":1,"time":"2026-01-01T00:00:00Z"}` + "\n"
	for _, tt := range []struct {
		name, body string
		lines      int
		fails      string
	}{
		{"whole", line + line, 2, ""},
		{"empty", "", 0, ""},
		{"ended by the node", line + `{"error":{"kind":"not found","message":"topic gone"}}` + "\n", 1, "topic gone"},
		{"a line of no form", line + "oops\n" + line, 1, "decode line"},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tt.body)) })
		lines, failed := 0, ""
		for _, err := range c.Events(t.Context(), client.EventQuery{}) {
			if err != nil {
				failed = err.Error()
				continue
			}
			lines++
		}
		if lines != tt.lines || (failed == "") != (tt.fails == "") || !strings.Contains(failed, tt.fails) {
			t.Errorf("%s: %d lines, then %q, want %d, then %q", tt.name, lines, failed, tt.lines, tt.fails)
		}
	}
}

func TestAStreamThatBreaksIsAnError(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"offset":1}` + "\n"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	var last error
	for _, err := range c.Events(t.Context(), client.EventQuery{Follow: true}) {
		last = err
	}
	if fault.KindOf(last) != fault.Unavailable {
		t.Errorf("the stream ended with %v, want unavailable", last)
	}
}

func TestAStreamStopsWithItsReader(t *testing.T) {
	gone := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"offset":1}` + "\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	for at, err := range c.Events(t.Context(), client.EventQuery{Follow: true}) {
		if err != nil || at.Offset != 1 {
			t.Errorf("first = %+v, %v", at, err)
		}
		break
	}
	<-gone // the server has seen the client leave
}

func TestTheTokenIsShown(t *testing.T) {
	var auth string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		auth = r.Header.Get("Authorization")
		_, _ = w.Write([]byte("{}"))
	})
	if _, err := c.Redrive(t.Context(), wire.Redrive{All: true}); err != nil {
		t.Fatal(err)
	}
	if auth != "Bearer t" {
		t.Errorf("Authorization = %q", auth)
	}
}

func TestAGatewayIsNamedByNothingButWhereItIs(t *testing.T) {
	for of, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", "http://localhost:1/": "http://localhost:1", "HTTPS://Example.com": "https://example.com",
		"http://h/path": "", "http://h?q=1": "", "http://h?": "", "http://h#f": "", "http://jane:word@h": "", "h/path": "", "ftp://h": "", "": "",
	} {
		got, err := client.GatewayURL(of)
		if got != want || want == "" && fault.KindOf(err) != fault.Invalid {
			t.Errorf("GatewayURL(%s) = %q, %v; want %q", of, got, err, want)
		}
	}
}

func TestAGatewayThatDoesNotAnswerIsAskedForByItsFlag(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	c, err := client.New(client.Options{Gateway: s.URL, Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Emit(t.Context(), "events", nil)
	if hint := fault.HintOf(err); fault.KindOf(err) != fault.Unavailable || !strings.Contains(hint, "--gateway") || strings.Contains(hint, "DALAMB_CONTROL") {
		t.Errorf("Emit = %v, hint %q; want one that names --gateway", err, hint)
	}
}
