package entry

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// told is what the echoing function says that it got.
type told struct {
	Method, Path, Query, Host, Body string
	Header                          http.Header
	Env                             []string
}

func tell(t *testing.T, r *function.Result) told {
	t.Helper()
	wantOutcome(t, r, function.Succeeded)
	var got told
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAnEventIsPostedInBinaryMode(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:echo"))
	inv := &function.Invocation{
		ID: "id-1", Run: "run-1", Attempt: 2, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Event: &event.Event{ID: "7", Source: "/till", Type: "order.requested", Subject: "42", Data: []byte(`{"n":1}`)},
	}
	got := tell(t, s.invoke(c, inv))
	if got.Method != "POST" || got.Path != "/" || got.Body != `{"n":1}` {
		t.Errorf("request = %s %s %s", got.Method, got.Path, got.Body)
	}
	for name, want := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "7", "Ce-Source": "/till", "Ce-Type": "order.requested", "Ce-Subject": "42",
		"Content-Type": "application/json", "Dalamb-Request-Id": "id-1", "Dalamb-Run": "run-1", "Dalamb-Attempt": "2",
		"Traceparent": inv.TraceParent,
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if !slices.ContainsFunc(got.Env, func(e string) bool { return strings.HasPrefix(e, "PORT=") && e != "PORT=" }) {
		t.Errorf("environment has no PORT: %v", got.Env)
	}
}

func TestARequestIsPassedOnAsAProxyDoes(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:echo"))
	r := httptest.NewRequest("PUT", "http://shop.example/a%2Fb/c?q=1&q=2", strings.NewReader("hello"))
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header = http.Header{
		"Content-Type": {"text/plain"}, "X-Mine": {"1", "2"}, "X-Forwarded-For": {"10.0.0.1"},
		"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Upgrade": {"websocket"}, "Te": {"trailers"}, "Keep-Alive": {"5"},
		"Proxy-Authorization": {"secret"}, "Dalamb-Run": {"forged"},
	}
	res := s.invoke(c, &function.Invocation{ID: "id-1", Request: r})
	got := tell(t, res)
	if got.Method != "PUT" || got.Path != "/a%2Fb/c" || got.Query != "q=1&q=2" || got.Host != "shop.example" || got.Body != "hello" {
		t.Errorf("request = %+v", got)
	}
	if !slices.Equal(got.Header["X-Mine"], []string{"1", "2"}) || got.Header.Get("X-Forwarded-For") != "192.0.2.7" || got.Header.Get("Forwarded") != "for=192.0.2.7;host=shop.example;proto=http" ||
		got.Header.Get("X-Forwarded-Host") != "shop.example" || got.Header.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("header = %v", got.Header)
	}
	for _, name := range []string{"X-Hop", "Upgrade", "Te", "Keep-Alive", "Proxy-Authorization", "Dalamb-Run", "User-Agent"} {
		if v, ok := got.Header[name]; ok {
			t.Errorf("%s = %v came through", name, v)
		}
	}
	if _, ok := res.Header["X-Private"]; ok || res.Header.Get("Connection") != "" || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("header of the answer = %v", res.Header)
	}
}

func TestRetryAfter(t *testing.T) {
	s := newStage(t)
	if r := s.once("http:status=503", payload("{}")); r.RetryAfter != 17*time.Second || string(r.Body) != "so it goes" {
		t.Errorf("RetryAfter, body = %v, %q", r.RetryAfter, r.Body)
	}
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "120": 2 * time.Minute, "soon": 0, "99999999999999999999": 0,
		"Sat, 21 Nov 2026 09:01:00 GMT": time.Minute, "Sat, 21 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestBinaryModeAnswer(t *testing.T) {
	s := newStage(t)
	r := s.once("http:event=order.paid", payload("{}"))
	wantOutcome(t, r, function.Succeeded)
	if len(r.Events) != 1 || r.Events[0].Type != "order.paid" || string(r.Events[0].Data) != `{"n":1}` {
		t.Errorf("events = %+v", r.Events)
	}
	r = s.once("http:event=dalamb.function.deployed.v1", payload("{}"))
	wantFailure(t, r, function.BadAnswer, "Function.InvalidEvent", "only dalamb itself")
}

func TestSeveralInvocationsAtATime(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:echo", func(spec *function.Spec) { spec.Entry.Concurrency = 8 }))
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if r, err := c.Invoke(t.Context(), payload("{}")); err != nil || r.Outcome != function.Succeeded {
				t.Errorf("Invoke = %+v, %v", r, err)
			}
		})
	}
	wg.Wait()
}

func TestAnHTTPInstanceThatEndedIdleTakesNone(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:echo"))
	s.invoke(c, payload("{}"))
	c.(*httpConn).box.Stop(0) // as if it had ended by itself
	<-c.Done()
	if _, err := c.Invoke(t.Context(), payload("{}")); !errors.Is(err, ErrUndelivered) {
		t.Errorf("Invoke after the end = %v, want ErrUndelivered", err)
	}
}
