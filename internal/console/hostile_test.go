package console

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// hostile is what outsiders would like a page to run: in text, in an attribute, in an address.
const hostile = `"><script>bad()</script><img src=x onerror=bad()>javascript:bad()'`

// fill puts a hostile text wherever v has room for one, two entries into each list, and numbers and times that are not zero.
func fill(v reflect.Value, deep int) {
	defer func() { // what has a text of its own is left out where this is none
		if text, err := json.Marshal(v.Interface()); err != nil || json.Unmarshal(text, reflect.New(v.Type()).Interface()) != nil {
			v.SetZero()
		}
	}()
	switch x := v.Addr().Interface().(type) {
	case *json.RawMessage:
		*x, _ = json.Marshal(map[string]any{hostile: hostile, "type": hostile, "data": map[string]string{hostile: hostile}, "stack": []string{hostile}, "id": hostile, "time": time.Now()})
		return
	case *time.Time:
		*x = time.Now().Add(-time.Minute)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint('<')
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Pointer:
		if deep > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), deep-1)
		}
	case reflect.Slice:
		if deep > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range 2 {
				fill(v.Index(i), deep-1)
			}
		}
	case reflect.Map:
		if deep > 0 && v.Type().Key().Kind() == reflect.String {
			v.Set(reflect.MakeMap(v.Type()))
			value := reflect.New(v.Type().Elem()).Elem()
			fill(value, deep-1)
			v.SetMapIndex(reflect.ValueOf(hostile).Convert(v.Type().Key()), value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), deep)
			}
		}
	}
}

// full is a value with everything set.
func full[T any]() *T {
	v := new(T)
	fill(reflect.ValueOf(v).Elem(), 5)
	return v
}

