package api

import (
	"context"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// used is who counts, as a test says; it notes what it was asked.
type used struct{ since, until time.Time }

func (u *used) Usage(_ context.Context, since, until time.Time) ([]function.Usage, error) {
	u.since, u.until = since, until
	return []function.Usage{{Hour: since, Function: "pay", Invocations: 3}}, nil
}

func (u *used) Lacking(_ context.Context, since, _ time.Time) ([]time.Time, error) {
	return []time.Time{since}, nil
}

func TestUsageIsAskedForByWholeHours(t *testing.T) {
	n := newNode(t)
	counts := n.api.usage.(*used)
	all, err := n.client.Usage(t.Context(), "2026-01-02T03:30:00Z", "2026-01-02T05:00:00Z")
	if err != nil || len(all.Usage) != 1 || all.Usage[0].Invocations != 3 || len(all.Lacking) != 1 || !all.Lacking[0].Equal(counts.since) || !counts.since.Equal(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)) || !counts.until.Equal(time.Date(2026, 1, 2, 5, 0, 0, 0, time.UTC)) {
		t.Errorf("Usage = %+v, %v, asked from %s until %s", all, err, counts.since, counts.until)
	}
	if _, err := n.client.Usage(t.Context(), "", ""); err != nil || time.Since(counts.until) > time.Minute || counts.until.Sub(counts.since) < 24*time.Hour {
		t.Errorf("without times: %v, asked from %s until %s", err, counts.since, counts.until)
	}
	for _, bad := range [][2]string{{"yesterday", ""}, {"", "soon"}, {"2026-01-02T03:30:00Z", "2026-01-02T03:00:00Z"}, {"2020-01-01", ""}} {
		if _, err := n.client.Usage(t.Context(), bad[0], bad[1]); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v: %v, want Invalid", bad, err)
		}
	}
}
