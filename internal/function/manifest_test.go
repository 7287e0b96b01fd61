package function

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func parse(t *testing.T, text string) *Manifest {
	t.Helper()
	m, err := ParseManifest("dalamb.yaml", []byte(text))
	if err != nil {
		t.Fatalf("ParseManifest:\n%v", err)
	}
	return m
}

const minimal = "name: pay\nentry: {type: lambda, command: [./bootstrap]}\n"

func TestDefaults(t *testing.T) {
	m := parse(t, minimal+`
triggers:
  - {}
  - route: {path: /pay}
---
name: web
entry: {type: http, command: [python3, -m, web, 8, true]}
env: {A: 1, B: yes, C: 1.50}
---
name: sh
entry: {type: stdio, command: [cat]}
resources: {memory: 65536Ki}
triggers: [{name: on-dead, topic: _dalamb.dead, retry: {attempts: 1}}]
`)
	retry := Retry{Attempts: 4, Initial: Duration(200 * time.Millisecond), Max: Duration(30 * time.Second), Factor: 2, MaxAge: Duration(6 * time.Hour)}
	once := retry
	once.Attempts = 1
	want := Spec{
		Name: "pay", Base: "host", Entry: Entry{Type: EntryLambda, Command: []string{"./bootstrap"}, Concurrency: 1},
		Resources: Resources{Memory: 128 << 20, CPU: 1, PIDs: 64, Files: 1024, Tmp: 64 << 20}, Timeout: Duration(30 * time.Second),
		Scale: Scale{Max: 10, Freeze: Duration(2 * time.Second), Idle: Duration(5 * time.Minute), Reuse: "idle"}, Network: "none",
		Triggers: []Trigger{
			{Name: "t0", Topic: "events", Order: OrderKey, Retry: retry},
			{Name: "route1", Route: &Route{Path: "/pay"}},
		},
	}
	if got := m.Functions[0]; !reflect.DeepEqual(got.Spec, want) || got.CodePath != "." || got.Line != 1 {
		t.Errorf("the first function is %+v, want %+v with code . in line 1", got, want)
	}
	web := m.Functions[1].Spec
	if web.Entry.Port != 8080 || web.Entry.Concurrency != 16 || web.Scale.Reuse != "idle" || !reflect.DeepEqual(web.Entry.Command, []string{"python3", "-m", "web", "8", "true"}) {
		t.Errorf("http entry: %+v, scale %+v", web.Entry, web.Scale)
	}
	if !reflect.DeepEqual(web.Env, map[string]string{"A": "1", "B": "yes", "C": "1.50"}) {
		t.Errorf("env = %v, want the words as written", web.Env)
	}
	if sh := m.Functions[2].Spec; sh.Scale.Reuse != "never" || sh.Entry.Port != 0 || sh.Resources.Memory != 64<<20 || sh.Resources.CPU != 1 {
		t.Errorf("stdio: entry %+v, scale %+v, resources %+v", sh.Entry, sh.Scale, sh.Resources)
	}
	if got, want := m.Functions[2].Spec.Triggers, []Trigger{{Name: "on-dead", Topic: "_dalamb.dead", Order: OrderKey, Retry: once}}; !reflect.DeepEqual(got, want) {
		t.Errorf("triggers of sh = %+v, want %+v", got, want)
	}
}

func TestFilterBecomesJSON(t *testing.T) {
	m := parse(t, minimal+`
triggers:
  - name: one
    filter: &f
      type: [order.validated]
      data: {total: [{numeric: [">", 1.10]}], big: [123456789012345678901234567890, 0x10, +5, .5], day: [2026-01-02], none: [null, true], "ä\"": ["<&>"]}
  - {name: two, filter: *f}
`)
	const want = `{"data":{"big":[123456789012345678901234567890,16,5,0.5],"day":["2026-01-02"],"none":[null,true],"total":[{"numeric":["\u003e",1.10]}],"ä\"":["\u003c\u0026\u003e"]},"type":["order.validated"]}`
	for _, tr := range m.Functions[0].Spec.Triggers {
		if string(tr.Filter) != want {
			t.Errorf("filter = %s, want %s", tr.Filter, want)
		}
	}
}

