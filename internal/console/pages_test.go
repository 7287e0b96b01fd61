package console

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestASearchIsOnePattern(t *testing.T) {
	for _, tt := range []struct {
		page eventsPage
		want string
	}{
		{eventsPage{}, ``},
		{eventsPage{Type: "order.created"}, `{"type":["order.created"]}`},
		{eventsPage{Type: "order.*"}, `{"type":[{"prefix":"order."}]}`},
		{eventsPage{ID: "1", Source: "/s", Pattern: `{"data":{"n":[1]}}`}, `{"data":{"n":[1]},"id":["1"],"source":["/s"]}`},
		{eventsPage{Key: "k"}, ``}, // the key is asked for by itself
	} {
		if got, err := tt.page.filter(); err != nil || got != tt.want {
			t.Errorf("filter of %+v = %s, %v; want %s", tt.page, got, err, tt.want)
		}
	}
	for _, bad := range []eventsPage{{Pattern: "{"}, {Pattern: `["a"]`}, {Pattern: `{"type":["a"]}`, Type: "b"}} {
		if got, err := bad.filter(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("filter of %+v = %s, %v; want it refused", bad, got, err)
		}
	}
}

func TestChangesAreToldInWords(t *testing.T) {
	for _, tt := range []struct {
		typ, data, want string
		bad             bool
	}{
		{"dalamb.function.deployed.v1", `{"function":"f","version":{"number":3,"spec":{}},"alias":{"name":"live","primary":3}}`, "version 3 deployed, live points at it", false},
		{"dalamb.function.deployed.v1", `{"function":"f","version":{"number":3,"spec":{}}}`, "version 3 deployed", false},
		{"dalamb.function.removed.v1", `{"function":"f"}`, "function removed", true},
		{"dalamb.alias.shifted.v1", `{"function":"f","alias":{"name":"live","primary":3,"weights":{"4":10}}}`, "alias live points at version 3 90%, version 4 10%", false},
		{"dalamb.alias.shifted.v1", `{"function":"f","back":true,"alias":{"name":"live","primary":2}}`, "alias live rolled back to version 2", true},
		{"dalamb.alias.removed.v1", `{"function":"f","alias":{"name":"x","primary":2}}`, "alias x removed", false},
		{"dalamb.rollout.failed.v1", `{"function":"f","rollout":{"gate":"errors","reason":"too many"}}`, "roll-out failed, gate errors", true},
		{"dalamb.rollout.finished.v1", `{"function":"f","rollout":{"state":"succeeded"}}`, "roll-out succeeded", false},
		{"dalamb.rollout.finished.v1", `{"function":"f","rollout":{"state":"aborted"}}`, "roll-out aborted", true},
		{"dalamb.trigger.paused.v1", `{"function":"f","trigger":"t"}`, "trigger t paused", false},
		{"dalamb.key.paused.v1", `{"function":"f","trigger":"t","key":"k"}`, `key "k" of trigger t paused`, false},
		{"dalamb.version.removed.v1", `{"function":"f","drops":[2]}`, "version 2 removed", false},
		{"dalamb.breaker.opened.v1", `{"function":"f","route":"r","failures":5}`, "circuit of route r is open", true},
		{"dalamb.breaker.half-opened.v1", `{"function":"f","route":"r","failures":5}`, "circuit of route r is half-open", false},
	} {
		doc, err := json.Marshal(map[string]any{"type": tt.typ, "data": json.RawMessage(tt.data)})
		if err != nil {
			t.Fatal(err)
		}
		if got, known := changeOf(doc, time.Now(), 1); !known || got.Text != tt.want || got.Bad != tt.bad {
			t.Errorf("changeOf(%s %s) = %+v, %v; want %q, %v", tt.typ, tt.data, got, known, tt.want, tt.bad)
		}
	}
	for _, typ := range []string{"dalamb.function.noted.v1", "dalamb.unheard.of.v1"} {
		if got, known := changeOf([]byte(`{"type":"`+typ+`","data":{}}`), time.Now(), 1); known {
			t.Errorf("changeOf(%s) = %+v, want nothing", typ, got)
		}
	}
}

