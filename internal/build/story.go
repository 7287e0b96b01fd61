package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Log takes the events that tell of builds.
type Log interface {
	Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error)
}

// story is what the log is told of one build. A file has it, from before the beginning is told until the end is: of what a killed node had under way
// the next start tells.
type story struct {
	builds *Builds
	said   function.BuildEvent
}

// tellPatience bounds how long a build that is over waits for the log.
const tellPatience = 10 * time.Second

func (b *Builds) stories() string            { return filepath.Join(b.dir, "story") }
func (b *Builds) storyFile(id string) string { return filepath.Join(b.stories(), id+".json") }

// begin tells that a build begins. Where the log does not take that, it would not take what comes of the build either.
func (b *Builds) begin(ctx context.Context, r *Request, built *function.Built) (*story, error) {
	s := &story{b, function.BuildEvent{
		ID: built.ID, Functions: append([]string{r.Function}, r.Beside...), Builder: built.Builder, Origin: r.Origin, Outcome: function.BuildRunning, Started: built.Started,
	}}
	if err := b.keepStory(&s.said); err != nil {
		return nil, err
	}
	if err := b.tell(ctx, event.TypeBuildStarted, &s.said); err != nil {
		return nil, errors.Join(err, durable.Remove(b.storyFile(built.ID)))
	}
	return s, nil
}

// end tells what came of the build. What the log does not take now is told at the next start.
func (s *story) end(ctx context.Context, built *function.Built, result *Result, err error) {
	b, said := s.builds, &s.said
	said.Took, said.Source, said.Toolchain = function.Duration(b.now().Sub(said.Started).Round(time.Millisecond)), built.Source, built.Toolchain
	switch {
	case err == nil:
		said.Outcome, said.Code, said.Image = function.BuildSucceeded, result.Code, result.Image
		if said.Image != "" {
			said.Code = ""
		}
	case errors.Is(context.Cause(ctx), context.Canceled):
		said.Outcome, said.Error = function.BuildCancelled, "nobody waited for it any longer"
	case ctx.Err() != nil:
		said.Outcome, said.Error = function.BuildCancelled, context.Cause(ctx).Error()
	default:
		said.Outcome, said.Error, said.Hint = function.BuildFailed, cut(err.Error()), cut(fault.HintOf(err))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellPatience)
	defer cancel()
	if err := errors.Join(b.keepStory(said), b.tellEnd(ctx, said)); err != nil {
		b.logger.Warn("what came of a build is told at the next start", "build", said.ID, "err", err)
	}
}

// maxTold is in bytes.
const maxTold = 4 << 10

func cut(s string) string {
	if len(s) <= maxTold {
		return s
	}
	return strings.ToValidUTF8(s[:maxTold], "") + "..."
}

// keepStory writes the file of a story.
func (b *Builds) keepStory(said *function.BuildEvent) error {
	text, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode what is told of a build: %w", err)
	}
	if err := durable.Replace(b.storyFile(said.ID), text); err != nil {
		return fmt.Errorf("keep what is told of a build: %w", err)
	}
	return nil
}

// tellEnd tells the end of a story, whose file goes with that.
func (b *Builds) tellEnd(ctx context.Context, said *function.BuildEvent) error {
	if err := b.tell(ctx, event.TypeBuildFinished, said); err != nil {
		return err
	}
	return durable.Remove(b.storyFile(said.ID))
}

// tell appends one event. Its id is the same whenever it is told.
func (b *Builds) tell(ctx context.Context, typ string, said *function.BuildEvent) error {
	data, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode %s: %w", typ, err)
	}
	word := "started"
	if typ == event.TypeBuildFinished {
		word = "finished"
	}
	e := &event.Event{
		ID: said.ID + "." + word, Source: "/dalamb/builds", Type: typ, Subject: said.Functions[0], Time: b.now().UTC(),
		Extensions: map[string]any{event.ExtPartitionKey: said.Functions[0]}, DataContentType: "application/json", Data: data,
	}
	if _, err := b.log.Append(ctx, []eventlog.Record{eventlog.FromEvent(function.TopicBuilds, e)}); err != nil {
		return fmt.Errorf("append %s: %w", typ, err)
	}
	return nil
}

// left are the stories that a node before has not told to their end.
func (b *Builds) left() ([]string, error) {
	list, err := os.ReadDir(b.stories())
	if err != nil {
		return nil, fmt.Errorf("list what is to be told of builds: %w", err)
	}
	var ids []string
	for _, de := range list {
		if id, ok := strings.CutSuffix(de.Name(), ".json"); ok && validID.MatchString(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// tellLeft tells the end of the builds of a node before.
func (b *Builds) tellLeft(ctx context.Context) {
	for _, id := range b.untold {
		if err := b.tellOld(ctx, id); err != nil && ctx.Err() == nil {
			b.logger.Warn("what came of a build of before is told at the next start", "build", id, "err", err)
		}
	}
}

func (b *Builds) tellOld(ctx context.Context, id string) error {
	text, err := os.ReadFile(b.storyFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what is to be told of a build: %w", err)
	}
	var said function.BuildEvent
	if err := json.Unmarshal(text, &said); err != nil {
		return fmt.Errorf("decode %s: %w", b.storyFile(id), err)
	}
	if said.ID != id || len(said.Functions) == 0 {
		return fmt.Errorf("%s tells of build %q, and of %d functions", b.storyFile(id), said.ID, len(said.Functions))
	}
	if said.Outcome == function.BuildRunning {
		said.Outcome, said.Error = function.BuildLost, "the node was killed while it built"
		said.Hint = fmt.Sprintf("deploy or push again; dalamb build log --id %s shows how far it came", id)
	}
	return b.tellEnd(ctx, &said)
}
