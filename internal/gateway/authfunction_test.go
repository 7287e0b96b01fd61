package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// judging is a fleet with a function "door" that says who may call, and others that answer with who they think calls them.
func judging(door script) taking {
	return func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "door" {
			return door(ctx, c)
		}
		return script(shown).Invoke(ctx, c)
	}
}

func says2xx(text string) (*function.Result, error) {
	return &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte(text)}, nil
}

func doored(change func(*function.FunctionAuth)) function.Trigger {
	f := &function.FunctionAuth{Name: "door"}
	if change != nil {
		change(f)
	}
	return guarded(&function.Auth{Function: f}, nil)
}

func TestAFunctionSaysWhoMayCall(t *testing.T) {
	var asked question
	var answer atomic.Pointer[func() (*function.Result, error)]
	n := start(t, judging(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if err := json.Unmarshal(c.Invocation.Payload, &asked); err != nil {
			t.Errorf("the function got %q: %v", c.Invocation.Payload, err)
		}
		return (*answer.Load())()
	}))
	n.deploy("f", doored(func(f *function.FunctionAuth) { f.Headers = []string{"authorization", "X-None"} }))
	for what, c := range map[string]struct {
		answer func() (*function.Result, error)
		status int
		body   string
	}{
		"yes":           {func() (*function.Result, error) { return says2xx(`{"allow":true}`) }, 200, ` , password "Bearer mine"`},
		"yes, somebody": {func() (*function.Result, error) { return says2xx(`{"allow":true,"identity":"alice"}`) }, 200, `user alice,`},
		"yes, a machine": {func() (*function.Result, error) {
			return says2xx(`{"allow":true,"identity":"till","type":"service_account"}`)
		}, 200, `service_account till,`},
		"no":                    {func() (*function.Result, error) { return says2xx(`{"allow":false,"identity":"alice"}`) }, 403, "not open to you"},
		"no, with a reason":     {func() (*function.Result, error) { return says2xx(`{"allow":false,"reason":"the bill is due"}`) }, 403, "not open to you: the bill is due"},
		"no, with a bad reason": {func() (*function.Result, error) { return says2xx(`{"allow":false,"reason":"a\u0000b"}`) }, 403, "not open to you"},
		"no, by status": {func() (*function.Result, error) {
			return &function.Result{Outcome: function.Failed, Status: 401, Failure: &function.Failure{Message: "no"}}, nil
		}, 403, "not open to you"},
		"nothing":               {func() (*function.Result, error) { return says2xx("") }, 503, "cannot check"},
		"no JSON":               {func() (*function.Result, error) { return says2xx("yes") }, 503, "cannot check"},
		"a list":                {func() (*function.Result, error) { return says2xx(`[true]`) }, 503, "cannot check"},
		"no word of it":         {func() (*function.Result, error) { return says2xx(`{"identity":"alice"}`) }, 503, "cannot check"},
		"null":                  {func() (*function.Result, error) { return says2xx(`{"allow":null}`) }, 503, "cannot check"},
		"a text that says true": {func() (*function.Result, error) { return says2xx(`{"allow":"true"}`) }, 503, "cannot check"},
		"a number":              {func() (*function.Result, error) { return says2xx(`{"allow":1}`) }, 503, "cannot check"},
		"a book": {func() (*function.Result, error) {
			return says2xx(`{"allow":true,"x":"` + strings.Repeat("x", maxVerdict) + `"}`)
		}, 503, "cannot check"},
		"a name with an end of line": {func() (*function.Result, error) { return says2xx(`{"allow":true,"identity":"a\r\nb"}`) }, 503, "cannot check"},
		"the node itself":            {func() (*function.Result, error) { return says2xx(`{"allow":true,"identity":"a","type":"system"}`) }, 503, "cannot check"},
		"a failure": {func() (*function.Result, error) {
			return &function.Result{Outcome: function.Failed, Failure: &function.Failure{Message: "null pointer"}, Body: []byte(`{"allow":true}`)}, nil
		}, 503, "cannot check"},
		"a crash":     {func() (*function.Result, error) { return &function.Result{Outcome: function.Crashed}, nil }, 503, "cannot check"},
		"a full node": {func() (*function.Result, error) { return nil, errors.New("no instance") }, 503, "cannot check"},
	} {
		answer.Store(&c.answer)
		g := n.send("GET", "/x?a=b", "", "Authorization", "Bearer mine", "Dalamb-Auth-Id", "boss", "Dalamb-Auth-Type", "user", "Host", "shop.example")
		if g.status != c.status || !strings.Contains(g.body, c.body) {
			t.Errorf("%s: answer = %d %s, want %d with %s", what, g.status, g.body, c.status, c.body)
		}
	}
	want := question{
		Function: "f", Route: "r", Method: "GET", Scheme: "http", Host: "shop.example", Path: "/x", Query: "a=b", Remote: "127.0.0.1",
		Headers: map[string][]string{"Authorization": {"Bearer mine"}},
	}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("the function was asked %+v, want %+v", asked, want)
	}
	if said := n.said.String(); !strings.Contains(said, "null pointer") || strings.Contains(said, "Bearer mine") {
		t.Errorf("the log:\n%s", said)
	}
}