// What is no function is under its own name, and leads to where it stands; who made a change is told.
func TestChangesLeadToWhatTheyAreAbout(t *testing.T) {
	for _, tt := range []struct{ doc, function, name, link, by, text string }{
		{`{"type":"dalamb.function.removed.v1","authtype":"user","authid":"ann","data":{"function":"f"}}`, "f", "", "", "user ann", "function removed"},
		{`{"type":"dalamb.secret.changed.v1","authtype":"api_key","authid":"ci","data":{"function":"secret/s"}}`, "", "s", "/settings#secrets", "token ci", "secret changed"},
		{`{"type":"dalamb.alert.changed.v1","data":{"function":"alert/a"}}`, "", "a", "/settings#alerts", "", "alert changed"},
		{`{"type":"dalamb.quota.changed.v1","data":{"function":"quota/acme"}}`, "", "acme", "/settings#quotas", "", "quota changed"},
		{`{"type":"dalamb.accesskey.created.v1","data":{"function":"token/aws"}}`, "", "aws", "/settings#tokens", "", "access key created"},
		{`{"type":"dalamb.topic.changed.v1","data":{"function":"topic/orders","topic":"orders"}}`, "", "orders", "/topics/orders", "", "topic changed"},
		{`{"type":"dalamb.replay.started.v1","data":{"function":"f","replay":{"name":"r 1"}}}`, "f", "r 1", "/replays/r%201", "", "replay started"},
		{`{"type":"dalamb.breaker.closed.v1","data":{"function":"f","route":"r"}}`, "f", "r", "/functions/f#triggers", "", "circuit of route r is closed"},
		{`{"type":"dalamb.key.forgotten.v1","data":{"function":"forgotten/0a"}}`, "", "0a", "", "", "the events of a key are unreadable for good, in all sealed topics"},
		{`{"type":"dalamb.key.forgotten.v1","data":{"function":"forgotten/0a","topic":"orders"}}`, "", "0a", "", "", "the events of a key are unreadable for good, in topic orders"},
	} {
		got, known := changeOf([]byte(tt.doc), time.Now(), 1)
		if !known || got.Function != tt.function || got.Name != tt.name || got.Link != tt.link || got.By != tt.by || got.Text != tt.text {
			t.Errorf("changeOf(%s) = %+v, %v; want %+v", tt.doc, got, known, tt)
		}
	}
}

// A circuit that goes to and fro has one line among what was changed lately.
func TestACircuitIsToldOnce(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/events/newest" {
			_, _ = w.Write([]byte("{}"))
			return
		}
		var found wire.NewestEvents
		for i, e := range []string{`"opened.v1","data":{"function":"a","route":"r","failures":1}`, `"half-opened.v1","data":{"function":"a","route":"r"}`, `"opened.v1","data":{"function":"b","route":"r"}`, `"opened.v1","data":{"function":"a","route":"r"}`} {
			found.Events = append(found.Events, wire.EventAt{Offset: int64(i), Time: time.Now().Add(-time.Duration(i) * time.Second), Event: json.RawMessage(`{"type":"dalamb.breaker.` + e[1:] + `}`)})
		}
		_ = json.NewEncoder(w).Encode(found)
	})
	page := signedIn(t, api).get("/").Body.String()
	if n := strings.Count(page, "circuit of route r"); n != 2 {
		t.Errorf("the overview has %d lines of circuits, want one of each of 2", n)
	}
	for _, want := range []string{"after 1 failure<", "(2 changes of it before)"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview does not say %q", want)
		}
	}
}

