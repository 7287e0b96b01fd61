package console

import (
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Elsewhere serves the addresses that are not the console's: a browser that goes to one gets a page with a way back, everybody else the API's answer. What is below
// the API's own path stays the API's for browsers too. The page says nothing that is not known to everybody, so nobody has to sign in for it.
func (c *Console) Elsewhere(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !reads || strings.HasPrefix(r.URL.Path, "/v1/") || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			api.ServeHTTP(w, r)
			return
		}
		guard(w.Header())
		w.Header().Set("Vary", "Accept")
		s := c.sessions.of(r)
		if s == nil {
			s = &session{} // of nobody
		}
		c.fail(w, s, nowhere(r.URL.Path))
	})
}

func nowhere(path string) error {
	return fault.New(fault.NotFound, "the console has no page %s", cut(200, path)).WithHint("go on from the overview")
}
