package eventlog

import (
	"context"
	"fmt"
	"slices"
)

// Widen makes those of the named topics that are there at least so wide.
func Widen(ctx context.Context, log Log, names []string, partitions int32) error {
	topics, err := log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if !slices.Contains(names, t.Name) || partitions <= t.Partitions {
			continue
		}
		if err := log.AlterTopic(ctx, t.Name, TopicChange{Partitions: &partitions}); err != nil {
			return fmt.Errorf("widen %s: %w", t.Name, err)
		}
	}
	return nil
}
