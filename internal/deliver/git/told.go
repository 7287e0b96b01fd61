package git

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// step is one move of one ref that the log is told of before git makes it. It is noted in the repository, so that a node that ends between
// the two tells it once: the client, whose push was not accepted, pushes again. No two moves are taken for one, because after a move the ref
// is elsewhere: whatever moves it back is another step, which takes the place of the note.
type step struct {
	Before, After string // object ids; "" = none
	ID            string // of the event
	TopicID       string // of the topic of events when the step was noted
	Partition     int32
	From          int64 // the event has no smaller offset
}

// toldFile has the steps that were told and that git has not been seen to make, by ref.
const toldFile = "dalamb-told.json"

// noteSteps notes the steps of a push, in the order of changes. again: the step was noted before, and may be in the log.
func (s *Server) noteSteps(ctx context.Context, p *push, changes []*change, fresh step) (steps []step, again []bool, err error) {
	s.telling <- struct{}{}
	defer func() { <-s.telling }()
	noted := s.readSteps(p.dir)
	for _, c := range changes {
		one := fresh
		one.Before, one.After, one.ID = c.update.old, c.update.new, event.NewID()
		if p.remote != nil {
			one.ID = p.remote.ID
		}
		old, ok := noted[c.update.ref]
		same := ok && old.Before == one.Before && old.After == one.After && (p.remote == nil || old.ID == one.ID)
		if same {
			one = old
		}
		noted[c.update.ref] = one
		steps, again = append(steps, one), append(again, same)
	}
	return steps, again, writeSteps(p.dir, noted)
}

// forgetSteps takes the notes of refs away that git has moved. One that stays does no harm.
func (s *Server) forgetSteps(dir string, refs []string) {
	s.telling <- struct{}{}
	defer func() { <-s.telling }()
	noted := s.readSteps(dir)
	before := len(noted)
	for _, ref := range refs {
		delete(noted, ref)
	}
	if len(noted) == before {
		return
	}
	if err := writeSteps(dir, noted); err != nil {
		s.logger.Warn("what was told of a push is noted longer than it must be", "dir", dir, "err", err)
	}
}

// readSteps reads the notes of a repository. Without them an event may be there twice, which is no reason to take no push any longer.
func (s *Server) readSteps(dir string) map[string]step {
	noted := map[string]step{}
	text, err := os.ReadFile(filepath.Join(dir, toldFile))
	if err == nil {
		err = json.Unmarshal(text, &noted)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.logger.Warn("what was told of pushes cannot be read", "dir", dir, "err", err)
		return map[string]step{}
	}
	return noted
}

func writeSteps(dir string, noted map[string]step) error {
	path := filepath.Join(dir, toldFile)
	if len(noted) == 0 {
		return os.Remove(path)
	}
	text, err := json.Marshal(noted)
	if err == nil {
		err = durable.Replace(path, text)
	}
	if err != nil {
		return fmt.Errorf("note what is told of a push: %w", err)
	}
	return nil
}

// whereTold is where the events of a repository are appended now. NotFound where there is no topic for them.
func (s *Server) whereTold(ctx context.Context, repository string) (step, error) {
	topics, err := s.log.Topics(ctx)
	if err != nil {
		return step{}, fmt.Errorf("list topics: %w", err)
	}
	i := slices.IndexFunc(topics, func(t eventlog.Topic) bool { return t.Name == function.TopicEvents })
	if i < 0 {
		return step{}, eventlog.MissingTopic(function.TopicEvents, nil)
	}
	p := eventlog.Partition{Topic: function.TopicEvents, ID: eventlog.PartitionFor([]byte(repository), topics[i].Partitions)}
	b, err := s.log.Bounds(ctx, p)
	if err != nil {
		return step{}, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	return step{TopicID: topics[i].ID, Partition: p.ID, From: b.End}, nil
}

// isTold says whether the event of a step that was noted before is in the log.
func (s *Server) isTold(ctx context.Context, one, now step) (bool, error) {
	if one.TopicID != now.TopicID {
		return false, nil // the topic was made again
	}
	p := eventlog.Partition{Topic: function.TopicEvents, ID: one.Partition}
	b, err := s.log.Bounds(ctx, p)
	if err != nil {
		return false, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	for next := max(one.From, b.Start); next < b.End; {
		records, err := s.log.Read(ctx, p, next, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return false, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(records) == 0 {
			break // nothing but gaps is left
		}
		for _, r := range records {
			if e, err := eventlog.ToEvent(r); err == nil && e.ID == one.ID && e.Type == event.TypeGitPushed {
				return true, nil
			}
		}
		next = records[len(records)-1].Offset + 1
	}
	return false, nil
}

// moved are the refs that git has brought to where the push wants them.
func (p *push) moved(ctx context.Context) []string {
	now, err := p.refs(ctx)
	if err != nil {
		return nil // then the notes stay
	}
	var list []string
	for _, u := range p.updates {
		if now[u.ref] == u.new {
			list = append(list, u.ref)
		}
	}
	return list
}
