package function

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// everywhere is a manifest in which everything is named that can be.
const everywhere = `name: pay
entry: {type: stdio, command: [x]}
secrets: [{name: db, env: DB}, {name: tls}, {name: tls, file: server.pem}]
config: [{name: level, env: LEVEL}]
async: {onSuccess: {topic: done}, onFailure: {function: mail}}
rollout: {strategy: canary, gates: {check: smoke}}
triggers:
  - {name: default}
  - {name: shared, topic: orders, onFailure: {topic: bad}, onSuccess: {function: mail}}
  - {name: own, topic: refunds, emit: {topic: done}}
  - {name: told, topic: _dalamb.runs}
  - {name: tick, schedule: "0 3 * * *"}
  - {name: any, route: {path: /pay}}
  - {name: host, route: {host: shop.example.org, path: /pay}, emit: {topic: done}}
`

func everywhereSpec(t testing.TB) *Spec {
	t.Helper()
	m, err := ParseManifest("dalamb.yaml", []byte(everywhere))
	if err != nil {
		t.Fatalf("ParseManifest: %v", err)
	}
	return &m.Functions[0].Spec
}

func TestAHostThatIsTheEnvironmentsStays(t *testing.T) {
	s := everywhereSpec(t)
	s.Triggers[6].Route.Host = "staging.shop.example.org"
	for env, want := range map[string]string{"": "staging.shop.example.org", "staging": "staging.shop.example.org", "test": "test.staging.shop.example.org"} {
		if got := s.Place(env, func(string) bool { return true }).Triggers[6].Route.Host; got != want {
			t.Errorf("in environment %q its host is %s, want %s", env, got, want)
		}
	}
}

func TestAPlacedSpecNamesWhatIsItsEnvironments(t *testing.T) {
	plain := everywhereSpec(t)
	before, _ := json.Marshal(plain)
	s := plain.Place("staging", func(topic string) bool { return slices.Contains([]string{"orders", "staging.refunds"}, topic) })
	if after, _ := json.Marshal(plain); string(after) != string(before) {
		t.Errorf("Place changed the spec that it was given:\n%s\nwas\n%s", after, before)
	}
	for _, c := range []struct{ what, got, want string }{
		{"name", s.Name, "staging.pay"},
		{"secret as a variable", s.Secrets[0].Name, "staging.db"},
		{"secret as a file", s.Secrets[1].Name, "staging.tls"},
		{"its file", s.Secrets[1].FileName(), "tls"},
		{"a named file", s.Secrets[2].FileName(), "server.pem"},
		{"config", s.Config[0].Name, "staging.level"},
		{"async topic", s.Async.OnSuccess.Topic, "staging.done"},
		{"async function", s.Async.OnFailure.Function, "staging.mail"},
		{"check", s.Rollout.Gates.Check, "staging.smoke"},
		{"topic events", s.Triggers[0].Topic, "staging.events"},
		{"shared topic", s.Triggers[1].Topic, "orders"},
		{"topic of an outcome", s.Triggers[1].OnFailure.Topic, "staging.bad"},
		{"function of an outcome", s.Triggers[1].OnSuccess.Function, "staging.mail"},
		{"own topic", s.Triggers[2].Topic, "staging.refunds"},
		{"emit", s.Triggers[2].Emit.Topic, "staging.done"},
		{"system topic", s.Triggers[3].Topic, "_dalamb.runs"},
		{"any host", s.Triggers[5].Route.Pattern(), "staging.*/pay"},
		{"a host", s.Triggers[6].Route.Pattern(), "staging.shop.example.org/pay"},
		{"emit of a route", s.Triggers[6].Emit.Topic, "staging.done"},
		{"group", GroupOf(s.Name, "shared"), "dalamb.staging.pay.shared"},
	} {
		if c.got != c.want {
			t.Errorf("%s = %q, want %q", c.what, c.got, c.want)
		}
	}
	if !s.Triggers[5].Route.AnyHost(s.Name) || s.Triggers[6].Route.AnyHost(s.Name) {
		t.Error("AnyHost does not tell a route without a host from one with")
	}
	env, back := s.Unplace()
	if env != "staging" || !reflect.DeepEqual(back, plain) {
		t.Errorf("Unplace() = %s, %+v; want staging, %+v", env, back, plain)
	}
	if again := s.Place("staging", func(topic string) bool { return topic == "staging.refunds" }); !reflect.DeepEqual(again, s) {
		t.Errorf("placed again it is %+v, want %+v", again, s)
	}
	if err := s.Validate(); err != nil {
		t.Errorf("Validate() of a placed spec = %v", err)
	}
	if p := plain.Place("", nil); p != plain {
		t.Error("production changes a spec")
	}
}

