package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

const (
	week = 7 * 24 * time.Hour
	gib  = 1 << 30
)

// systemTopics are dalamb's own, with design's defaults: who asks what happened last week gets an answer.
func systemTopics() []eventlog.Topic {
	bounded := func(name string) eventlog.Topic {
		return eventlog.Topic{Name: name, Partitions: 8, Retention: week, MaxBytes: 2 * gib}
	}
	tells := func(name string, partitions int32) eventlog.Topic {
		least := api.LeastKept()[name]
		return eventlog.Topic{Name: name, Partitions: partitions, Retention: least.Retention, MaxBytes: least.MaxBytes}
	}
	return []eventlog.Topic{
		{Name: function.TopicControl, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever},
		{Name: function.TopicProgress, Partitions: 8, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true},
		tells(function.TopicRuns, 8),
		tells(function.TopicRequests, 8),
		tells(function.TopicLogs, 8),
		bounded(function.TopicInvoke),
		{Name: function.TopicBodies, Partitions: 2, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true}, // see tidyBodies
		bounded(function.TopicJobs),
		{Name: function.TopicDelayed, Partitions: 8, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true},
		tells(function.TopicReplays, 8),
		bounded(function.TopicTicks),
		bounded(function.TopicHooks),
		{Name: function.TopicCallbacks, Partitions: 8, Retention: week, MaxBytes: eventlog.Forever, Compact: true},
		tells(function.TopicBuilds, 8),
		tells(function.TopicUsage, 1),
		tells(function.TopicAlerts, 1),
		{Name: function.TopicCache, Partitions: 1, Retention: week, MaxBytes: gib},
		{Name: function.TopicIdempotency, Partitions: idempotency.Partitions, Retention: function.MaxKeep + 24*time.Hour, MaxBytes: 2 * gib, Compact: true},
		{Name: function.TopicSeals, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true},
		{Name: function.TopicServices, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true},
		{Name: function.TopicDead, Partitions: 8, Retention: 90 * 24 * time.Hour, MaxBytes: eventlog.Forever, Compact: true},
		{Name: function.TopicEvents},
	}
}

// sharedTopics are those that a log needs besides when several nodes have it open.
func sharedTopics() []eventlog.Topic {
	return []eventlog.Topic{
		{Name: function.TopicCode, Partitions: 8, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true},
		{Name: function.TopicNodes, Partitions: 1, Retention: time.Hour, MaxBytes: gib}, // is read from its end on
	}
}

// ensureTopics makes the topics that are missing, and keeps the topics of progress as wide as the widest topic.
func ensureTopics(ctx context.Context, log eventlog.Log) error {
	there, err := log.Topics(ctx)
	if err != nil {
		return err
	}
	var widest int32
	for _, t := range there {
		widest = max(widest, t.Partitions)
	}
	wanted := systemTopics()
	if s, ok := log.(eventlog.Sharer); ok && s.Shared() {
		wanted = append(wanted, sharedTopics()...)
	}
	for _, t := range wanted {
		i := slices.IndexFunc(there, func(have eventlog.Topic) bool { return have.Name == t.Name })
		if i < 0 {
			// Another node that starts at this moment may have been first.
			if err := log.CreateTopic(ctx, t); err != nil && fault.KindOf(err) != fault.Conflict {
				return fmt.Errorf("create topic %s: %w", t.Name, err)
			}
			continue
		}
		if (t.Name == function.TopicProgress || t.Name == function.TopicDelayed) && there[i].Partitions < widest {
			if err := log.AlterTopic(ctx, t.Name, eventlog.TopicChange{Partitions: &widest}); err != nil {
				return fmt.Errorf("widen topic %s: %w", t.Name, err)
			}
		}
	}
	return nil
}
