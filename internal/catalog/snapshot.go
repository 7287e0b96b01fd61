package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// snapshotFormat changes when the file's shape does, or when older binaries make something else of the same events; a file of another format
// is ignored and the log folded from its start.
const snapshotFormat = 8

// saveTimeout is how long a stop waits for a log that may not be there any more.
const saveTimeout = 2 * time.Second

type snapshotFile struct {
	Format    int              `json:"format"`
	TopicID   string           `json:"topicID"` // a snapshot of another log is no use
	Offset    int64            `json:"offset"`
	Last      map[string]int64 `json:"last"`
	Functions []*Function      `json:"functions"`
	Settings  settings         `json:"settings"`
}

// load reads the snapshot where there is one that fits the log. It is derived state: any doubt, and it is ignored.
func (c *Catalog) load(ctx context.Context) (*state, error) {
	b, err := c.log.Bounds(ctx, control)
	if err != nil {
		return nil, fmt.Errorf("read the bounds of %s: %w", control.Topic, err)
	}
	s := newState()
	s.offset = b.Start
	if c.snapshot == nil {
		return s, nil
	}
	data, err := c.snapshot.Load()
	if err != nil || len(data) == 0 {
		return s, nil
	}
	id, err := c.topicID(ctx)
	if err != nil {
		return nil, err
	}
	var f snapshotFile
	if json.Unmarshal(data, &f) != nil || f.Format != snapshotFormat || f.TopicID != id || f.Offset > b.End {
		c.logger.Warn("catalog snapshot ignored: it is not of this log or not of this format")
		return s, nil
	}
	for _, fn := range f.Functions {
		for _, t := range fn.Triggers {
			if t.Topic != "" {
				t.Pattern, t.Err = match.Parse(orEvery(t.Filter))
			}
		}
		for _, r := range fn.Replays {
			r.compile()
		}
		s.functions[fn.Name] = fn
	}
	if f.Last != nil {
		s.last = f.Last
	}
	s.offset, s.settings = f.Offset, f.Settings
	return s, nil
}

// save keeps a snapshot; without one the next start takes longer, and that is all. None is kept of what lacks a newer binary's events: that
// binary would start from it, and never read them. Nor is one between the parts of changes that are made together.
func (c *Catalog) save(s *state) {
	if c.snapshot == nil || s.blind || len(s.parts) > 0 {
		return
	}
	if err := c.write(s); err != nil {
		c.logger.Warn("catalog snapshot not written", "err", err)
	}
}

func (c *Catalog) write(s *state) error {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	id, err := c.topicID(ctx)
	if err != nil {
		return err
	}
	f := snapshotFile{Format: snapshotFormat, TopicID: id, Offset: s.offset, Last: s.last, Settings: s.settings}
	for _, fn := range s.functions {
		f.Functions = append(f.Functions, fn)
	}
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return c.snapshot.Save(data)
}

func (c *Catalog) topicID(ctx context.Context) (string, error) {
	topics, err := c.log.Topics(ctx)
	if err != nil {
		return "", fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name == function.TopicControl {
			return t.ID, nil
		}
	}
	return "", fmt.Errorf("topic %s is not there", function.TopicControl)
}

// orEvery is the filter, or the pattern that matches every event where there is none.
func orEvery(filter json.RawMessage) []byte {
	if len(filter) == 0 {
		return []byte("{}")
	}
	return filter
}