// Each manifest and all that is said about it.
func TestManifestErrors(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, c := range []struct{ text, want string }{
		{"", "dalamb.yaml:1:1: the manifest declares no function (it needs at least name and entry)"},
		{"name: [", "dalamb.yaml:1:8: not valid YAML: the text ends where a value is expected (a bracket may be left open)"},
		{minimal + "env:\n\tA: b\n", "dalamb.yaml:4:1: not valid YAML: a tab indents this line (YAML is indented by spaces alone)"},
		{minimal + "---\nname: 'b\n", "dalamb.yaml:4:7: not valid YAML: the quote that opens here is not closed"},
		{"- 1", "dalamb.yaml:1:1: is a list, not a mapping of fields"},
		{"timeout: 1s", `dalamb.yaml:1:1: name: a function needs a name (a lower-case letter, then letters, digits and inner hyphens, at most 63 characters)
dalamb.yaml:1:1: entry.type: is required (allowed: lambda, http, stdio)
dalamb.yaml:1:1: entry.command: names no program (a list, such as [python3, main.py])`},
		{minimal + "code: /opt/pay", `dalamb.yaml:3:7: code: "/opt/pay" is an absolute path (it is relative to the directory of this file, such as src or ../pay)`},
		{minimal + "timeot: 3s", "dalamb.yaml:3:1: timeot: unknown field (did you mean timeout?)"},
		{minimal + "zzz: 3s", "dalamb.yaml:3:1: zzz: unknown field (known here: name, code, build, image, base, follow, entry, resources, timeout, scale, health, env, secrets, config, network, allow, calls, isolation, runner, deliver, async, keep, rollout, triggers, aws)"},
		{"functions:\n  - name: pay\n    entry: {type: lambda, command: [./a]}", "dalamb.yaml:1:1: functions: unknown field (the fields of a function stand at the top; several functions are several documents, with a line --- between them)"},
		{minimal + "<<: {}", "dalamb.yaml:3:1: <<: unknown field (merge keys are not supported; a whole value can be repeated by an alias)"},
		{minimal + "name: x", "dalamb.yaml:3:1: name: is given twice (first in line 1)"},
		{minimal + "? [a]\n: b", "dalamb.yaml:3:3: a key must be text"},
		{minimal + "timeout: 30", `dalamb.yaml:3:10: timeout: "30" is not a duration such as 200ms, 30s, 5m, 6h or 30d`},
		{minimal + "timeout: [1s]", "dalamb.yaml:3:10: timeout: is a list, not a duration"},
		{minimal + "timeout: 0s", "dalamb.yaml:3:10: timeout: 0s is out of range (from 1ms to 1d)"},
		{minimal + "base: hosts", "dalamb.yaml:3:7: base: \"hosts\" is not known (allowed: host, scratch; did you mean host?)"},
		{minimal + "isolation: total", `dalamb.yaml:3:12: isolation: "total" is not known (allowed: available, strict)`},
		{minimal + "runner: process", `dalamb.yaml:3:9: runner: "process" is not known (allowed: native, oci:crun, oci:runc, oci:runsc, oci:kata-runtime)`},
		{minimal + "isolation: strict\nnetwork: host", "dalamb.yaml:3:12: isolation: strict and network: host exclude each other (network: none or egress, or isolation: available)"},
		{minimal + "resources: {files: 3}", "dalamb.yaml:3:20: resources.files: 3 is out of range (from 16 to 1048576)"},
		{minimal + "network:", "dalamb.yaml:3:9: network: is empty, not text"},
		{minimal + "resources: {memory: 1Mi, cpu: .nan, pids: 1.5, tmp: lots}", `dalamb.yaml:3:21: resources.memory: 1Mi is out of range (from 4Mi to 1Ti)
dalamb.yaml:3:31: resources.cpu: ".nan" is not a number
dalamb.yaml:3:43: resources.pids: is the number 1.5, not a whole number
dalamb.yaml:3:53: resources.tmp: "lots" is not a size such as 65536, 64Ki, 128Mi or 1Gi`},
		{minimal + "scale: {min: 11, max: 10, idle: 0s, reuse: always}", `dalamb.yaml:3:14: scale.min: 11 is out of range (from 0 to 10)
dalamb.yaml:3:33: scale.idle: 0s is out of range (from 1ms to 30d)
dalamb.yaml:3:44: scale.reuse: "always" is not known (allowed: idle, never)`},
		{minimal + "env: {1A: x, PORT: 1, LAMBDA_TASK_ROOT: /x, N: \"\\0\"}", `dalamb.yaml:3:11: env.1A: "1A" is no name for a variable (letters, digits and underscores, no digit first)
dalamb.yaml:3:41: env.LAMBDA_TASK_ROOT: dalamb sets this variable itself (remove it)
dalamb.yaml:3:48: env.N: holds a zero byte`},
		{minimal + "env: {LONG: " + strings.Repeat("x", 64<<10+1) + "}", "dalamb.yaml:3:13: env.LONG: has 65537 bytes; a variable has at most 65536 (put it in a file beside the code)"},
		{"name: Pay\nentry: {type: rest, command: []}", `dalamb.yaml:1:7: name: "Pay" is no name for a function (a lower-case letter, then letters, digits and inner hyphens, at most 63 characters)
dalamb.yaml:2:15: entry.type: "rest" is not known (allowed: lambda, http, stdio)
dalamb.yaml:2:30: entry.command: names no program (a list, such as [python3, main.py])`},
		{"name: " + long + "\nentry: {type: stdio, command: [cat], port: 80, concurrency: 2}\nscale: {reuse: idle}", `dalamb.yaml:1:7: name: "` + long + `" is no name for a function (a lower-case letter, then letters, digits and inner hyphens, at most 63 characters)
dalamb.yaml:2:44: entry.port: only an http entry has a port (remove it, or set entry.type to http)
dalamb.yaml:2:61: entry.concurrency: only an http entry takes more than one invocation at a time (remove it, or set entry.type to http)
dalamb.yaml:3:16: scale.reuse: a stdio function has one process per event and is not reused (remove it, or write never; or set entry.mode to lines)`},
		{"name: 7\nentry: {type: http, command: [x], port: 70000}", "dalamb.yaml:1:7: name: is the number 7, not text\ndalamb.yaml:2:41: entry.port: 70000 is out of range (from 1 to 65535)"},
		{minimal + "---\n" + minimal, `dalamb.yaml:4:7: name: function "pay" is declared twice (first in line 1)`},
		{minimal + "triggers:\n- name: a\n- name: a\n- name: A", `dalamb.yaml:5:9: triggers[1].name: trigger "a" is declared twice (first is triggers[0])
dalamb.yaml:6:9: triggers[2].name: "A" is no name for a trigger (a lower-case letter, then letters, digits and inner hyphens, at most 63 characters)`},
		{minimal + "triggers:\n- name: invoke", `dalamb.yaml:4:9: triggers[0].name: trigger "invoke" is every function's own, for its asynchronous calls (choose another)`},
		{minimal + "triggers:\n- filter: {type: [a]}\n- {name: b}\n- route: {path: /a}\n- topic: c", `dalamb.yaml:4:3: triggers[0].name: each of several triggers on topics needs a name (progress is kept under the trigger's name)
dalamb.yaml:7:3: triggers[3].name: each of several triggers on topics needs a name (progress is kept under the trigger's name)`},
		{minimal + "triggers:\n- topic: _dalamb.logs\n  name: a\n- topic: _dalamb.jobs\n  name: b\n- topic: a b\n  name: c\n- emit: {topic: _x}\n  name: d\n- emit: {}\n  name: e", `dalamb.yaml:4:10: triggers[0].topic: a function cannot listen to logs: its own would make it run for ever
dalamb.yaml:6:10: triggers[1].topic: triggers cannot listen to the system topic "_dalamb.jobs" (allowed: _dalamb.alerts, _dalamb.builds, _dalamb.control, _dalamb.dead, _dalamb.requests, _dalamb.runs)
dalamb.yaml:8:10: triggers[2].topic: "a b" is no name for a topic (letters, digits, dot, hyphen and underscore, at most 249)
dalamb.yaml:10:17: triggers[3].emit.topic: topics that begin with an underscore are written by dalamb alone (choose a name without the underscore)
dalamb.yaml:12:9: triggers[4].emit.topic: "" is no name for a topic (letters, digits, dot, hyphen and underscore, at most 249)`},
		{minimal + "triggers:\n- retry: {attempts: 0, initial: 1m, max: 1s, factor: 0.5, maxAge: 0s, never: ['']}\n  order: keys", `dalamb.yaml:4:21: triggers[0].retry.attempts: 0 is out of range (from 1 to 1000)
dalamb.yaml:4:42: triggers[0].retry.max: 1s is less than the first wait (initial is 1m)
dalamb.yaml:4:54: triggers[0].retry.factor: 0.5 is out of range (from 1 to 100)
dalamb.yaml:4:67: triggers[0].retry.maxAge: 0s is out of range (from 1ms to 365d)
dalamb.yaml:4:79: triggers[0].retry.never[0]: an errorType may not be empty
dalamb.yaml:5:10: triggers[0].order: "keys" is not known (allowed: key, partition, none; did you mean key?)`},
		{minimal + "triggers:\n- {name: a, batch: {size: 0, window: 1h, bytes: 1, onError: bisekt}}\n- {name: b, payload: sqs, rule: paid}\n- {batch: {}, payload: aws-sqs, route: {path: /a}}", `dalamb.yaml:4:27: triggers[0].batch.size: 0 is out of range (from 1 to 10000)
dalamb.yaml:4:38: triggers[0].batch.window: 1h is out of range (from 0s to 5m)
dalamb.yaml:4:49: triggers[0].batch.bytes: 1 is out of range (from 1Ki to 6Mi)
dalamb.yaml:4:61: triggers[0].batch.onError: "bisekt" is not known (allowed: bisect, retry, dead-letter; did you mean bisect?)
dalamb.yaml:5:22: triggers[1].payload: "sqs" is not known (allowed: aws-kafka, aws-sqs, aws-eventbridge)
dalamb.yaml:5:33: triggers[1].rule: "paid" is not the ARN of a rule (remove it: AWS's EventBridge API sets it)
dalamb.yaml:6:11: triggers[2].batch: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)
dalamb.yaml:6:24: triggers[2].payload: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)`},
		{minimal + "triggers:\n- concurrency: 0", `dalamb.yaml:4:16: triggers[0].concurrency: 0 is out of range (from 1; leave it out for no bound)`},
		{minimal + "triggers:\n- start: beginning", `dalamb.yaml:4:10: triggers[0].start: "beginning" is no place to start from (latest, earliest, group, a time such as 2026-12-01T09:00:00Z or 2026-12-01, or how long ago, such as 24h or 30d)`},
		{minimal + "async: {onSuccess: {}, onFailure: {topic: _a}}\ntriggers:\n- concurrency: -1\n  rate: 0/s\n  effects: twice\n  dedupe: {window: 8d}\n  stale: dropp\n  onSuccess: {topic: a, function: b}\n  onFailure: {function: pay}", `dalamb.yaml:3:20: async.onSuccess: names not exactly one of a topic and a function (write {topic: T} or {function: F})
dalamb.yaml:3:43: async.onFailure.topic: topics that begin with an underscore are written by dalamb alone (choose a name without the underscore)
dalamb.yaml:5:16: triggers[0].concurrency: -1 is out of range (from 1 to 10000)
dalamb.yaml:6:9: triggers[0].rate: "0/s" is not a rate such as 100/s, 30/m or 5/h, from 1 to 1000000
dalamb.yaml:7:12: triggers[0].effects: "twice" is not known (allowed: exactly-once, at-least-once)
dalamb.yaml:8:20: triggers[0].dedupe.window: 8d is out of range (from 1s to 7d)
dalamb.yaml:9:10: triggers[0].stale: "dropp" is not known (allowed: run, drop; did you mean drop?)
dalamb.yaml:10:14: triggers[0].onSuccess: names not exactly one of a topic and a function (write {topic: T} or {function: F})
dalamb.yaml:11:25: triggers[0].onFailure.function: the function would run for its own outcomes for ever (choose another)`},
		{minimal + "triggers:\n- {route: {path: /a}, concurrency: 2, rate: 1/s}", `dalamb.yaml:4:36: triggers[0].concurrency: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)
dalamb.yaml:4:45: triggers[0].rate: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)`},
		{minimal + "triggers:\n- filter: [a]\n  name: a\n- filter: {n: [.inf], n: [1]}\n  name: b", `dalamb.yaml:4:11: triggers[0].filter: a pattern is a JSON object, not an array
dalamb.yaml:6:16: triggers[1].filter.n[0]: the number .inf has no JSON form
dalamb.yaml:6:23: triggers[1].filter.n: is given twice (first in line 6)`},
		{minimal + "triggers:\n- filter:\n    data:\n      total: 5", `dalamb.yaml:6:14: triggers[0].filter.data.total: must be an array of alternatives or an object, not a number; write [5]`},
		{minimal + "triggers:\n- {topic: a, filter: {}, order: key, retry: {}, route: {path: /a}}\n- route: {method: get, host: 'a:80', path: a}\n- route: {path: /_/fn}\n- route: {path: '/2015-03-31/x'}\n- route: {path: '/{a'}\n- route: {}",
			`dalamb.yaml:4:11: triggers[0].topic: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)
dalamb.yaml:4:22: triggers[0].filter: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)
dalamb.yaml:4:33: triggers[0].order: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)
dalamb.yaml:4:45: triggers[0].retry: belongs to a trigger on a topic, not to a route (remove it, or make a second trigger)
dalamb.yaml:5:19: triggers[1].route.method: "get" is no method (one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, QUERY, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK, REPORT, SEARCH; leave it out for any)
dalamb.yaml:5:30: triggers[1].route.host: "a:80" is no host (a lower-case host name without port)
dalamb.yaml:5:44: triggers[1].route.path: "a" does not begin with a slash (such as "/orders/{id}")
dalamb.yaml:6:17: triggers[2].route.path: paths below /_/ are dalamb's own (choose another path)
dalamb.yaml:7:17: triggers[3].route.path: paths below /2015-03-31/ are dalamb's own (choose another path)
dalamb.yaml:8:17: triggers[4].route.path: "/{a" is no path: at offset 1: bad wildcard segment (must end with '}')
dalamb.yaml:9:10: triggers[5].route.path: is required (such as "/orders/{id}")`},
		{minimal + "triggers:\n- route: {path: '/a/{x}'}\n- route: {path: '/{y}/b'}", `dalamb.yaml:5:10: triggers[1].route: meets the same requests as the route of trigger "route0", /a/{x} (make one of both more specific)`},
		{minimal + "triggers: [{route: {path: '/a/{x}'}}]\n---\nname: b\nentry: {type: lambda, command: [b]}\ntriggers: [{route: {path: '/{y}/b'}}]",
			`dalamb.yaml:5:1: triggers: the route /{y}/b of function "b" meets the same requests as /a/{x} of function "pay" (make one of both more specific)`},
	} {
		m, err := ParseManifest("dalamb.yaml", []byte(c.text))
		if m != nil || err == nil || err.Error() != c.want {
			t.Errorf("ParseManifest of\n%s\nsays\n%v\nwant\n%s", c.text, err, c.want)
			continue
		}
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("the kind of %v is %v, want invalid", err, fault.KindOf(err))
		}
	}
}