func TestValidateTakesOwnNamesAlone(t *testing.T) {
	for what, change := range map[string]func(*Spec){
		"another environment's secret": func(s *Spec) { s.Secrets[0].Name = "test.db" },
		"another's function":           func(s *Spec) { s.Async.OnFailure.Function = "test.mail" },
		"another's host":               func(s *Spec) { s.Triggers[5].Route.Host = "test.*" },
		"two environments":             func(s *Spec) { s.Name = "staging.test.pay" },
		"no name":                      func(s *Spec) { s.Name = "staging." },
		"no environment":               func(s *Spec) { s.Name = ".pay" },
		"a reserved one":               func(s *Spec) { s.Name = "production.pay" },
		"a wrong one":                  func(s *Spec) { s.Name = "Sta/ging.pay" },
	} {
		s := everywhereSpec(t).Place("staging", func(string) bool { return false })
		if change(s); s.Validate() == nil {
			t.Errorf("%s: Validate() = nil, want an error", what)
		}
	}
	s := everywhereSpec(t)
	if s.Secrets[0].Name = "staging.db"; s.Validate() == nil {
		t.Error("a function of production may take a secret of staging")
	}
	if _, err := ParseManifest("m", []byte("name: staging.pay\nentry: {type: stdio, command: [x]}\n")); err == nil {
		t.Error("a manifest may say its environment")
	}
}

func TestEnvironmentNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"staging": true, "a": true, "qa-2": true, strings.Repeat("a", 30): true,
		"": false, "Staging": false, "2qa": false, "qa-": false, "a.b": false, "a/b": false, "production": false, "live": false, "www": false, strings.Repeat("a", 31): false,
	} {
		if err := CheckEnvironment(name); (err == nil) != ok {
			t.Errorf("CheckEnvironment(%q) = %v, want ok %v", name, err, ok)
		}
	}
	for name, ok := range map[string]bool{
		"pay": true, "staging.pay": true, "staging." + strings.Repeat("a", 63): true,
		"": false, ".pay": false, "staging.": false, "a.b.c": false, "live.pay": false, "staging.Pay": false, "staging." + strings.Repeat("a", 64): false,
	} {
		if ValidFull(name) != ok {
			t.Errorf("ValidFull(%q) = %v, want %v", name, !ok, ok)
		}
	}
	for _, c := range []struct{ fn, topic, want string }{
		{"pay", "orders", "orders"},
		{"staging.pay", "orders", "staging.events"},
		{"staging.pay", "events", "staging.events"},
		{"staging.pay", "staging.orders", "staging.orders"},
		{"staging.pay", "test.orders", "staging.events"},
		{"staging.pay", "_dalamb.runs", "_dalamb.runs"},
	} {
		if got := EmitsTo(c.fn, c.topic); got != c.want {
			t.Errorf("EmitsTo(%q, %q) = %q, want %q", c.fn, c.topic, got, c.want)
		}
	}
}

// FuzzUnplace: whatever a spec is called, what comes of it is accepted, placed and taken apart again without a change, or refused.
func FuzzUnplace(f *testing.F) {
	for _, seed := range [][4]string{
		{"pay", "db", "orders", "shop.example.org"}, {"staging.pay", "staging.db", "orders", "staging.*"}, {"staging.pay", "db", "staging.orders", ""},
		{"staging.staging.pay", "staging.staging.db", "staging.staging.events", "staging.staging.*"}, {".", ".", ".", "."}, {"staging.", "staging.", "staging.", "staging."},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, name, secret, topic, host string) {
		s := everywhereSpec(t)
		s.Name, s.Secrets[0].Name, s.Triggers[1].Topic, s.Triggers[6].Route.Host = name, secret, topic, host
		env, plain := s.Unplace()
		if s.Validate() != nil {
			return
		}
		placed := plain.Place(env, func(string) bool { return true })
		if err := placed.Validate(); err != nil {
			t.Fatalf("%q is valid, and placed again it is not: %v", s.Name, err)
		}
		if env == "" && strings.Contains(placed.Name+placed.Secrets[0].Name, ".") {
			t.Fatalf("production has %q, %q", placed.Name, placed.Secrets[0].Name)
		}
		if env != "" && (!Within(env, placed.Secrets[0].Name) || !Within(env, placed.Triggers[6].Route.Host)) {
			t.Fatalf("%s has %q, %q", env, placed.Secrets[0].Name, placed.Triggers[6].Route.Host)
		}
	})
}
