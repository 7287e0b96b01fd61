package gateway

import (
	"net/http"
	"testing"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestATraceOfAWSGoesOn(t *testing.T) {
	const w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	tests := []struct{ parent, xray, want string }{
		{"", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1", w3c},
		{"", "Sampled=0; Self=1-2; Parent=b7ad6b7169203331; Root=1-0af76519-16cd43dd8448eb211c80319c", w3c[:53] + "00"},
		{w3c, "Root=1-11111111-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331", w3c},
		{"", "Root=1-0af76519-16cd43dd8448eb211c80319c", ""},
		{"", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=xx", ""},
		{"", "Root=1-0af7651916cd43dd8448eb211c80319c;Parent=b7ad6b7169203331", ""},
		{"", "Root=2-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331", ""},
		{"", "Root=1-00000000-000000000000000000000000;Parent=b7ad6b7169203331", ""},
		{"", ";;=;Root", ""},
	}
	for _, tt := range tests {
		h := http.Header{"X-Amzn-Trace-Id": {tt.xray}}
		if tt.parent != "" {
			h.Set("Traceparent", tt.parent)
		}
		got := traceParent(h)
		if !validTraceParent(got) || tt.want != "" && got != tt.want {
			t.Errorf("traceParent(%q, %q) = %s, want %s", tt.parent, tt.xray, got, tt.want)
		}
	}
}

func FuzzXRayTrace(f *testing.F) {
	f.Add("Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1")
	f.Add("Root=1-;Parent;Sampled=?")
	f.Fuzz(func(t *testing.T, header string) {
		if id := fromXRay(header); id != "" && !validTraceParent(id) {
			t.Errorf("fromXRay(%q) = %q", header, id)
		}
	})
}

// attemptsOf gives what a fleet was told of the trace by each attempt of a request.
func attemptsOf(t *testing.T, given string, change func(*function.Route), status int, do ...func(fleet.Call) (*function.Result, error)) (traces []string) {
	t.Helper()
	f := inTurn(do...)
	n := start(t, f)
	n.deploy("f", enduring("GET", change))
	if g := n.send("GET", "/x", "", "Traceparent", given); g.status != status {
		t.Fatalf("answer = %d %s, want %d", g.status, g.body, status)
	}
	for range f.calls.Load() {
		traces = append(traces, (<-f.seen).Invocation.TraceParent)
	}
	return traces
}

func TestAttemptsOfARequestAreOfOneTrace(t *testing.T) {
	const given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	type does = func(fleet.Call) (*function.Result, error)
	fails := func() []does { return []does{gives(bad(503)), gives(bad(503)), gives(ok("well"))} }
	slow := func() []does { // the first answers when the second does
		second := make(chan struct{})
		return []does{hangs(second, ok("late")), func(fleet.Call) (*function.Result, error) { close(second); return ok("well"), nil }}
	}
	for name, c := range map[string]struct {
		change func(*function.Route)
		do     func() []does
		want   int
	}{
		"retry": {retry(function.RouteRetry{}), fails, 3},
		"fallback": {func(r *function.Route) {
			retry(function.RouteRetry{Attempts: 2})(r)
			r.Fallback = &function.Fallback{Function: "g"}
		}, fails, 3},
		"hedge": {func(r *function.Route) { r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 5e6}, Budget: 100} }, slow, 2},
	} {
		t.Run(name, func(t *testing.T) {
			all, parents := attemptsOf(t, "", c.change, 200, c.do()...), map[string]bool{}
			for _, one := range all {
				if !validTraceParent(one) || one[:36] != all[0][:36] {
					t.Errorf("the attempts are told the traces %q, want one", all)
				}
				parents[one[36:52]] = true
			}
			if len(all) != c.want || len(parents) != c.want {
				t.Errorf("%d attempts are told %d parents, want %d of each", len(all), len(parents), c.want)
			}
			for _, one := range attemptsOf(t, given, c.change, 200, c.do()...) {
				if one != given {
					t.Errorf("an attempt is told %s, want the client's own %s", one, given)
				}
			}
		})
	}
}
