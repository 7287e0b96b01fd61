package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// defaultPartitions is said here, and not left to the log, because _dalamb.progress has to be as wide before the topic is there.
const defaultPartitions = 8

func (a *API) listTopics(r *http.Request, _ query) (any, error) { return a.Topics(r.Context()) }

// Topics lists all topics, dalamb's own among them.
func (a *API) Topics(ctx context.Context) (wire.TopicList, error) {
	topics, err := a.log.Topics(ctx)
	if err != nil {
		return wire.TopicList{}, fmt.Errorf("list topics: %w", err)
	}
	list := wire.TopicList{Topics: []wire.Topic{}}
	view := a.catalog.View()
	for _, t := range topics {
		w := wireTopic(t)
		w.Rules = view.Rules(t.Name)
		list.Topics = append(list.Topics, w)
	}
	return list, nil
}

func (a *API) getTopic(r *http.Request, _ query) (any, error) {
	return a.Topic(r.Context(), r.PathValue("topic"))
}

// Topic tells of one topic, or NotFound with the nearest names.
func (a *API) Topic(ctx context.Context, name string) (wire.Topic, error) {
	t, err := a.topic(ctx, name)
	if err != nil {
		return wire.Topic{}, err
	}
	w := wireTopic(t)
	w.Rules = a.catalog.View().Rules(name)
	w.Warnings = a.absentWriters(ctx, w.Rules.Writers)
	for id := range t.Partitions {
		b, err := a.log.Bounds(ctx, eventlog.Partition{Topic: name, ID: id})
		if err != nil {
			return wire.Topic{}, fmt.Errorf("read the bounds of %s/%d: %w", name, id, err)
		}
		w.Bounds = append(w.Bounds, wire.Partition{ID: id, Start: b.Start, End: b.End})
	}
	return w, nil
}

// topic finds a topic, or says NotFound with the nearest names.
func (a *API) topic(ctx context.Context, name string) (eventlog.Topic, error) {
	t, names, err := a.findTopic(ctx, name)
	if err == nil && t == nil {
		err = eventlog.MissingTopic(name, names)
	}
	if err != nil {
		return eventlog.Topic{}, err
	}
	return *t, nil
}

// findTopic is the topic of a name, nil = there is none, and then the names of those that there are.
func (a *API) findTopic(ctx context.Context, name string) (*eventlog.Topic, []string, error) {
	topics, err := a.log.Topics(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list topics: %w", err)
	}
	var names []string
	for i := range topics {
		if topics[i].Name == name {
			return &topics[i], nil, nil
		}
		names = append(names, topics[i].Name)
	}
	return nil, names, nil
}

// standing refuses the name of no topic to who wants something of it taken away: nobody makes a topic for that.
func (a *API) standing(ctx context.Context, name string) error {
	t, names, err := a.findTopic(ctx, name)
	if err == nil && t == nil {
		return fault.Missing("topic", name, names)
	}
	return err
}

func (a *API) createTopic(r *http.Request, _ query) (any, error) {
	var req wire.TopicCreate
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	return a.CreateTopic(r.Context(), req)
}

// CreateTopic makes a topic; what the request leaves out gets the default.
func (a *API) CreateTopic(ctx context.Context, req wire.TopicCreate) (wire.Topic, error) {
	if err := checkTopicName(req.Name); err != nil {
		return wire.Topic{}, err
	}
	if who := access.From(ctx); !who.Sees(req.Name) {
		return wire.Topic{}, fault.New(fault.Denied, "the %s is for environment %s, and %q would be no topic of it", who, who.Environment, fault.Clip(req.Name)).
			WithHint("make it there: dalamb --env %s topic create NAME", who.Environment)
	}
	if req.Partitions == 0 {
		req.Partitions = defaultPartitions
	}
	t := eventlog.Topic{Name: req.Name, Partitions: req.Partitions, Compact: req.Compact}
	if err := function.CheckPartitions(int(req.Partitions)); err != nil {
		return wire.Topic{}, err
	}
	var err error
	if req.Retention != "" {
		if t.Retention, err = parseRetention(req.Retention); err != nil {
			return wire.Topic{}, err
		}
	}
	if req.MaxBytes != "" {
		if t.MaxBytes, err = parseMaxBytes(req.MaxBytes); err != nil {
			return wire.Topic{}, err
		}
	}
	anew := catalog.SetTopic{Topic: req.Name, Change: req.Rules, Anew: true}
	_, rules, err := anew.On(a.catalog.View())
	if err != nil {
		return wire.Topic{}, err
	}
	if err := a.checkRules(rules); err != nil {
		return wire.Topic{}, err
	}
	names, err := a.topicNames(ctx, "")
	if err != nil {
		return wire.Topic{}, err
	}
	if slices.Contains(names, req.Name) {
		return wire.Topic{}, fault.New(fault.Conflict, "topic %s exists already", req.Name)
	}
	if err := a.mayHave(req.Name, names); err != nil {
		return wire.Topic{}, err
	}
	if err := eventlog.Widen(ctx, a.log, function.AsWide(), req.Partitions); err != nil {
		return wire.Topic{}, err
	}
	// The rules first: no event comes to a topic before they are known, of which one may be that it is sealed.
	if err := a.setRules(ctx, anew); err != nil {
		return wire.Topic{}, err
	}
	if err := a.log.CreateTopic(ctx, t); err != nil {
		return wire.Topic{}, err
	}
	return a.Topic(ctx, req.Name)
}

