package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

var _ interface {
	syscall.Conn
	CloseWrite() error
} = (*line)(nil)

// TestAStopEndsWhatHangs, and nothing that finishes in time.
func TestAStopEndsWhatHangs(t *testing.T) {
	for _, scheme := range []function.UpstreamScheme{function.UpstreamHTTP, function.UpstreamH2C} {
		t.Run(string(scheme), func(t *testing.T) {
			began, over := make(chan struct{}), make(chan struct{})
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				began <- struct{}{}
				<-over
				fmt.Fprint(w, "ok")
			}))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetHTTP1(true)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
			defer s.Close()
			to := of(s.URL)
			to.Scheme = scheme
			p := pool(t, function.Upstream{}, to)
			p.within = time.Hour
			ended := make(chan *function.Result)
			ask := func() (*function.Result, error) {
				return p.Begin().Invoke(t.Context(), &function.Invocation{ID: "1", Run: "1", Request: httptest.NewRequest("GET", "/", nil)})
			}
			begin := func() {
				go func() {
					res, err := ask()
					if err != nil {
						t.Errorf("Invoke: %v", err)
						res = &function.Result{}
					}
					ended <- res
				}()
				<-began
			}
			drained := make(chan struct{})
			begin()
			go func() {
				p.up.Drain(t.Context())
				close(drained)
			}()
			over <- struct{}{}
			if res := <-ended; res.Status != 200 {
				t.Errorf("a request that ends in time: %+v", res)
			}
			<-drained
			begin()
			none, cancel := context.WithCancel(t.Context())
			cancel()
			p.up.Drain(none)
			p.up.Close()
			if res := <-ended; res.Status != 502 {
				t.Errorf("a request that hangs ends with %+v, want that its connection is lost", res)
			}
			close(over)
			if res, err := ask(); err == nil && res.Outcome != function.InitError {
				t.Errorf("a request after the end: %+v, want that no server is reached", res)
			}
			if len(p.up.lines.open) != 0 || p.up.lines.active != 0 {
				t.Errorf("%d connections and %d requests are left", len(p.up.lines.open), p.up.lines.active)
			}
		})
	}
}
