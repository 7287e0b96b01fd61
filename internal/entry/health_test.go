package entry

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func probe(t *testing.T, c Conn, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return c.(Prober).Probe(ctx, "/healthz")
}

// The question whether it is ready leaves a connection for the first call, which the first one about its health would wait for.
func TestAServerOfOneConnectionAtATimeIsAskedWhetherItIsReady(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		c := s.start(version("http:one", two, within(idleConn/2), func(spec *function.Spec) { spec.Entry.Ready = "/ready" }))
		if err := probe(t, c, idleConn/2); err != nil {
			t.Errorf("Probe = %v, want it well", err)
		}
		wantOutcome(t, s.invoke(c, payload(`{}`)), function.Succeeded)
	})
}

// A question would wait for the connection that is kept for the next call, and the next call for the question's.
func TestAServerOfOneConnectionAtATimeIsAskedForItsHealth(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		c := s.start(version("http:one", two, within(idleConn/2)))
		for range 3 {
			wantOutcome(t, s.invoke(c, payload(`{}`)), function.Succeeded)
			if err := probe(t, c, idleConn/2); err != nil { // no later than the idle connection would be closed in any case
				t.Errorf("Probe = %v, want it well", err)
			}
		}
	})
}

func TestAServerThatIsBusyWithACallIsNotUnwell(t *testing.T) {
	for name, tt := range map[string]struct {
		stage  func(*testing.T) *stage
		change []func(*function.Spec)
	}{
		"native, where the sandbox tells":       {func(t *testing.T) *stage { return newNativeStage(t) }, []func(*function.Spec){two}},
		"process, one call at a time is enough": {func(t *testing.T) *stage { return newStage(t) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.stage(t)
			c := s.start(version("http:one", tt.change...))
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = c.Invoke(context.Background(), &function.Invocation{ID: "r-1", Request: httptest.NewRequest("GET", "/hang", nil)})
			}()
			s.line("serving /hang")
			for range 8 { // more than a server with a short queue of connections takes
				if err := probe(t, c, 200*time.Millisecond); !errors.Is(err, ErrBusy) {
					t.Errorf("Probe beside a call = %v, want ErrBusy", err)
				}
			}
			c.Stop(0)
			<-ended
		})
	}
}

func TestAServerThatDoesNotAnswerAndHasNoCallIsUnwell(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		c := s.start(version("http:once"))
		s.line("accepted <nil>")
		if err := probe(t, c, 300*time.Millisecond); err == nil || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "GET /healthz was not answered in time") {
			t.Errorf("Probe = %v, want that it was not answered in time", err)
		}
	})
}

func TestHealthIsAskedInTheProtocolOfTheFunction(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:echo", inHTTP2))
	if err := probe(t, c, 5*time.Second); err != nil {
		t.Errorf("Probe = %v, want it well", err)
	}
	c = s.start(version("http:status=500", inHTTP2))
	if err := probe(t, c, 5*time.Second); err == nil || !strings.Contains(err.Error(), "GET /healthz answered 500") {
		t.Errorf("Probe = %v, want what it answered", err)
	}
}