// hostileAPI answers as the control API does, with everything that can be there, and each text hostile.
func hostileAPI(t *testing.T) http.Handler {
	t.Helper()
	var err error
	lines := []wire.EventAt{*full[wire.EventAt](), *full[wire.EventAt]()}
	types := []string{"function.deployed", "function.removed", "alias.shifted", "rollout.started", "rollout.stepped", "rollout.failed", "rollout.finished", "trigger.paused", "key.paused", "secret.changed", "breaker.opened", hostile}
	for i, typ := range types {
		at := *full[wire.EventAt]()
		e := *full[controlEvent]()
		e.Type = "dalamb." + typ + ".v1"
		e.Data.Alias.Weights = map[int]int{2: 5}
		at.Offset, at.Value = int64(i), nil
		if at.Event, err = json.Marshal(e); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, at)
	}
	record := *full[wire.EventAt]()
	record.Event = nil
	lines = append(lines, record)
	mux := http.NewServeMux()
	say := func(path string, v any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) })
	}
	topic := full[wire.Topic]()
	topic.Bounds = []wire.Partition{{ID: 1, Start: 0, End: 9}}
	fn := full[wire.Function]()
	fn.Triggers = append(fn.Triggers, fn.Triggers[0], fn.Triggers[0])
	for i := range fn.Triggers {
		fn.Triggers[i].Filter = json.RawMessage(`{"type":["` + `\u003cscript\u003e` + `"]}`)
	}
	fn.Triggers[1].Route, fn.Triggers[1].Schedule = nil, ""
	fn.Triggers[2].Route = nil
	fn.Aliases[0].Name = function.LiveAlias
	fn.Aliases[0].Weights = nil
	run := full[wire.RunList]()
	rollout := full[wire.Rollout]()
	rollout.Ended = time.Time{}
	rollouts := full[wire.RolloutList]()
	rollouts.Rollouts[0].Ended = time.Time{}
	self := full[wire.Self]()
	self.Role, self.Functions = "admin", nil
	say("GET /v1/self", self)
	say("GET /v1/explanation", full[wire.Explanation]())
	say("GET /v1/triggers/{f}/{t}/keys", full[wire.KeyList]())
	replay := full[wire.Replay]()
	replay.State = wire.ReplayRunning
	say("GET /v1/replays/{r}", replay)
	say("GET /v1/node", full[wire.Node]())
	nodes := full[wire.NodeList]()
	nodes.Nodes = append(nodes.Nodes, *full[wire.NodeStatus]())
	say("GET /v1/nodes", nodes)
	say("GET /v1/health", full[wire.NodeHealth]())
	say("GET /v1/alerts", full[wire.AlertList]())
	say("GET /v1/functions", full[wire.FunctionList]())
	say("GET /v1/functions/{f}", fn)
	say("GET /v1/functions/{f}/versions", full[wire.VersionList]())
	say("GET /v1/functions/{f}/aliases", full[wire.AliasList]())
	say("GET /v1/functions/{f}/rollout", rollout)
	say("GET /v1/functions/{f}/health", full[wire.Health]())
	say("POST /v1/functions/{f}/rollback", full[wire.Shifted]())
	say("POST /v1/dead/discard", full[wire.Discarded]())
	say("GET /v1/instances", full[wire.InstanceList]())
	say("GET /v1/triggers", full[wire.TriggerList]())
	say("GET /v1/machine", full[wire.MachineReport]())
	say("GET /v1/topics", full[wire.TopicList]())
	say("GET /v1/topics/{t}", topic)
	say("GET /v1/rollouts", rollouts)
	say("GET /v1/runs", run)
	say("GET /v1/run-counts", full[wire.RunCounts]())
	say("GET /v1/events/newest", wire.NewestEvents{Events: lines, Older: hostile, Since: time.Now()})
	say("GET /v1/runs/{r}", full[wire.RunDetail]())
	say("GET /v1/dead", full[wire.DeadList]())
	say("GET /v1/dead/{r}", full[function.DeadLetter]())
	say("GET /v1/dead/redrive/{j}", full[wire.RedriveState]())
	say("GET /v1/builds", full[wire.BuildList]())
	say("GET /v1/builds/{b}", full[wire.Build]())
	mux.HandleFunc("GET /v1/builds/{b}/log", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(hostile)) })
	say("GET /v1/hooks", full[wire.HookList]())
	say("GET /v1/hooks/{h}", full[wire.HookDetail]())
	say("GET /v1/tokens", full[wire.TokenList]())
	say("GET /v1/secrets", full[wire.SecretList]())
	say("GET /v1/config", full[wire.ConfigList]())
	say("GET /v1/repositories", full[wire.RepositoryList]())
	say("GET /v1/environments", full[wire.EnvironmentList]())
	say("GET /v1/quotas", full[wire.QuotaList]())
	say("GET /v1/services", full[wire.ServiceList]())
	say("GET /v1/schedules", full[wire.ScheduleList]())
	say("GET /v1/replays", full[wire.ReplayList]())
	say("GET /v1/copies", full[wire.CopyList]())
	say("GET /v1/delayed", full[wire.DelayedList]())
	say("GET /v1/upstreams", full[wire.UpstreamList]())
	say("GET /v1/events/{t}/{p}/{o}", lines[0])
	many := func(lines any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			v := reflect.ValueOf(lines)
			for i := range v.Len() {
				_ = json.NewEncoder(w).Encode(v.Index(i).Interface())
			}
		}
	}
	mux.HandleFunc("GET /v1/events", many(lines))
	mux.HandleFunc("GET /v1/logs", many([]function.LogLine{*full[function.LogLine]()}))
	mux.HandleFunc("POST /2015-03-31/functions/{f}/invocations", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Function-Error", "<script>bad()</script>")
		_, _ = w.Write([]byte(`{"a":"` + `<script>bad()</script>` + `"}`))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the console asked for %s %s, which the fake API has not", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(wire.ErrorBody{Error: wire.Error{Kind: "not found", Message: hostile, Hint: hostile}})
	})
	return mux
}

// visitor is a browser without scripts that is signed in.
type testVisitor struct {
	t       *testing.T
	console *Console
	cookie  *http.Cookie
	form    string
}