func TestAnAnswerIsRememberedForRequestsThatAreAlike(t *testing.T) {
	var calls atomic.Int64
	now := time.Unix(1_800_000_000, 0)
	n := start(t, judging(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		calls.Add(1)
		var q question
		if err := json.Unmarshal(c.Invocation.Payload, &q); err != nil {
			return nil, err
		}
		if q.Remote != "" {
			t.Errorf("what is remembered for all addresses was asked for %s", q.Remote)
		}
		switch token := strings.Join(q.Headers["Authorization"], ""); token {
		case "down":
			return nil, errors.New("no instance")
		default:
			return says2xx(fmt.Sprintf(`{"allow":%v,"identity":%q}`, token != "bad", token))
		}
	}), hold(nil, func() time.Time { return now }))
	deploy := func() {
		n.deploy("f", doored(func(f *function.FunctionAuth) {
			f.Headers, f.TTL = []string{"Authorization"}, function.Duration(time.Minute)
		}))
	}
	deploy()
	ask := func(method, query, token string, status int, fresh bool) {
		t.Helper()
		before := calls.Load()
		g := n.send(method, "/x"+query, "", "Authorization", token, "X-Other", fmt.Sprint(before))
		if g.status != status || (calls.Load() > before) != fresh {
			t.Errorf("%s %s %s: answer = %d %s, asked: %v; want %d, asked: %v", method, query, token, g.status, g.body, calls.Load() > before, status, fresh)
		}
		if status == 200 && !strings.HasPrefix(g.body, "user "+token) {
			t.Errorf("%s: the function was told %s", token, g.body)
		}
	}
	ask("GET", "", "one", 200, true)
	ask("GET", "", "one", 200, false)
	ask("GET", "", "two", 200, true)
	ask("POST", "", "one", 200, true)
	ask("GET", "?admin", "one", 200, true)
	ask("GET", "", "bad", 403, true)
	ask("GET", "", "bad", 403, false)
	ask("GET", "", "down", 503, true)
	ask("GET", "", "down", 503, true)
	now = now.Add(time.Minute)
	ask("GET", "", "one", 200, true)
	ask("GET", "", "one", 200, false)
	n.deploy("door") // a version of its own
	ask("GET", "", "one", 200, true)
	deploy() // the route's settings are what they were
	ask("GET", "", "one", 200, false)
}

func TestAFunctionThatHangsKeepsTheRouteClosed(t *testing.T) {
	hang := make(chan struct{})
	n := start(t, judging(func(context.Context, fleet.Call) (*function.Result, error) {
		<-hang
		return says2xx(`{"allow":true}`)
	}))
	defer close(hang)
	n.deploy("f", doored(func(f *function.FunctionAuth) { f.Timeout = function.Duration(100 * time.Millisecond) }))
	if g := n.send("GET", "/x", ""); g.status != http.StatusServiceUnavailable || !strings.Contains(n.said.String(), "did not answer in time") {
		t.Errorf("answer = %d %s, want 503 and a line in the log", g.status, g.body)
	}
}

