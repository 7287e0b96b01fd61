package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// used is who counts, as a test says; it notes what it was asked.
type used struct{ since, until time.Time }

func (u *used) Hours(_ context.Context, since, until time.Time, wanted func(string) bool, _ int) ([]function.Usage, error) {
	u.since, u.until = since, until
	all := []function.Usage{{Hour: since, Function: "pay", Used: function.Used{Invocations: 3}}, {Hour: since, Function: "staging.pay", Used: function.Used{Invocations: 5}}}
	return slices.DeleteFunc(all, func(u function.Usage) bool { return !wanted(u.Function) }), nil
}

func anyFunction(string) bool { return true }

func (u *used) Sums(ctx context.Context, since, until time.Time, name func(string, time.Time) (string, bool)) (map[string]*function.Used, error) {
	hours, err := u.Hours(ctx, since, until, anyFunction, 9)
	sums := map[string]*function.Used{}
	for _, u := range hours {
		of, wanted := name(u.Function, u.Hour.Truncate(24*time.Hour))
		if !wanted {
			continue
		}
		if sums[of] == nil {
			sums[of] = &function.Used{}
		}
		sums[of].Add(u.Used)
	}
	return sums, err
}

func (u *used) Lacking(_ context.Context, since, _ time.Time) ([]time.Time, error) {
	return []time.Time{since}, nil
}

func TestUsageIsAskedForByWholeHours(t *testing.T) {
	n := newNode(t)
	counts := n.api.usage.(*used)
	all, err := n.client.Usage(t.Context(), "2026-01-02T03:30:00Z", "2026-01-02T05:00:00Z", "")
	if err != nil || len(all.Usage) != 2 || all.Usage[0].Invocations != 3 || len(all.Lacking) != 1 || !all.Lacking[0].Equal(counts.since) || !counts.since.Equal(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)) || !counts.until.Equal(time.Date(2026, 1, 2, 5, 0, 0, 0, time.UTC)) {
		t.Errorf("Usage = %+v, %v, asked from %s until %s", all, err, counts.since, counts.until)
	}
	if _, err := n.client.Usage(t.Context(), "", "", ""); err != nil || time.Since(counts.until) > time.Minute || counts.until.Sub(counts.since) < 24*time.Hour {
		t.Errorf("without times: %v, asked from %s until %s", err, counts.since, counts.until)
	}
	for _, bad := range [][2]string{{"yesterday", ""}, {"", "soon"}, {"2026-01-02T03:30:00Z", "2026-01-02T03:00:00Z"}, {"2020-01-01", ""}} {
		if _, err := n.client.Usage(t.Context(), bad[0], bad[1], ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v: %v, want Invalid", bad, err)
		}
	}
}

func TestHoursOfLongAgoTakeAPlaceAmongTheSearches(t *testing.T) {
	n := newNode(t)
	for range maxSearches {
		n.api.searches <- struct{}{}
	}
	for query, want := range map[string]int{"since=60d": 503, "since=30d": 200, "since=60d&by=day": 200} {
		if a := n.do("GET", "/v1/usage?"+query, ""); a.status != want {
			t.Errorf("%s while enough are under way: %d %s, want %d", query, a.status, a.body, want)
		}
	}
	if a := n.do("GET", "/v1/usage?env=staging", ""); strings.Contains(a.body, `"function":"pay"`) || !strings.Contains(a.body, "staging.pay") {
		t.Errorf("of an environment: %s", a.body)
	}
}

func TestUsageIsSummedUp(t *testing.T) {
	n := newNode(t)
	for _, c := range []struct{ query, want string }{
		{"by=function", `[{"name":"pay","invocations":3,` + noMore + `},{"name":"staging.pay","invocations":5,` + noMore + `}]`},
		{"by=environment", `[{"name":"production","invocations":3,` + noMore + `},{"name":"staging","invocations":5,` + noMore + `}]`},
		{"by=day", `[{"name":"2026-01-02","invocations":8,` + noMore + `}]`},
		{"by=day&env=staging", `[{"name":"2026-01-02","invocations":5,` + noMore + `}]`},
		{"by=function&env=production", `[{"name":"pay","invocations":3,` + noMore + `}]`},
	} {
		a := n.do("GET", "/v1/usage?since=2026-01-02T03:00:00Z&until=2026-01-02T05:00:00Z&"+c.query, "")
		if want := `{"usage":[],"sums":` + c.want + `,"lacking":["2026-01-02T03:00:00Z"]}`; strings.TrimSpace(a.body) != want {
			t.Errorf("%s: %d %s, want %s", c.query, a.status, a.body, want)
		}
	}
	list, err := n.client.Usage(t.Context(), "", "", "day")
	if err != nil || len(list.Sums) != 1 || list.Sums[0].Invocations != 8 || len(list.Usage) != 0 {
		t.Errorf("by day: %+v, %v, want one sum of 8", list, err)
	}
	if _, err := n.client.Usage(t.Context(), "", "", "week"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("by week: %v, want Invalid", err)
	}
}

const noMore = `"millis":0,"mibMillis":0,"bytesIn":0,"bytesOut":0,"buildMillis":0`