func TestHostileYAML(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		prev := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+prev+",", 10), ",") + "]\n"
	}
	for name, text := range map[string]string{
		"laughs":           minimal + "triggers:\n- filter:\n" + "    " + strings.ReplaceAll(strings.TrimSpace(bomb), "\n", "\n    "),
		"a cycle":          minimal + "triggers:\n- filter: &x {a: *x}",
		"deep":             minimal + "triggers:\n- filter: " + strings.Repeat("{a: ", 500) + "[1]" + strings.Repeat("}", 500),
		"very deep":        strings.Repeat("[", 100_000),
		"large":            "name: " + strings.Repeat("x", MaxManifest),
		"many mistakes":    minimal + strings.Repeat("? {}\n: x\n", 1000),
		"many documents":   strings.Repeat("---\nx: 1\n", 100_000),
		"many routes":      minimal + "triggers:\n" + strings.Repeat("- route: {path: /a}\n", 20_000),
		"not UTF-8":        "name: \xff\xfe\x00",
		"unknown alias":    "name: *x",
		"a directive":      "%YAML 9.9\n---\nname: x",
		"binary tag":       "name: !!binary aGk=",
		"custom tag":       "name: !x y",
		"control sequence": "name: \x00",
	} {
		m, err := ParseManifest("f", []byte(text))
		var me *ManifestError
		if m != nil || !errors.As(err, &me) || len(me.Problems) > maxProblems {
			t.Errorf("%s: ParseManifest = %v, %.300v, want a ManifestError of bounded length", name, m, err)
		}
	}
}

