package gateway

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// handshake asks for the beginning of a WebSocket. RFC 6455, section 4.1.
const handshake = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// takesUp takes an upgrade up, and echoes.
func takesUp(c fleet.Call) (*function.Result, error) {
	res := &function.Result{Outcome: function.Succeeded, Status: http.StatusSwitchingProtocols, Version: 1}
	nc, err := c.Invocation.Responder.(function.Upgrader).Upgrade(http.Header{"Upgrade": c.Invocation.Request.Header["Upgrade"]})
	if err != nil {
		res.Abandoned = true
		return res, nil
	}
	defer nc.Close()
	res.Streamed, _ = io.Copy(nc, nc) // to the end of the client
	return res, nil
}

// TestWhoWantsAnUpgradeIsAnsweredPlainlyWhereThereIsNone: to ask for one, in earnest or not, switches nothing of the route off.
func TestWhoWantsAnUpgradeIsAnsweredPlainlyWhereThereIsNone(t *testing.T) {
	static := func(r *function.Route) { r.Fallback = &function.Fallback{Body: "standing in"} }
	for protocol, ask := range map[string]string{"a websocket": handshake, "nonsense": strings.Replace(handshake, "websocket", "nonsense/1", 1), "h2c": strings.Replace(handshake, "websocket", "h2c", 1)} {
		for name, c := range map[string]struct {
			change func(*function.Route)
			do     []func(fleet.Call) (*function.Result, error)
			body   string
			calls  int64
		}{
			"nobody takes it":    {static, []func(fleet.Call) (*function.Result, error){refuses(fault.New(fault.Unavailable, "no instance"))}, "standing in", 1},
			"it does not start":  {static, []func(fleet.Call) (*function.Result, error){gives(&function.Result{Outcome: function.InitError, Failure: &function.Failure{}})}, "standing in", 1},
			"it fails":           {static, []func(fleet.Call) (*function.Result, error){gives(bad(500))}, "standing in", 1},
			"another function":   {func(r *function.Route) { r.Fallback = &function.Fallback{Function: "g"} }, []func(fleet.Call) (*function.Result, error){gives(bad(500)), gives(ok("the other"))}, "the other", 2},
			"the second attempt": {retry(function.RouteRetry{}), []func(fleet.Call) (*function.Result, error){gives(bad(503)), gives(ok("well"))}, "well", 2},
			"the second of a hedge": {func(r *function.Route) { r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 5e6}, Budget: 100} },
				[]func(fleet.Call) (*function.Result, error){func(c fleet.Call) (*function.Result, error) { <-c.Invocation.Responder.Gone(); return ok("slow"), nil }, gives(ok("quick"))}, "quick", 2},
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				f := inTurn(c.do...)
				n := start(t, f)
				n.deploy("f", enduring("GET", c.change))
				if g := n.raw(t, ask); g.status != 200 || g.body != c.body || f.calls.Load() != c.calls {
					t.Errorf("answer = %d %q after %d calls, want %q after %d", g.status, g.body, f.calls.Load(), c.body, c.calls)
				}
			})
		}
	}
}

// TestOneOfTwoAttemptsHasTheConnection: the function that takes the upgrade up first has it, and the other one is told that it has not.
func TestOneOfTwoAttemptsHasTheConnection(t *testing.T) {
	both, lost := make(chan struct{}), make(chan bool, 2)
	second := false
	f := inTurn(func(c fleet.Call) (*function.Result, error) {
		<-both // the other one has it
		res, err := takesUp(c)
		lost <- res.Abandoned
		return res, err
	}, func(c fleet.Call) (*function.Result, error) {
		second = true
		nc, err := c.Invocation.Responder.(function.Upgrader).Upgrade(http.Header{"Upgrade": {"websocket"}})
		if err != nil {
			t.Errorf("the first that takes it up has not got it: %v", err)
			return nil, err
		}
		close(both)
		defer nc.Close()
		n, _ := io.Copy(nc, nc)
		return &function.Result{Outcome: function.Succeeded, Status: http.StatusSwitchingProtocols, Streamed: n}, nil
	})
	n := start(t, f)
	n.deploy("f", enduring("GET", func(r *function.Route) {
		r.Fallback = &function.Fallback{Body: "standing in"}
		r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 5e6}, Budget: 100}
		retry(function.RouteRetry{})(r)
	}))
	nc := n.dial(t)
	if _, err := io.WriteString(nc, handshake); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer = %+v, %v", resp, err)
	}
	if !<-lost {
		t.Error("two functions have one connection")
	}
	if _, err := io.WriteString(nc, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := br.ReadString('\n'); line != "hello\n" {
		t.Errorf("through the connection comes %q, %v", line, err)
	}
	nc.Close()
	n.background.Wait()
	if !second || f.calls.Load() != 2 || n.metric("dalamb_gateway_fallbacks_total") != 0 {
		t.Errorf("%d attempts, %v fallbacks; want 2 and none", f.calls.Load(), n.metric("dalamb_gateway_fallbacks_total"))
	}
}

// TestAnUpgradeSwitchesNoKeyOff: a request that changes something is run once for each key, whatever it would like its connection to be.
func TestAnUpgradeSwitchesNoKeyOff(t *testing.T) {
	f := inTurn(gives(ok("done")))
	n := start(t, f)
	n.deploy("f", enduring("POST", func(r *function.Route) { r.Idempotency = &function.Idempotency{Required: true} }))
	if g := n.raw(t, strings.Replace(handshake, "GET", "POST", 1)); g.status != 400 || !strings.Contains(g.body, function.HeaderIdempotencyKey) || f.calls.Load() != 0 {
		t.Errorf("answer = %d %s, want 400: the route wants a key", g.status, g.body)
	}
}
