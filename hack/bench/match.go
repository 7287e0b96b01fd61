package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/match"
)

// matchRow: one event against more and more rules, of which the same six match, on one core.
func matchRow(ctx context.Context, b *bench) error {
	const turns, slice = 30, 100 * time.Millisecond
	sizes := []int{10, 1000, 10000}
	things := make([]func() (float64, error), len(sizes))
	e := orderEvent()
	for i, n := range sizes {
		set, err := ruleSet(n)
		if err != nil {
			return err
		}
		var out []int
		things[i] = func() (float64, error) {
			begun, done := time.Now(), 0
			for time.Since(begun) < slice {
				for range 100 {
					out = set.MatchEvent(e, out[:0])
				}
				done += 100
			}
			if len(out) != matching {
				return 0, fmt.Errorf("the event matches %d of %d rules, want %d", len(out), n, matching)
			}
			return float64(done) / time.Since(begun).Seconds(), nil
		}
	}
	s, err := inTurns(ctx, turns, things...)
	if err != nil {
		return err
	}
	for i, n := range sizes {
		// How much more an event costs: the rate with 10 rules for the rate with n.
		_, _, ratio := s.against(0, i)
		l := line{
			Case: fmt.Sprintf("%d rules", n), Unit: "events/s", Value: median(s[i]), Yardstick: "10 rules, cost", Of: median(s[0]), Ratio: ratio,
			Target: valueAtLeast(200_000),
		}
		b.add(l)
		if n == 10000 {
			l.Case, l.Target = "10000 rules, growth", ratioAtMost(1.5)
			b.add(l)
		}
	}
	return nil
}

// orderEvent is an order of about 512 bytes in its structured form.
func orderEvent() *event.Event {
	return &event.Event{
		ID: "0198a3c1-7d52-7c1e-b0aa-0f4f2a1d9c11", Source: "/shop/checkout", Type: "order.created", Subject: "order-4711",
		Time: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC), DataContentType: "application/json",
		Extensions: map[string]any{event.ExtPartitionKey: "order-4711"},
		Data: []byte(`{"order":"4711","customer":"c-5000","country":"DE","total":129.95,"currency":"EUR","express":false,` +
			`"items":[{"sku":"A-100","quantity":2,"price":40},{"sku":"B-200","quantity":1,"price":49.95}],` +
			`"address":{"name":"Anna Smith","street":"Long Street 12","city":"Berlin","ip":"10.1.2.3"}}`),
	}
}

// matching is how many rules of a set match the event.
const matching = 6

// ruleSet is n rules as many teams' functions have them: the first ten are about orders, the others are of all forms, and the
// event misses each of those by one thing.
func ruleSet(n int) (*match.Set[int], error) {
	patterns := []string{
		`{"type":["order.created"]}`,
		`{"type":["order.created"],"data":{"total":[{"numeric":[">",100]}]}}`,
		`{"type":[{"prefix":"order."}],"data":{"country":["DE","AT"]}}`,
		`{"source":["/shop/checkout"],"data":{"customer":["c-5000"]}}`,
		`{"data":{"items":{"sku":["A-100"],"quantity":[{"numeric":[">=",2]}]}}}`,
		`{"type":["order.created"],"data":{"address":{"ip":[{"cidr":"10.0.0.0/8"}]}}}`,
		`{"data":{"items":{"sku":["A-100"],"quantity":[1]}}}`,
		`{"type":["order.created"],"data":{"coupon":[{"exists":true}]}}`,
		`{"type":["order.cancelled"]}`,
		`{"data":{"address":{"city":[{"wildcard":"*burg"}]}}}`,
	}
	forms := []string{
		`{"type":["team-%d.happened"]}`,
		`{"type":["order.created"],"data":{"customer":["x-%d"]}}`,
		`{"type":["order.created"],"source":["/service/%d"]}`,
		`{"type":["order.created"],"data":{"total":[{"numeric":[">",%d000]}]}}`,
		`{"type":[{"prefix":"system%d."}]}`,
		`{"data":{"items":{"sku":["Z-%d"],"quantity":[{"numeric":[">",1]}]}}}`,
		`{"type":["order.created"],"subject":[{"suffix":"-%d-x"}]}`,
		`{"type":["order.created"],"data":{"country":["FR"],"order":[{"anything-but":"%d"}]}}`,
		`{"$or":[{"type":["batch.%d"]},{"data":{"order":["batch-%[1]d"]}}]}`,
	}
	rules := make([]match.Rule[int], n)
	for i := range rules {
		text := fmt.Sprintf(forms[i%len(forms)], i)
		if i < len(patterns) {
			text = patterns[i]
		}
		p, err := match.Parse([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", text, err)
		}
		rules[i] = match.Rule[int]{Pattern: p, Value: i}
	}
	return match.NewSet(rules), nil
}
