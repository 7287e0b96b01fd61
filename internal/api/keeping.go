package api

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Keeping is how long and how much of a topic is kept.
type Keeping struct {
	Retention time.Duration
	MaxBytes  int64
}

// LeastKept are those of dalamb's own topics that tell people what was, with what they are made with. They may be kept for longer, and not for less:
// addresses of late answers, keys of requests, replays and usage rely on it. The others hold what dalamb itself goes on from.
func LeastKept() map[string]Keeping {
	const day, gib = 24 * time.Hour, 1 << 30
	return map[string]Keeping{
		function.TopicRuns:     {7 * day, 2 * gib},
		function.TopicRequests: {7 * day, 2 * gib},
		function.TopicLogs:     {7 * day, 2 * gib},
		function.TopicReplays:  {7 * day, 2 * gib},
		function.TopicBuilds:   {7 * day, 2 * gib},
		function.TopicAlerts:   {90 * day, gib},
		function.TopicUsage:    {400 * day, 2 * gib},
	}
}

// mayAlter refuses a change of one of dalamb's own topics, but that some of them are kept for longer.
func mayAlter(name string, req wire.TopicAlter) error {
	if !function.SystemTopic(name) {
		return nil
	}
	least, tells := LeastKept()[name]
	if !tells || req != (wire.TopicAlter{Retention: req.Retention, MaxBytes: req.MaxBytes}) {
		return fault.New(fault.Denied, "topic %q is dalamb's own", name).
			WithHint("what can be changed is how long, and how much, is kept of %s", strings.Join(slices.Sorted(maps.Keys(LeastKept())), ", "))
	}
	if req.Retention != nil {
		d, err := parseRetention(*req.Retention)
		if err != nil {
			return err
		}
		if d != eventlog.Forever && d < least.Retention {
			want := function.Duration(least.Retention)
			return fault.New(fault.Invalid, "retention: %s is less than the %s for which dalamb needs topic %q", *req.Retention, want, name).WithHint("say %s or more, or forever", want)
		}
	}
	if req.MaxBytes != nil {
		n, err := parseMaxBytes(*req.MaxBytes)
		if err != nil {
			return err
		}
		if n != eventlog.Forever && n < least.MaxBytes {
			want := function.Bytes(least.MaxBytes)
			return fault.New(fault.Invalid, "maxBytes: %s is less than the %s that dalamb needs of topic %q", *req.MaxBytes, want, name).WithHint("say %s or more, or forever", want)
		}
	}
	return nil
}