// A list that was searched is there again after something was done from it.
func TestDeadLettersKeepTheirSearch(t *testing.T) {
	v := signedIn(t, hostileAPI(t))
	for _, act := range []string{"redrive", "discard"} {
		page := v.get("/act/" + act + "?marked=1&run=x&function=pay&error=a+b").Body.String()
		if !strings.Contains(page, `href="/dead?error=a&#43;b&amp;function=pay"`) {
			t.Errorf("%s does not lead back to the search:\n%s", act, page)
		}
	}
	page := v.get("/dead?function=pay&error=a+b").Body.String()
	for _, want := range []string{`<input type="hidden" name="function" value="pay">`, `<input type="hidden" name="error" value="a b">`} {
		if !strings.Contains(page, want) {
			t.Errorf("the form of the list lacks %s", want)
		}
	}
	if at := v.send(http.MethodPost, "/act/discard", url.Values{"session": {v.form}, "run": {"x"}, "function": {"pay"}}).Header().Get("Location"); at != "/dead?function=pay" {
		t.Errorf("after a discard the list is at %q", at)
	}
}

// TestARedriveAsksForTheTimesThatItWillUse: a time of the day, and how long ago, mean others at the confirmation.
func TestARedriveAsksForTheTimesThatItWillUse(t *testing.T) {
	v := signedIn(t, hostileAPI(t))
	page := v.get("/act/redrive?function=pay&since=2h&before=14:05").Body.String()
	for _, name := range []string{"since", "before"} {
		found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("the form has no %s:\n%s", name, page)
		}
		at, err := time.Parse(time.RFC3339, html.UnescapeString(found[1]))
		if err != nil || name == "before" && at.Format("15:04:05") != "14:05:00" || name == "since" && time.Since(at) < 2*time.Hour-time.Minute {
			t.Errorf("%s is %q, want the time that it is at", name, found[1])
		}
	}
}

// recording is an API that keeps what it is asked to do.
type recording struct{ asked []string }

func (a *recording) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		a.asked = append(a.asked, r.Method+" "+r.URL.RequestURI()+" "+string(body))
	}
	answer := `{"job":"j","function":"f"}`
	if strings.HasSuffix(r.URL.Path, "/rollback") {
		answer = `{"function":"f","to":[{"version":2}],"expects":7}`
	}
	if r.URL.Path == "/v1/self" {
		answer = `{"type":"api_key","id":"ci","role":"admin"}`
	}
	_, _ = w.Write([]byte(answer))
}

