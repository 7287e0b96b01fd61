package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/quota"
)

func TestQuota(t *testing.T) {
	type ask struct {
		after  time.Duration
		sender string
		events int
		bytes  int64
		wait   time.Duration // 0 = it may
	}
	for _, c := range []struct {
		name  string
		rules function.TopicRules
		asks  []ask
	}{
		{"none", function.TopicRules{}, []ask{{0, "a", 1e6, 1e12, 0}}},
		{"events", function.TopicRules{Events: 10}, []ask{
			{0, "a", 8, 1, 0}, {0, "a", 3, 1, 100 * time.Millisecond}, {0, "b", 10, 1, 0}, {100 * time.Millisecond, "a", 3, 1, 0}, {0, "a", 1, 1, 100 * time.Millisecond},
		}},
		{"bytes", function.TopicRules{Bytes: 1000}, []ask{{0, "a", 1, 900, 0}, {0, "a", 1, 600, 500 * time.Millisecond}, {500 * time.Millisecond, "a", 1, 600, 0}}},
		{"both", function.TopicRules{Events: 1, Bytes: 1000}, []ask{{0, "a", 1, 1, 0}, {0, "a", 1, 1, time.Second}}},
		{"more than a second gives is owed", function.TopicRules{Events: 10}, []ask{{0, "a", 50, 1, 0}, {time.Second, "a", 1, 1, 3100 * time.Millisecond}, {4 * time.Second, "a", 1, 1, 0}}},
		{"a clock that is set back", function.TopicRules{Events: 10}, []ask{{0, "a", 10, 1, 0}, {-time.Hour, "a", 1, 1, 100 * time.Millisecond}, {100 * time.Millisecond, "a", 1, 1, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q quotas
			now := time.Unix(1e9, 0)
			for i, a := range c.asks {
				now = now.Add(a.after)
				err := q.take(quotaKey{"events", a.sender}, c.rules, a.events, a.bytes, now)
				var over *quota.Over
				switch {
				case a.wait == 0 && err != nil:
					t.Errorf("ask %d: %v", i, err)
				case a.wait != 0 && (!errors.As(err, &over) || (over.Wait-a.wait).Abs() > time.Millisecond || fault.KindOf(err) != fault.Exhausted):
					t.Errorf("ask %d: %v, want to wait %s", i, err, a.wait)
				}
			}
		})
	}
}
