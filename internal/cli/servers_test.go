package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// servers are those that answering has started, by their address.
type servers struct{ byAddress sync.Map }

// answering starts a server that is no function and answers with a text, 200 to /healthz; with ! it ends one. answering NAME [TEXT]
func (s *servers) answering(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		one, there := s.byAddress.Load(ts.Getenv(args[0]))
		if !there {
			ts.Fatalf("%s answers nothing", args[0])
		}
		one.(*httptest.Server).Close()
		return
	}
	one := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s answers %s\n", args[1], r.URL.Path)
	}))
	at := one.Listener.Addr().String()
	s.byAddress.Store(at, one)
	ts.Defer(one.Close)
	ts.Setenv(args[0], at)
}