func TestABatchHasDefaults(t *testing.T) {
	m := parse(t, minimal+"triggers:\n- {batch: {window: 2s}, payload: aws-sqs}")
	got := m.Functions[0].Spec.Triggers[0]
	want := Batch{Size: 100, Window: seconds(2), Bytes: 4 << 20, OnError: OnErrorBisect}
	if got.Batch == nil || *got.Batch != want || got.Payload != PayloadSQS {
		t.Errorf("trigger = %+v with batch %+v, want %+v", got, got.Batch, want)
	}
}

func TestTheShopIsValid(t *testing.T) {
	data, err := os.ReadFile("../../examples/shop/dalamb.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if m := parse(t, string(data)); len(m.Functions) < 4 {
		t.Errorf("the shop declares %d functions", len(m.Functions))
	}
}

const full = `
name: pay
code: src/pay
base: scratch
entry: {type: http, command: [./pay, --fast], port: 9000, concurrency: 3}
resources: {memory: 1Gi, cpu: 0.5, pids: 12, tmp: 0}
timeout: 1m30s
scale: {min: 1, max: 3, idle: 1d, reuse: never}
env: {CURRENCY: EUR}
network: host
triggers:
  - name: on-validated
    topic: orders
    filter: {type: [order.validated], data: {total: [{numeric: [">", 0]}]}}
    order: partition
    retry: {attempts: 9, initial: 1s, max: 2s, factor: 1.5, maxAge: 1h, never: [Declined]}
    emit: {topic: payments}
  - name: web
    route: {method: POST, host: pay.example.com, path: "/pay/{id}", durable: true}
`

