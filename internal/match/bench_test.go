package match_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/match"
)

// benchEvent is an order of about 512 bytes in its structured form.
func benchEvent() *event.Event {
	return &event.Event{
		ID: "0198a3c1-7d52-7c1e-b0aa-0f4f2a1d9c11", Source: "/shop/checkout", Type: "order.created", Subject: "order-4711",
		Time: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC), DataContentType: "application/json",
		Extensions: map[string]any{"partitionkey": "order-4711", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		Data: []byte(`{"order":"4711","customer":"c-5000","country":"DE","total":129.95,"currency":"EUR","express":false,` +
			`"items":[{"sku":"A-100","quantity":2,"price":40},{"sku":"B-200","quantity":1,"price":49.95}],` +
			`"address":{"name":"Anna Smith","street":"Long Street 12","city":"Berlin","ip":"10.1.2.3"}}`),
	}
}

// mixedPatterns returns n patterns as a shop of many teams might have them: by type, by fields of the data, by every operator.
// However many there are, the first ten are the only ones that the event can match.
func mixedPatterns(n int) []string {
	out := []string{
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
	for i := len(out); i < n; i++ {
		f := [...]string{
			`{"type":["team-%d.happened"]}`,
			`{"type":["order.created"],"data":{"customer":["x-%d"]}}`,
			`{"source":["/service/%d"],"type":["order.created"]}`,
			`{"type":["order.created"],"data":{"total":[{"numeric":[">",%d000,"<",%[1]d999]}]}}`,
			`{"type":[{"prefix":"system%d."}]}`,
			`{"data":{"items":{"sku":["Z-%d"],"quantity":[{"numeric":[">",1]}]}}}`,
			`{"subject":[{"suffix":"-%d-x"}],"type":["order.created"]}`,
			`{"type":["order.created"],"data":{"address":{"ip":[{"cidr":"11.%d.0.0/16"}]}}}`,
			`{"type":["order.created"],"data":{"country":["FR"],"order":[{"anything-but":"%d"}]}}`,
			`{"$or":[{"type":["batch.%d"]},{"data":{"order":["batch-%[1]d"]}}]}`,
		}[i%10]
		if n := i; strings.Contains(f, "cidr") {
			i = n % 256
			out = append(out, fmt.Sprintf(f, i))
			i = n
			continue
		}
		out = append(out, fmt.Sprintf(f, i))
	}
	return out
}

func newSet(t testing.TB, patterns []string) *match.Set[int] {
	t.Helper()
	rules := make([]match.Rule[int], len(patterns))
	for i, p := range patterns {
		rules[i] = match.Rule[int]{Pattern: mustParse(t, p), Value: i}
	}
	return match.NewSet(rules)
}

// each returns n patterns of one form; every %d in it is the pattern's number.
func each(n int, form string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strings.ReplaceAll(form, "%d", fmt.Sprint(i))
	}
	return out
}

// hardSets are rules that share all but one thing, so that an index by one field alone would verify them all.
func hardSets(n int) map[string][]string {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = fmt.Sprintf(`{"type":["order.created","t-%d"],"data":{"customer":["c-5000","k-%d"],"order":["%d"]}}`, i%100, i/100, i+5000)
	}
	return map[string][]string{
		"customer":     each(n, `{"type":["order.created"],"data":{"customer":["c-%d"]}}`),
		"pairs":        pairs,
		"prefix":       each(n, `{"type":["order.created"],"data":{"customer":[{"prefix":"c-%d-"}]}}`),
		"range":        each(n, `{"type":["order.created"],"data":{"total":[{"numeric":[">",1%d]}]}}`),
		"wildcard":     each(n, `{"type":["order.created"],"data":{"customer":[{"wildcard":"*x%d*"}]}}`),
		"wildcard-end": each(n, `{"type":[{"wildcard":"order.*.x%d"}]}`),
		"wildcard-mid": each(n, `{"subject":[{"wildcard":"order-*-x%d-*-711"}]}`),
		"exists":       each(n, `{"type":["order.created"],"data":{"field%d":[{"exists":true}]}}`),
		"absent":       each(n, `{"data":{"customer":[{"exists":false}],"order":[{"anything-but":"%d"}]}}`),
		"array":        each(n, `{"data":{"items":{"sku":["A-100"],"quantity":[1%d]}}}`),
		"or":           each(n, `{"type":["order.created"],"$or":[{"data":{"customer":["d-%d"]}},{"data":{"order":["x-%d"]}}]}`),
		"not-prefix":   each(n, `{"type":["order.created"],"data":{"country":[{"anything-but":{"prefix":["D"]}}],"order":[{"anything-but":"x%d"}]}}`),
		"anything-but": each(n, `{"type":["order.created"],"data":{"country":[{"anything-but":["DE","x%d"]}]}}`),
	}
}

func benchmarkSet(b *testing.B, patterns []string) {
	set, e := newSet(b, patterns), benchEvent()
	var out []int
	b.ReportAllocs()
	for b.Loop() {
		out = set.MatchEvent(e, out[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(len(out)), "matches")
}

func BenchmarkSet(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) { benchmarkSet(b, mixedPatterns(n)) })
	}
}

func BenchmarkSetHard(b *testing.B) {
	for name, patterns := range hardSets(10000) {
		b.Run(name, func(b *testing.B) { benchmarkSet(b, patterns) })
	}
}

// BenchmarkGrowth prints how much more an event costs with 10,000 rules than with 10. The two take turns and the quickest turn of
// each counts, so a busy machine does not show.
func BenchmarkGrowth(b *testing.B) {
	const turn = 100
	sets := []*match.Set[int]{newSet(b, mixedPatterns(10)), newSet(b, mixedPatterns(10000))}
	least := []time.Duration{time.Hour, time.Hour}
	e := benchEvent()
	var out []int
	for b.Loop() {
		for i, set := range sets {
			start := time.Now()
			for range turn {
				out = set.MatchEvent(e, out[:0])
			}
			least[i] = min(least[i], time.Since(start))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(least[0])/turn, "ns/event-10-rules")
	b.ReportMetric(float64(least[1])/turn, "ns/event-10k-rules")
	b.ReportMetric(float64(least[1])/float64(least[0]), "x")
}

func BenchmarkNewSet(b *testing.B) {
	var rules []match.Rule[int]
	for i, p := range mixedPatterns(10000) {
		rules = append(rules, match.Rule[int]{Pattern: mustParse(b, p), Value: i})
	}
	for b.Loop() {
		match.NewSet(rules)
	}
}

func BenchmarkParse(b *testing.B) {
	pattern := []byte(mixedPatterns(10)[4])
	for b.Loop() {
		if _, err := match.Parse(pattern); err != nil {
			b.Fatal(err)
		}
	}
}
