package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/fault"
)

func TestTheTokenOfTheDataDirectoryGoesToItsOwnGatewayAlone(t *testing.T) {
	dir, shown := t.TempDir(), ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown = r.Header.Get("Authorization")
		fmt.Fprint(w, "[]")
	}))
	t.Cleanup(s.Close)
	for name, text := range map[string]string{app.TokenFile: "of the admin\n", app.NodeFile: fmt.Sprintf(`{"gateway":%q}`, s.URL)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := new(environment).at(dir)
	env.get = func(name string) string {
		return map[string]string{"DALAMB_DATA": dir}[name]
	}
	for _, own := range []string{s.URL, s.URL + "/", strings.TrimPrefix(s.URL, "http://")} {
		shown = ""
		node, err := env.sender(own)
		if err == nil {
			_, err = node.Emit(t.Context(), "events", nil)
		}
		if err != nil || shown != "Bearer of the admin" {
			t.Errorf("to %s, the node's own gateway, went %q, %v; want the token of its data directory", own, shown, err)
		}
	}
	for _, other := range []string{"http://evil.example", "evil.example:80", strings.Replace(s.URL, "http:", "https:", 1), strings.Replace(s.URL, "127.0.0.1", "127.0.0.2", 1)} {
		if _, err := env.sender(other); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.HintOf(err), "DALAMB_TOKEN") {
			t.Errorf("sender(%s) = %v, hint %q; want that it asks for DALAMB_TOKEN", other, err, fault.HintOf(err))
		}
	}
	if _, err := env.sender(s.URL + "/path"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a gateway with a path: %v, want invalid", err)
	}
}

func TestMisspeltVariablesAreToldOnceAndOthersNever(t *testing.T) {
	var told strings.Builder
	env := &environment{
		get: func(string) string { return "" }, err: &told,
		all: func() []string {
			return []string{"DALAMB_TOKE=x", "DALAMB_CONTROL_SERVICE_HOST=10.0.0.1", "DALAMB_DATABASE_URL=x", "DALAMB_CACHE_DIR=x"}
		},
	}
	for range 2 {
		_, _ = env.sender("h:1") // there is no token
	}
	if want := "warning: nobody reads DALAMB_TOKE; did you mean DALAMB_TOKEN?\n"; told.String() != want {
		t.Errorf("told %q, want %q", told.String(), want)
	}
}