func signedIn(t *testing.T, api http.Handler) *testVisitor {
	t.Helper()
	c, err := New(Options{API: api, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	v := &testVisitor{t: t, console: c}
	answer := v.send(http.MethodPost, "/signin", url.Values{"token": {"secret-token"}})
	if answer.Code != http.StatusSeeOther || len(answer.Result().Cookies()) != 1 {
		t.Fatalf("sign in = %d %s", answer.Code, answer.Body)
	}
	v.cookie = answer.Result().Cookies()[0]
	for _, s := range c.sessions.all {
		v.form = s.form
	}
	return v
}

func (v *testVisitor) send(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(v.t.Context(), method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	w := httptest.NewRecorder()
	v.console.ServeHTTP(w, r)
	return w
}

func (v *testVisitor) get(path string) *httptest.ResponseRecorder {
	return v.send(http.MethodGet, path, nil)
}

// everyPage are addresses of all pages, with what a visitor can put into them.
func everyPage() []string {
	q := url.QueryEscape(hostile)
	p := url.PathEscape(hostile)
	return []string{
		"/", "/functions", "/functions?search=" + q, "/functions/" + p, "/events", "/events?type=" + q + "&key=" + q + "&pattern=" + q, "/events?from=1h&type=" + q, "/events?from=" + q,
		"/events/" + p + "/1/1", "/runs", "/runs?state=" + q + "&function=" + q, "/runs?since=" + q, "/runs/" + p, "/runs/" + p + "/logs", "/dead", "/dead?error=" + q + "&pattern=" + q,
		"/dead/" + p, "/redrives/" + p, "/redrives/" + p + "?of=" + q, "/redrives/" + p + "?of=9", "/replays/" + p, "/rollouts/" + p + "/1", "/functions/" + p + "/keys/" + p, "/act/key-pause?function=" + q + "&trigger=" + q + "&key=" + q, "/act/key-resume?function=" + q + "&trigger=" + q + "&key=" + q, "/act/replay-cancel?replay=" + q, "/releases", "/releases?at=5m", "/releases?at=" + q + "&function=" + q, "/builds/" + p, "/settings", "/topics/" + p, "/flow", "/flow?search=" + q,
		"/act/rollback?function=" + q, "/act/scale?function=" + q, "/act/start?function=" + q, "/act/redrive?error=" + q, "/act/redrive?run=" + q, "/act/discard?run=" + q, "/act/trigger-pause?function=" + q + "&trigger=" + q,
		"/act/rollout-abort?function=" + q, "/act/" + p, "/signin?to=" + q,
	}
}

func TestWhatOutsidersWriteIsText(t *testing.T) {
	v := signedIn(t, hostileAPI(t))
	pages := map[string]string{}
	for _, path := range everyPage() {
		answer := v.get(path)
		pages[path] = answer.Body.String()
		if unknown := strings.HasPrefix(path, "/act/%"); answer.Code != http.StatusOK && !unknown {
			t.Errorf("GET %s = %d, want 200:\n%s", path, answer.Code, pages[path])
		}
		if strings.Contains(pages[path], "Not known now") {
			t.Errorf("GET %s does not know something that the API has told:\n%s", path, pages[path])
		}
	}
	pages["try"] = v.send(http.MethodPost, "/functions/f/try", url.Values{"payload": {`"</textarea><script>bad()</script>"`}, "qualifier": {hostile}, formField: {v.form}}).Body.String()
	pages["edit"] = v.send(http.MethodPost, "/dead/r/edit", url.Values{"event": {"</textarea>" + hostile}, formField: {v.form}}).Body.String()
	pages["wrong token"] = v.send(http.MethodPost, "/signin", url.Values{"token": {hostile}, "to": {hostile}}).Body.String()
	for path, page := range pages {
		if strings.Contains(page, "cannot be shown") {
			t.Errorf("%s: %s", path, page)
		}
		for _, bad := range []string{"<script>bad", "<img", `href="javascript`, "secret-token"} {
			if strings.Contains(page, bad) {
				at := strings.Index(page, bad)
				t.Errorf("%s: %q stands in the page as it was given: …%s…", path, bad, page[max(0, at-80):min(len(page), at+60)])
			}
		}
		if !strings.Contains(page, "</html>") && !strings.Contains(path, "wrong") {
			t.Errorf("%s: the page has no end", path)
		}
	}
}
