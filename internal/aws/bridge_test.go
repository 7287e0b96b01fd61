package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// stand is an EventBridge over a real catalog, whose topics and replays are the test's.
type stand struct {
	*testing.T
	*EventBridge
	topics  *topics
	replays *replays
	asker   context.Context // of whoever asks, who may go; nil = one who stays
}

// topics are name -> id.
type topics struct{ ids map[string]string }

func (s *topics) Topics(context.Context) (wire.TopicList, error) {
	var list wire.TopicList
	for name, id := range s.ids {
		list.Topics = append(list.Topics, wire.Topic{Name: name, ID: id})
	}
	return list, nil
}

func (s *topics) Topic(_ context.Context, name string) (wire.Topic, error) {
	id, there := s.ids[name]
	if !there {
		return wire.Topic{}, fault.New(fault.NotFound, "no topic %q", name)
	}
	return wire.Topic{Name: name, ID: id, Retention: wire.Forever}, nil
}

func (s *topics) CreateTopic(_ context.Context, req wire.TopicCreate) (wire.Topic, error) {
	s.ids[req.Name] = fmt.Sprint("made ", len(s.ids))
	return wire.Topic{Name: req.Name, ID: s.ids[req.Name]}, nil
}

func (s *topics) DeleteTopic(_ context.Context, name string) error {
	delete(s.ids, name)
	return nil
}

// replays stand in for the control API's.
type replays struct {
	all       map[string]wire.Replay
	order     []string
	conflicts int          // so many starts are refused since their function changed
	start     func() error // called before each start
	lost      string       // whose start is in the log, and its answer is not
	stuck     string       // which cannot be cancelled
	events    int64        // of each
}

func (s *replays) SkipToEnd(context.Context, string, string) error { return nil }

func (s *replays) StartReplay(ctx context.Context, req wire.ReplayRequest) (wire.Replay, error) {
	r := wire.Replay{Replay: function.Replay{Name: req.Name, Function: req.Function, Events: s.events}, State: wire.ReplayRunning}
	if req.DryRun {
		return r, nil
	}
	if s.events == 0 {
		return wire.Replay{}, fault.New(fault.Invalid, "%w", api.ErrNothingToReplay)
	}
	if s.start != nil {
		if err := s.start(); err != nil {
			return wire.Replay{}, err
		}
	}
	if s.conflicts > 0 {
		s.conflicts--
		return wire.Replay{}, fault.New(fault.Conflict, "function %q was changed meanwhile", req.Function)
	}
	s.all[req.Name] = r
	s.order = append(s.order, req.Name)
	if req.Name == s.lost {
		return wire.Replay{}, fault.New(fault.Unavailable, "wait for the fold")
	}
	if err := ctx.Err(); err != nil {
		return wire.Replay{}, fault.New(fault.Unavailable, "wait for the fold: %w", err)
	}
	return r, nil
}

func (s *replays) Replay(name string) (wire.Replay, error) {
	r, there := s.all[name]
	if !there {
		return r, fault.New(fault.NotFound, "no replay %q", name)
	}
	return r, nil
}

func (s *replays) CancelReplay(_ context.Context, name string) (wire.Replay, error) {
	if name == s.stuck {
		return wire.Replay{}, fault.New(fault.Unavailable, "the log is not there")
	}
	return s.end(name, function.ReplayCancelled)
}

func (s *replays) end(name, state string) (wire.Replay, error) {
	r, there := s.all[name]
	if !there {
		return r, fault.New(fault.NotFound, "no replay %q", name)
	}
	r.State, r.Ended = state, time.Now()
	s.all[name] = r
	return r, nil
}

func newStand(t *testing.T) *stand {
	t.Helper()
	log, err := enginetest.Open(enginetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	for _, name := range []string{function.TopicControl, function.TopicInvoke, function.TopicEvents} {
		if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: name, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog.New(catalog.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	s := &stand{T: t, topics: &topics{map[string]string{function.TopicEvents: "events 1"}}, replays: &replays{all: map[string]wire.Replay{}, events: 1}}
	s.EventBridge = &EventBridge{
		l:      &Lambda{o: Options{Catalog: c, Region: function.AWSRegion, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Discreet: func(_ context.Context, err error) error { return err }}},
		topics: s.topics, passage: s.replays, operations: map[string]eventsOperation{},
	}
	for _, op := range eventsOperations() {
		s.operations[op.Name] = op
	}
	return s
}

// do gives the answer to an operation, and the type of its error.
func (s *stand) do(operation string, in map[string]any) (out map[string]any, typ string) {
	s.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		s.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	ctx := r.Context()
	if s.asker != nil {
		ctx = s.asker
	}
	s.serve(w, r.WithContext(access.With(ctx, access.Node())), s.operations[operation])
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		s.Fatalf("%s: %d %s", operation, w.Code, w.Body)
	}
	return out, w.Header().Get("X-Amzn-Errortype")
}

func (s *stand) done(operation string, in map[string]any) map[string]any {
	s.Helper()
	out, typ := s.do(operation, in)
	if typ != "" {
		s.Fatalf("%s: %v", operation, out)
	}
	return out
}

// aim makes rules of a bus that have a target each, with the trigger that it is of one function.
func (s *stand) aim(bus, fn string, rules ...string) {
	s.Helper()
	v := function.Version{Code: "sha256:00", Spec: function.Spec{Name: fn, Scale: function.Scale{Max: 1}, Entry: function.Entry{Type: function.EntryLambda}}}
	for _, name := range rules {
		s.done("PutRule", map[string]any{"Name": name, "EventBusName": bus, "EventPattern": `{"source":["shop"]}`})
		r, _ := kept[rule](s.EventBridge, ruleNotes+bus+"/"+name)
		t := ruleTarget{ID: "1", Arn: function.ARN(function.AWSRegion, fn, ""), Function: fn}
		if err := keep(s.Context(), s.EventBridge, r.key(), func(r *rule, _ bool) error { r.Targets = []ruleTarget{t}; return nil }); err != nil {
			s.Fatal(err)
		}
		made, err := s.trigger(&r, &t)
		if err != nil {
			s.Fatal(err)
		}
		v.Spec.Triggers = append(v.Spec.Triggers, made)
	}
	if _, err := s.l.o.Catalog.Submit(s.Context(), catalog.Deploy{Version: v}); err != nil {
		s.Fatal(err)
	}
}
