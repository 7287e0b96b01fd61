package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"
)

const telemetryManifest = `
name: web
code: web
entry: {type: http, command: [./web], concurrency: 16}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1, min: 1}
triggers:
  - {name: call, route: {method: POST, path: /bench/call}}
`

// telemetryRow: calls and events through a node that sends traces and metrics, against one that sends none. The receiver takes them and does nothing with
// them; it has a part of the same CPUs.
func telemetryRow(ctx context.Context, b *bench) error {
	const turns, connections, slice = 9, 16, 700 * time.Millisecond
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what is lost on the way is the node's to count
		w.WriteHeader(http.StatusOK)
	}))
	b.atEnd(func() error { receiver.Close(); return nil })
	if _, err := b.program(ctx, "web"); err != nil {
		return err
	}
	var calls, events []func() (float64, error)
	cpu := [2][3][]float64{} // of the node, for a call and for an event, case by case and turn by turn
	cases := []struct{ name, sample string }{{"silent", ""}, {"every trace", "1"}, {"a tenth of the traces", "0.1"}}
	for i, c := range cases {
		var more []string
		if c.sample != "" {
			file := filepath.Join(b.dir, fmt.Sprintf("telemetry-%d.yaml", i))
			text := fmt.Sprintf("otlp: {endpoint: %q, protocol: http/protobuf, sample: %s, interval: 5s}\n", receiver.URL, c.sample)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				return fmt.Errorf("write the settings of a node: %w", err)
			}
			more = []string{"--config", file}
		}
		n, err := b.startNode(ctx, fmt.Sprintf("telemetry-%d", i), more...)
		if err != nil {
			return err
		}
		if err := b.deploy(ctx, n, "telemetry", telemetryManifest); err != nil {
			return err
		}
		rate := func(c *caller, cpu *[]float64) func() (float64, error) {
			return func() (float64, error) {
				before, err := n.cpuSeconds()
				if err != nil {
					return 0, err
				}
				x, err := c.calls(ctx, connections, slice)
				if err != nil {
					return 0, err
				}
				after, err := n.cpuSeconds()
				*cpu = append(*cpu, (after-before)*1e6/(x.rate*slice.Seconds()))
				return x.rate, err
			}
		}
		call, event := rate(n.caller("/bench/call"), &cpu[0][i]), rate(n.event("bench.told"), &cpu[1][i])
		if _, err := call(); err != nil {
			return err
		}
		calls, events = append(calls, call), append(events, event)
	}
	for k, kind := range []struct {
		what, unit string
		things     []func() (float64, error)
	}{{"http calls", "calls/s", calls}, {"events", "events/s", events}} {
		s, err := inTurns(ctx, b.turns(turns), kind.things...)
		if err != nil {
			return err
		}
		for i, c := range cases[1:] {
			value, of, ratio := s.against(i+1, 0)
			b.note("%s, %s and metrics: %.0f µs of the node's CPU time for one, and %.0f µs on a node that sends none", kind.what, c.name, median(cpu[k][i+1]), median(cpu[k][0]))
			b.add(line{Case: fmt.Sprintf("%s, %s and metrics, %d conn.", kind.what, c.name, connections), Unit: kind.unit, Value: value, Yardstick: "a node that sends none", Of: of, Ratio: ratio, Target: ratioAtLeast(0.9)})
		}
	}
	return nil
}