func TestSpecSurvivesTheWire(t *testing.T) {
	d := parse(t, full).Functions[0]
	b, err := json.Marshal(d.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var got Spec
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, d.Spec) {
		t.Errorf("%s becomes %+v, %v, want %+v", b, got, err, d.Spec)
	}
	if err := got.Validate(); err != nil || d.CodePath != "src/pay" {
		t.Errorf("Validate = %v, code %q", err, d.CodePath)
	}
	got.Scale.Max, got.Triggers[0].Retry.Attempts = 0, 0
	got.Scale.Min = 0
	const want = "scale.max: 0 is out of range (from 1 to 10000)\ntriggers[0].retry.attempts: 0 is out of range (from 1 to 1000)"
	if err := got.Validate(); err == nil || err.Error() != want {
		t.Errorf("Validate = %v, want %v", err, want)
	}
}

func TestDigest(t *testing.T) {
	spec := func() Spec { return parse(t, full).Functions[0].Spec }
	a, b := spec(), spec()
	const code = "sha256:00"
	b.Triggers[0].Filter = json.RawMessage(` { "data": {"total": [ {"numeric": [">", 0]} ]}, "type": ["order.validated"] } `)
	if a.Digest(code, "") != b.Digest(code, "") {
		t.Error("the same settings, written otherwise, have another digest")
	}
	if got, want := a.Digest(code, ""), "sha256:"; !strings.HasPrefix(got, want) || len(got) != 71 {
		t.Errorf("Digest = %q", got)
	}
	seen := map[string]string{a.Digest(code, ""): "itself", a.Digest("sha256:01", ""): "other code", a.Digest(code, "sha256:02"): "an image"}
	for name, change := range map[string]func(*Spec){
		"memory": func(s *Spec) { s.Resources.Memory++ },
		"env":    func(s *Spec) { s.Env["X"] = "" },
		"filter": func(s *Spec) { s.Triggers[0].Filter = json.RawMessage(`{"type":["x"]}`) },
		"number": func(s *Spec) {
			s.Triggers[0].Filter = json.RawMessage(`{"type":["order.validated"],"data":{"total":[{"numeric":[">",1]}]}}`)
		},
		"no filter": func(s *Spec) { s.Triggers[0].Filter = nil },
		"route":     func(s *Spec) { s.Triggers[1].Route.Durable = false },
	} {
		s := spec()
		change(&s)
		if other := seen[s.Digest(code, "")]; other != "" {
			t.Errorf("changing %s gives the digest of %s", name, other)
		}
		seen[s.Digest(code, "")] = name
	}
	if !reflect.DeepEqual(a, spec()) {
		t.Error("Digest changed the spec")
	}
}