func TestOnlyWhatIsMarkedRunsAgain(t *testing.T) {
	api := &recording{}
	v := signedIn(t, api)
	for _, tt := range []struct{ name, path, form, want string }{
		{"one that is marked", "/act/redrive", "marked=1&run=a", `POST /v1/dead/redrive {"ids":["a"]}`},
		{"two, and what the list was searched by", "/act/redrive", "run=a&run=b&function=f", `POST /v1/dead/redrive {"ids":["a","b"]}`},
		{"those that fit", "/act/redrive", "function=f&error=e&rate=5", `POST /v1/dead/redrive {"function":"f","error":"e","rate":5}`},
		{"all", "/act/redrive", "", `POST /v1/dead/redrive {"all":true}`},
		{"given up", "/act/discard", "run=a&reason=r", `POST /v1/dead/discard {"ids":["a"],"reason":"r"}`},
		{"rolled back as it was asked", "/act/rollback", "function=f&to=2&expects=7", `POST /v1/functions/f/rollback {"to":2,"expects":7}`},
		{"an alias's roll-out", "/act/rollout-abort", "function=f&alias=x", `POST /v1/functions/f/rollout/abort?alias=x `},
		{"a trigger", "/act/trigger-resume", "function=f&trigger=t", `POST /v1/triggers/f/t/resume `},
		{"a key", "/act/key-pause", "function=f&trigger=t&key=a+b+", `POST /v1/triggers/f/t/keys/pause {"key":"a b "}`},
		{"a key again", "/act/key-resume", "function=f&trigger=t&key=a", `POST /v1/triggers/f/t/keys/resume {"key":"a"}`},
		{"a replay", "/act/replay-cancel", "replay=r", `POST /v1/replays/r/cancel `},
		{"other bounds", "/act/scale", "function=f&version=3&min=1&max=+20", `PUT /v1/functions/f/scale {"min":1,"max":20,"version":3}`},
		{"one other bound", "/act/scale", "function=f&min=&max=5", `PUT /v1/functions/f/scale {"max":5}`},
		{"an instance", "/act/start", "function=f&version=2", `POST /v1/functions/f/start?version=2 `},
	} {
		api.asked = nil
		form, err := url.ParseQuery(tt.form)
		if err != nil {
			t.Fatal(err)
		}
		form.Set(formField, v.form)
		got := v.send(http.MethodPost, tt.path, form)
		if got.Code != http.StatusSeeOther || len(api.asked) != 1 || api.asked[0] != tt.want {
			t.Errorf("%s: %d, the API was asked %q; want %q", tt.name, got.Code, api.asked, tt.want)
		}
	}
	api.asked = nil
	for _, path := range []string{"/act/redrive?marked=1", "/act/redrive?marked=1&run=", "/act/discard?run=", "/act/discard"} {
		if got := v.get(path); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "no dead letter is marked") {
			t.Errorf("GET %s = %d, want it refused: nothing is marked", path, got.Code)
		}
		form := url.Values{formField: {v.form}, "marked": {"1"}, "run": {""}}
		if got := v.send(http.MethodPost, strings.Split(path, "?")[0], form); got.Code != http.StatusBadRequest {
			t.Errorf("POST %s with nothing marked = %d, want it refused", path, got.Code)
		}
	}
	for _, path := range []string{"/act/redrive", "/act/redrive?run=a", "/act/discard?run=a", "/act/trigger-pause?function=f&trigger=t", "/act/start?function=f", "/act/rollout-promote?function=f"} {
		if got := v.get(path); got.Code != http.StatusOK {
			t.Errorf("GET %s = %d", path, got.Code)
		}
	}
	if len(api.asked) != 0 {
		t.Errorf("a question alone has done something: %q", api.asked)
	}
}

func TestAChainIsDrawnFromTheTopDown(t *testing.T) {
	run := func(fn, wants, emits string) wire.TriggerRuns {
		r := wire.TriggerRuns{Function: fn, Wants: []string{wants}}
		if emits != "" {
			r.Emits = []string{emits}
		}
		return r
	}
	got := steps([]wire.TriggerRuns{run("c", "2", "3"), run("a", "0", "1"), run("b", "1", "2"), run("d", "3", ""), run("self", "x", "x")})
	if want := map[string]int{"b": 1, "c": 2, "d": 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("steps = %v, want %v", got, want)
	}
	if got := steps([]wire.TriggerRuns{run("a", "1", "2"), run("b", "2", "1")}); got["a"] > maxDeep || got["b"] > maxDeep {
		t.Errorf("steps of a ring = %v, want them bounded", got)
	}
}

// Who chooses a version is asked about that version, which may be newer than the live one.
func TestAChosenVersionIsMadeLive(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/rollback") {
			_ = json.NewEncoder(w).Encode(wire.Shifted{Alias: "live", From: []wire.Share{{Version: 1}}, To: []wire.Share{{Version: 2}}})
			return
		}
		_, _ = w.Write([]byte("{}"))
	})
	v := signedIn(t, api)
	if page := v.get("/act/rollback?function=pay&to=2").Body.String(); !strings.Contains(page, "Make version 2 of pay live?") {
		t.Errorf("the question is\n%s", page)
	}
	if page := v.get("/act/rollback?function=pay&alias=live").Body.String(); !strings.Contains(page, "Roll pay back to version 2?") {
		t.Errorf("the question is\n%s", page)
	}
}

// TestTheOverviewNamesTheNodesOfALog: and says where a lag is only partly known, and why.
func TestTheOverviewNamesTheNodesOfALog(t *testing.T) {
	page := signedIn(t, hostileAPI(t)).get("/").Body.String()
	for _, want := range []string{"<h2>Nodes</h2>", "this one", "at least so many", "lag is not wholly known"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview does not show %q", want)
		}
	}
}
