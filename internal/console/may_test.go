package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/wire"
)

// What a visitor may not has no button. Functions of the fake API are called what no pattern covers.
func TestWhatAVisitorMayNotHasNoButton(t *testing.T) {
	acts := []string{"/act/rollback", "/act/scale", "/act/rollout-", "/act/trigger-", `/try#try"`, `href="/act/redrive`, "/act/discard", "/edit", "/act/key-", "/act/replay-cancel"}
	api := hostileAPI(t)
	for _, tt := range []struct {
		self wire.Self
		want []string
	}{
		{wire.Self{Role: "viewer"}, nil},
		{wire.Self{Role: "deployer"}, []string{"/act/rollback", "/act/scale", "/act/rollout-", `/try#try"`}},
		{wire.Self{Role: "deployer", Functions: []string{"shop-*"}}, nil},
		{wire.Self{Role: "operator"}, slices.DeleteFunc(slices.Clone(acts), func(a string) bool { return a == "/act/scale" })}, // he makes no versions
		{wire.Self{Role: "operator", Functions: []string{"shop-*"}}, []string{`href="/act/redrive`, "/act/discard"}},           // of a list, some of which may be his
		{wire.Self{Role: "admin"}, acts},
	} {
		v := signedIn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/self" {
				_ = json.NewEncoder(w).Encode(tt.self)
				return
			}
			api.ServeHTTP(w, r)
		}))
		all := ""
		for _, path := range []string{"/", "/functions", "/functions/f", "/functions/f/keys/t", "/runs/r", "/dead", "/dead/r", "/replays/r", "/settings"} {
			all += v.get(path).Body.String()
		}
		for _, act := range acts {
			if got, want := strings.Contains(all, act), slices.Contains(tt.want, act); got != want {
				t.Errorf("%s of %q: %s is on a page: %v, want %v", tt.self.Role, tt.self.Functions, act, got, want)
			}
		}
	}
}

// Who is there for one environment has its topic on the page of events, and settings without what is of the whole installation.
func TestATenantHasPagesOfItsOwn(t *testing.T) {
	api := hostileAPI(t)
	var mu sync.Mutex
	asked := ""
	v := signedIn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked += r.URL.Path + "?" + r.URL.RawQuery + "\n"
		mu.Unlock()
		if r.URL.Path == "/v1/self" {
			_ = json.NewEncoder(w).Encode(wire.Self{Role: "admin", Environment: "acme"})
			return
		}
		api.ServeHTTP(w, r)
	}))
	v.get("/events")
	if !strings.Contains(asked, "topic=acme.events") {
		t.Errorf("the page of events asks\n%s\nwant for acme.events", asked)
	}
	text := v.get("/").Body.String() + v.get("/releases?at=1h").Body.String()
	if strings.Contains(asked, "_dalamb.control") || strings.Contains(text, "Not known now") || strings.Contains(text, `id="changes"`) {
		t.Errorf("the overview and the releases ask\n%s\nwant nothing of the whole installation", asked)
	}
	text = v.get("/settings").Body.String()
	for _, section := range []string{"machine", "alerts", "hooks", "repositories"} {
		if strings.Contains(text, `id="`+section+`"`) || strings.Contains(text, `#`+section+`"`) {
			t.Errorf("the settings have %s, which nobody tells a tenant", section)
		}
	}
	for _, path := range []string{"/v1/machine", "/v1/alerts", "/v1/tokens", "/v1/hooks", "/v1/repositories", "/v1/services", "/v1/copies"} {
		if strings.Contains(asked, path+"?") {
			t.Errorf("the settings ask for %s, which is refused", path)
		}
	}
	if !strings.Contains(text, `id="secrets"`) {
		t.Error("the settings lack secrets")
	}
}
