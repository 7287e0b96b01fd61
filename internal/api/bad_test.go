package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/wire"
)

// TestBadInput is the table of what a client may get wrong. Every answer says which thing is wrong, and nothing has changed.
func TestBadInput(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.settle()
	before, err := n.log.Bounds(t.Context(), controlPartition())
	ok(t, err)
	large := `{"name":"` + strings.Repeat("x", maxJSON) + `"}`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		message, hint            string
	}{
		{"no such path", "GET", "/v1/nothing", "", 404, "the control API has no /v1/nothing", "openapi"},
		{"root", "GET", "/", "", 404, "no /", ""},
		{"wrong method", "PUT", "/v1/functions", "", 405, "PUT is not possible on /v1/functions", "possible: GET, HEAD, POST"},
		{"wrong method of code", "POST", "/v1/code/sha256:00", "", 405, "POST is not possible", "possible: GET, HEAD, PUT"},
		{"unknown parameter", "GET", "/v1/runs?stat=dead", "", 400, `query parameter "stat" is not known here`, "known: function, trigger, state"},
		{"parameter where there is none", "GET", "/v1/node?x=1", "", 400, `query parameter "x" is not known here`, ""},
		{"parameter twice", "GET", "/v1/runs?state=dead&state=retrying", "", 400, `query parameter "state" is given 2 times`, ""},
		{"query of no form", "GET", "/v1/runs?%zz", "", 400, "the query cannot be read", ""},
		{"bad state", "GET", "/v1/runs?state=alive", "", 400, `query parameter "state": "alive" is not a state of a run`, "retrying, succeeded"},
		{"bad limit", "GET", "/v1/runs?limit=0", "", 400, `query parameter "limit": "0" is not a whole number from 1 to 1000`, ""},
		{"bad since", "GET", "/v1/runs?since=yesterday", "", 400, `query parameter "since": "yesterday" is not a time`, "15m"},
		{"bad cursor", "GET", "/v1/runs?after=!", "", 400, `"!" is not a cursor`, ""},
		{"no such run", "GET", "/v1/runs/xyz", "", 404, `there is no run "xyz"`, ""},
		{"no such dead letter", "GET", "/v1/dead/xyz", "", 404, `there is no dead letter "xyz"`, ""},
		{"bad pattern for dead letters", "GET", "/v1/dead?pattern=%7B%22type%22:1%7D", "", 400, `query parameter "pattern"`, ""},
		{"no such topic", "GET", "/v1/topics/evnts", "", 404, `there is no topic "evnts"`, "did you mean events?"},
		{"events of no topic", "GET", "/v1/events?topic=evnts", "", 404, `there is no topic "evnts"`, "did you mean events?"},
		{"bad partition", "GET", "/v1/events?partition=2", "", 400, `query parameter "partition": "2" is not a whole number from 0 to 1`, ""},
		{"bad from", "GET", "/v1/events?from=soon", "", 400, `query parameter "from": "soon"`, "15m"},
		{"bad filter", "GET", "/v1/events?filter=%7B%22type%22:%5B%7B%22nope%22:1%7D%5D%7D", "", 400, `query parameter "filter"`, ""},
		{"bad follow", "GET", "/v1/events?follow=perhaps", "", 400, `query parameter "follow": "perhaps" is neither true nor false`, ""},
		{"event of no partition", "GET", "/v1/events/events/9/0", "", 400, `partition: "9" is not a whole number from 0 to 1`, ""},
		{"event of no offset", "GET", "/v1/events/events/0/-1", "", 400, `offset: "-1" is not a whole number`, ""},
		{"event past the end", "GET", "/v1/events/events/0/5", "", 404, `topic "events" holds nothing at partition 0, offset 5`, "partition 0 is empty"},
		{"logs of no function", "GET", "/v1/logs?function=pya", "", 404, `there is no function "pya"`, "did you mean pay?"},
		{"logs with a bad limit", "GET", "/v1/logs?limit=1e9", "", 400, `query parameter "limit": "1e9"`, ""},

		{"empty body", "POST", "/v1/topics", "", 400, "the body is empty", "JSON object"},
		{"body that is no JSON", "POST", "/v1/topics", "{", 400, "unexpected EOF", ""},
		{"unknown field", "POST", "/v1/topics", `{"nme":"x"}`, 400, `unknown field "nme"`, ""},
		{"unknown field of a spec", "POST", "/v1/functions", `{"spec":{"nam":"x"}}`, 400, `unknown field "nam"`, ""},
		{"wrong type", "POST", "/v1/topics", `{"name":"x","partitions":"many"}`, 400, "partitions: a string cannot be a int32", ""},
		{"bad duration of a spec", "POST", "/v1/functions", `{"spec":{"timeout":"soon"}}`, 400, `"soon" is not a duration`, ""},
		{"two values", "POST", "/v1/topics", `{"name":"x"} {}`, 400, "more than one JSON value", ""},
		{"large body", "POST", "/v1/topics", large, 413, "larger than 1048576 bytes", ""},

		{"topic without name", "POST", "/v1/topics", `{}`, 400, `name: "" is not the name of a topic`, "letters"},
		{"topic of a bad name", "POST", "/v1/topics", `{"name":"a b"}`, 400, `"a b" is not the name of a topic`, ""},
		{"system topic", "POST", "/v1/topics", `{"name":"_mine"}`, 403, `topic "_mine" is dalamb's own`, "reserved"},
		{"topic that is there", "POST", "/v1/topics", `{"name":"events"}`, 409, "events", ""},
		{"too many partitions", "POST", "/v1/topics", `{"name":"x","partitions":5000}`, 400, "partitions: 5000 is not a number from 1 to 1024", ""},
		{"bad retention", "POST", "/v1/topics", `{"name":"x","retention":"long"}`, 400, `retention: "long"`, ""},
		{"bad size", "POST", "/v1/topics", `{"name":"x","maxBytes":"big"}`, 400, `maxBytes: "big"`, ""},
		{"size below the floor", "POST", "/v1/topics", `{"name":"x","maxBytes":"1"}`, 400, `maxBytes: "1" is less than 1Mi`, "a topic keeps at least so much"},
		{"size altered below the floor", "PATCH", "/v1/topics/events", `{"maxBytes":"1023Ki"}`, 400, `maxBytes: "1023Ki" is less than 1Mi`, ""},
		{"fewer partitions", "PATCH", "/v1/topics/events", `{"partitions":1}`, 400, `partitions: topic "events" has 2, which may only grow`, ""},
		{"alter a system topic", "PATCH", "/v1/topics/_dalamb.jobs", `{"retention":"30d"}`, 403, "dalamb's own", "_dalamb.requests, _dalamb.runs"},
		{"runs for less than a week", "PATCH", "/v1/topics/_dalamb.runs", `{"retention":"167h"}`, 400, "167h is less than the 7d", "7d or more"},
		{"less runs", "PATCH", "/v1/topics/_dalamb.runs", `{"maxBytes":"1Gi"}`, 400, "1Gi is less than the 2Gi", "2Gi or more"},
		{"runs for no time", "PATCH", "/v1/topics/_dalamb.runs", `{"retention":"long"}`, 400, `retention: "long"`, ""},
		{"wider runs", "PATCH", "/v1/topics/_dalamb.runs", `{"partitions":9,"retention":"30d"}`, 403, "dalamb's own", ""},
		{"runs that some may write", "PATCH", "/v1/topics/_dalamb.runs", `{"rules":{"writers":["token:x"]}}`, 403, "dalamb's own", ""},
		{"alter no topic", "PATCH", "/v1/topics/evnts", `{"retention":"1h"}`, 404, `"evnts"`, "events"},
		{"delete a system topic", "DELETE", "/v1/topics/_dalamb.control", "", 403, "dalamb's own", ""},
		{"delete no topic", "DELETE", "/v1/topics/evnts", "", 404, `"evnts"`, "events"},
		{"delete a topic in use", "DELETE", "/v1/topics/events", "", 409, `topic "events" is used by pay/on-order`, "remove those functions"},

		{"remove no function", "DELETE", "/v1/functions/payy", "", 404, `there is no function "payy"`, "did you mean pay?"},
		{"pause no trigger", "POST", "/v1/triggers/pay/on-ordr/pause", "", 404, "on-ordr", "on-order"},
		{"pause of no function", "POST", "/v1/triggers/pya/on-order/pause", "", 404, `"pya"`, "pay"},
		{"code of no digest", "PUT", "/v1/code/abc", "", 400, `"abc" is not a digest`, "64 hexadecimal"},

		{"redrive of nothing", "POST", "/v1/dead/redrive", `{}`, 400, "nothing selects a dead letter", "all: true"},
		{"redrive of both", "POST", "/v1/dead/redrive", `{"ids":["a"],"all":true}`, 400, "ids cannot be combined", ""},
		{"redrive of what is not there", "POST", "/v1/dead/redrive", `{"ids":["a"]}`, 404, `there is no dead letter "a"`, ""},
		{"redrive at a bad rate", "POST", "/v1/dead/redrive", `{"all":true,"rate":-1}`, 400, "rate: -1", ""},
		{"redrive by a bad pattern", "POST", "/v1/dead/redrive", `{"pattern":{"type":"x"}}`, 400, "pattern", ""},
		{"redrive by a bad time", "POST", "/v1/dead/redrive", `{"before":"noon"}`, 400, "noon", ""},
		{"discard of nothing", "POST", "/v1/dead/discard", `{"ids":[]}`, 400, "ids: none are given", ""},
		{"discard of what is not there", "POST", "/v1/dead/discard", `{"ids":["a"]}`, 404, `there is no dead letter "a"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := n.do(c.method, c.path, c.body)
			var e wire.ErrorBody
			if err := json.Unmarshal([]byte(a.body), &e); err != nil {
				t.Fatalf("%s %s = %d %q, want an error in JSON", c.method, c.path, a.status, a.body)
			}
			if a.status != c.status || !strings.Contains(e.Error.Message, c.message) || !strings.Contains(e.Error.Hint, c.hint) {
				t.Errorf("%s %s = %d %+v, want %d with %q, hint %q", c.method, c.path, a.status, e.Error, c.status, c.message, c.hint)
			}
			if got := a.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type = %q", got)
			}
		})
	}
	after, err := n.log.Bounds(t.Context(), controlPartition())
	ok(t, err)
	if after != before || n.topicNames() != "events" || len(n.script.redrives)+len(n.script.discards) != 0 {
		t.Errorf("after bad input: control %v, was %v; topics %q; %d redrives", after, before, n.topicNames(), len(n.script.redrives))
	}
}

func TestWithoutTheTokenNothingHappens(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	before, err := n.log.Bounds(t.Context(), controlPartition())
	ok(t, err)
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + token + "x", "Bearer " + token[:5], "Basic " + token, token} {
		for _, rt := range (*API)(nil).routes() {
			path := strings.NewReplacer("{name}", "pay", "{function}", "pay", "{trigger}", "on-order", "{topic}", "events", "{digest}", "abc",
				"{partition}", "0", "{offset}", "0", "{run}", "x").Replace(rt.Path)
			a := n.do(rt.Method, path, "{}", "Authorization: "+auth)
			if a.status != http.StatusUnauthorized || a.header.Get("Www-Authenticate") == "" {
				t.Errorf("%s %s with %q = %d %s, want 401", rt.Method, path, auth, a.status, a.body)
			}
			if rt.Method != "HEAD" && !strings.Contains(a.body, "token is missing or wrong") {
				t.Errorf("%s %s with %q = %s, want that the token is wrong", rt.Method, path, auth, a.body)
			}
		}
	}
	after, err := n.log.Bounds(t.Context(), controlPartition())
	ok(t, err)
	if after != before || len(n.script.calls) != 0 {
		t.Errorf("without a token something happened: control %v, was %v; %d calls", after, before, len(n.script.calls))
	}
	if a := n.do("GET", "/v1/node", "", "Authorization: bearer "+token); a.status != 200 {
		t.Errorf("GET /v1/node with the scheme in small letters = %d, want 200 (RFC 9110, section 11.1)", a.status)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"name":"x","partitions":3,"retention":"30d"}`)
	f.Add(`{"spec":{"name":"pay","entry":{"type":"stdio","command":["./run"]},"timeout":"3s"},"code":"sha256:00"}`)
	f.Add(`{"ids":["a"],"pattern":{"type":["x"]},"before":"2026-01-01T00:00:00Z","rate":1.5}`)
	f.Add(`{"ids":`)
	f.Add("[[[[")
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range []any{new(wire.TopicCreate), new(wire.DeployRequest), new(wire.Redrive), new(wire.TopicAlter), new(wire.Discard)} {
			r, err := http.NewRequest("POST", "/", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			err = decode(r, v)
			if err != nil {
				if s := wire.ErrorOf(err).Error; s.Kind != "invalid" && s.Kind != "too large" {
					t.Errorf("decode(%q) = %v (%s), want invalid", text, err, s.Kind)
				}
				continue
			}
			if d, ok := v.(*wire.DeployRequest); ok {
				// Whatever was decoded can be checked and digested.
				_ = d.Spec.Validate()
				_ = d.Spec.Digest(d.Code, "")
			}
			if _, err := json.Marshal(v); err != nil {
				t.Errorf("what decode made of %q cannot be encoded: %v", text, err)
			}
		}
	})
}