func TestTheFunctionThatDecidesIsShownNoDoorOfDalambs(t *testing.T) {
	var asked question
	n := start(t, judging(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		asked = question{}
		if err := json.Unmarshal(c.Invocation.Payload, &asked); err != nil {
			t.Errorf("the function got %q: %v", c.Invocation.Payload, err)
		}
		return says2xx(`{"allow":true}`)
	}))
	n.giveToken("ann", "given-out")
	for name, fields := range map[string][]string{"all": nil, "some": {"Authorization", "Cookie", "Dalamb-Auth-Id", "Dalamb-Auth-Type"}} {
		n.deploy("f", doored(func(f *function.FunctionAuth) { f.Headers = fields }))
		for token, want := range map[string][]string{testToken: nil, "given-out": nil, "mine": {"Bearer mine"}} {
			g := n.send("GET", "/x", "", "Authorization", "Bearer "+token, "Cookie", "dalamb-0011=a; theme=dark", "Dalamb-Auth-Id", "boss", "Dalamb-Auth-Type", "system")
			h := http.Header(asked.Headers)
			if g.status != 200 || !slices.Equal(h["Authorization"], want) || h.Get("Cookie") != "theme=dark" || h["Dalamb-Auth-Id"] != nil || h["Dalamb-Auth-Type"] != nil {
				t.Errorf("%s, %s: answer = %d, the function was shown %v", name, token, g.status, h)
			}
		}
	}
}

func TestWhatACanarySaidIsForgottenWithIt(t *testing.T) {
	said := `{"allow":true}` // what the version that is asked says
	var within func()
	n := start(t, judging(func(context.Context, fleet.Call) (*function.Result, error) {
		if within != nil {
			within()
		}
		return says2xx(said)
	}))
	n.deploy("door")
	n.deploy("door")
	n.deploy("f", doored(func(f *function.FunctionAuth) { f.Headers, f.TTL = []string{}, function.Duration(time.Hour) }))
	shift := func(weights map[int]int) {
		t.Helper()
		if _, err := n.catalog.Submit(t.Context(), catalog.Shift{Function: "door", Alias: function.Alias{Name: function.LiveAlias, Primary: 1, Weights: weights}}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(want int) {
		t.Helper()
		if g := n.send("GET", "/x", ""); g.status != want {
			t.Errorf("answer = %d %s, want %d", g.status, g.body, want)
		}
	}
	shift(map[int]int{2: 50})
	ask(200)
	shift(nil)
	said = `{"allow":false}`
	ask(403)
	// One that comes while the question is asked is not remembered as the word of those before it.
	n.deploy("f", doored(func(f *function.FunctionAuth) { f.Headers, f.TTL = []string{}, function.Duration(2*time.Hour) }))
	said, within = `{"allow":true}`, func() { shift(map[int]int{2: 50}) }
	ask(200)
	shift(nil)
	said, within = `{"allow":false}`, nil
	ask(403)
}

func TestAClientThatDoesNotWaitIsNoFaultOfTheFunctionThatDecides(t *testing.T) {
	asked, hang := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	n := start(t, judging(func(context.Context, fleet.Call) (*function.Result, error) {
		close(asked)
		<-hang
		for range 1000 {
			runtime.Gosched()
		}
		ended.Store(true)
		return says2xx(`{"allow":true}`)
	}))
	n.deploy("f", doored(nil))
	ctx, cancel := context.WithCancel(t.Context())
	var client sync.WaitGroup
	client.Go(func() {
		req, err := http.NewRequestWithContext(ctx, "GET", n.url+"/x", nil)
		if err != nil {
			t.Error(err)
			return
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("answer = %d, want none", resp.StatusCode)
		}
	})
	<-asked
	cancel()
	client.Wait()
	n.until(func() bool { return n.metric("dalamb_gateway_requests_total") == 1 })
	if said := n.said.String(); strings.Contains(said, "in time") || strings.Contains(said, "request refused") {
		t.Errorf("the log:\n%s", said)
	}
	close(hang)
	if n.stop(); !ended.Load() {
		t.Error("the gateway has ended while it asked who may call")
	}
}