func TestRouteConflict(t *testing.T) {
	route := func(fn, method, host, path string) RouteOf {
		return RouteOf{fn, "web", Route{Method: method, Host: host, Path: path}}
	}
	for _, c := range []struct {
		a, b     RouteOf
		conflict bool
	}{
		{route("a", "GET", "", "/x"), route("b", "POST", "", "/x"), false},
		{route("a", "GET", "", "/x"), route("b", "", "", "/x"), false},
		{route("a", "", "", "/x"), route("b", "", "h", "/x"), false},
		{route("a", "", "", "/x/{id}"), route("b", "", "", "/x/new"), false},
		{route("a", "", "", "/x/{rest...}"), route("b", "", "", "/x/{id}"), false},
		{route("a", "", "", "/x/{id}"), route("b", "", "", "/x/{other}"), true},
		{route("a", "GET", "", "/{x}/b"), route("b", "GET", "", "/a/{x}"), true},
		{route("a", "", "", "/x"), route("b", "GET", "", "/{id}"), true},
	} {
		err := RouteConflict([]RouteOf{route("z", "", "", "/zzz/z"), c.a, c.b})
		if (err != nil) != c.conflict || c.a.Route.Conflicts(&c.b.Route) != c.conflict {
			t.Errorf("RouteConflict(%s, %s) = %v, want a conflict: %v", c.a.Route.Pattern(), c.b.Route.Pattern(), err, c.conflict)
		}
		if err != nil && (fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), `"b"`)) {
			t.Errorf("%v: kind %v, want conflict and both names", err, fault.KindOf(err))
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(minimal + "---\n" + minimal + "triggers: [{filter: &f {a: [1]}}, {filter: *f}]"))
	f.Add([]byte("name: [\n"))
	f.Add([]byte("&a {name: *a}"))
	f.Add([]byte("{<<: &x {}, ? [] : 1, name: .nan}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest("f", data)
		if err != nil {
			var me *ManifestError
			if !errors.As(err, &me) || len(me.Problems) == 0 || me.Problems[0].Line < 1 {
				t.Fatalf("ParseManifest = %#v, want problems with lines", err)
			}
			return
		}
		for _, d := range m.Functions {
			if err := d.Spec.Validate(); err != nil {
				t.Fatalf("accepted %+v, which is not valid: %v", d.Spec, err)
			}
			b, err := json.Marshal(d.Spec)
			var again Spec
			if err != nil || json.Unmarshal(b, &again) != nil || again.Digest("x", "") != d.Spec.Digest("x", "") {
				t.Fatalf("%+v becomes %+v by way of %s, %v", d.Spec, again, b, err)
			}
		}
	})
}
