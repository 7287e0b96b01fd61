package console

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// streaming is an API whose streams last until its token is taken back, or who follows them leaves.
type streaming struct {
	guarded
	gone  atomic.Bool
	taken chan struct{} // closed when the token is
}

func (s *streaming) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.gone.Load() {
		r.Header.Set("Authorization", "Bearer none")
	}
	if s.guarded.ServeHTTP(w, r); s.gone.Load() || r.URL.Path != "/v1/watch" && r.URL.Query().Get("follow") == "" {
		return
	}
	_ = http.NewResponseController(w).Flush()
	select {
	case <-s.taken:
		if r.URL.Path == "/v1/logs" {
			_, _ = io.WriteString(w, "\n"+`{"error":{"kind":"unauthenticated","message":"the token has expired"}}`+"\n")
		}
	case <-r.Context().Done():
	}
}

// What a page follows ends with the session, and with its token: whoever sits before it is led to the form.
func TestAStreamEndsWithItsSession(t *testing.T) {
	for _, path := range []string{"/live", "/live/logs/f"} {
		for how, end := range map[string]func(*streaming, *testVisitor){
			"a token that has ended": func(api *streaming, _ *testVisitor) {
				api.gone.Store(true)
				close(api.taken)
			},
			"signing out": func(_ *streaming, v *testVisitor) {
				v.send(http.MethodPost, "/signout", url.Values{formField: {v.form}})
			},
		} {
			api := &streaming{guarded: guarded{token: "secret-token"}, taken: make(chan struct{})}
			v := signedIn(t, api)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.AddCookie(v.cookie)
			resp, err := inside{v.console}.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			end(api, v)
			said := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(resp.Body)
				said <- string(b)
			}()
			select {
			case got := <-said:
				if path == "/live" && !strings.Contains(got, "event: ended") {
					t.Errorf("after %s %s ends with %q, and tells the page nothing", how, path, got)
				}
			case <-time.After(20 * time.Second):
				t.Errorf("after %s %s goes on", how, path)
			}
			if n := len(v.console.sessions.all); n != 0 {
				t.Errorf("after %s there are %d sessions", how, n)
			}
			resp.Body.Close()
		}
	}
}