func (a *API) alterTopic(r *http.Request, _ query) (any, error) {
	name := r.PathValue("topic")
	var req wire.TopicAlter
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if err := mayAlter(name, req); err != nil {
		return nil, err
	}
	t, err := a.topic(r.Context(), name)
	if err != nil {
		return nil, err
	}
	change := catalog.SetTopic{Topic: name, Change: req.Rules}
	_, rules, err := change.On(a.catalog.View())
	if err != nil {
		return nil, err
	}
	if err := a.checkRules(rules); err != nil {
		return nil, err
	}
	var c eventlog.TopicChange
	if p := req.Partitions; p != nil {
		if *p < t.Partitions || *p > function.MaxPartitions {
			return nil, fault.New(fault.Invalid, "partitions: topic %q has %d, which may only grow, to at most %d", name, t.Partitions, function.MaxPartitions)
		}
		if err := eventlog.Widen(r.Context(), a.log, function.AsWide(), *p); err != nil {
			return nil, err
		}
		c.Partitions = p
	}
	if req.Retention != nil {
		d, err := parseRetention(*req.Retention)
		if err != nil {
			return nil, err
		}
		c.Retention = &d
	}
	if req.MaxBytes != nil {
		n, err := parseMaxBytes(*req.MaxBytes)
		if err != nil {
			return nil, err
		}
		c.MaxBytes = &n
	}
	if c != (eventlog.TopicChange{}) {
		if err := a.log.AlterTopic(r.Context(), name, c); err != nil {
			return nil, err
		}
	}
	if err := a.setRules(r.Context(), change); err != nil {
		return nil, err
	}
	return a.Topic(r.Context(), name)
}

func (a *API) deleteTopic(r *http.Request, _ query) (any, error) {
	return nil, a.DeleteTopic(r.Context(), r.PathValue("topic"))
}

// DeleteTopic takes a topic away that no trigger uses.
func (a *API) DeleteTopic(ctx context.Context, name string) error {
	if err := ownTopic(name); err != nil {
		return err
	}
	seen := a.catalog.View()
	if err := a.standing(ctx, name); err != nil {
		return err
	}
	if users := a.usersOf(name); len(users) > 0 {
		return fault.New(fault.Conflict, "topic %q is used by %s", name, strings.Join(users, ", ")).
			WithHint("remove those functions, or deploy them without that topic, first")
	}
	// The rules last: until it is gone, what comes is sealed where it was. A node that is killed in between leaves them; CreateTopic says what becomes of those.
	if err := a.log.DeleteTopic(ctx, name); err != nil {
		return err
	}
	if seen.Rules(name).None() {
		return nil
	}
	if _, err := a.catalog.Submit(ctx, catalog.DropTopic{Topic: name, Seen: seen}); err != nil && fault.KindOf(err) != fault.Conflict {
		return err
	}
	return nil
}

// usersOf names the triggers that listen to a topic, emit to it, or send their outcomes there.
func (a *API) usersOf(topic string) []string {
	var users []string
	for _, f := range a.catalog.View().Functions() {
		for _, t := range f.Triggers {
			if t.Topic == topic || t.Emit != nil && t.Emit.Topic == topic || t.OnSuccess.To(topic) || t.OnFailure.To(topic) {
				users = append(users, f.Name+"/"+t.Name)
			}
		}
	}
	return users
}

func checkTopicName(name string) error {
	if err := ownTopic(name); err != nil {
		return err
	}
	return function.CheckTopicName(name)
}

// ownTopic refuses dalamb's own topics.
func ownTopic(name string) error {
	if function.SystemTopic(name) {
		return fault.New(fault.Denied, "topic %q is dalamb's own", name).WithHint("names that begin with _ are reserved")
	}
	return nil
}

func parseRetention(s string) (time.Duration, error) {
	d, forever, err := function.ParseRetention(s)
	if forever {
		return eventlog.Forever, nil
	}
	return d.Std(), err
}

func parseMaxBytes(s string) (int64, error) {
	b, forever, err := function.ParseTopicSize(s)
	if forever {
		return eventlog.Forever, nil
	}
	return int64(b), err
}

func wireTopic(t eventlog.Topic) wire.Topic {
	w := wire.Topic{
		Name: t.Name, ID: t.ID, Partitions: t.Partitions, Compact: t.Compact, System: function.SystemTopic(t.Name),
		Retention: wire.Forever, MaxBytes: wire.Forever,
	}
	if t.Retention > 0 {
		w.Retention = function.Duration(t.Retention).String()
	}
	if t.MaxBytes > 0 {
		w.MaxBytes = function.Bytes(t.MaxBytes).String()
	}
	return w
}

// partitions lists those of a topic that a query wants: all, or the one that it names.
func partitions(t eventlog.Topic, q query) ([]eventlog.Partition, error) {
	only, err := q.number("partition", -1, 0, int64(t.Partitions)-1)
	if err != nil {
		return nil, err
	}
	if key := q.text("key"); key != "" && only < 0 {
		only = int64(eventlog.PartitionFor([]byte(key), t.Partitions))
	}
	var ps []eventlog.Partition
	for id := range t.Partitions {
		if only < 0 || int64(id) == only {
			ps = append(ps, eventlog.Partition{Topic: t.Name, ID: id})
		}
	}
	return slices.Clip(ps), nil
}
