package aws

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// defaultBus is AWS's name of the topic that is there from the start. Any other bus is called as its topic is.
const defaultBus = "default"

// bus is an event bus of AWS's: a topic.
type bus struct{ name, topic string }

func (b bus) arn(region string) string { return eventsARN(region, "event-bus", b.name) }

// eventsARN is AWS's name of something that EventBridge has.
func eventsARN(region, kind, name string) string {
	return "arn:aws:events:" + region + ":" + function.AWSAccount + ":" + kind + "/" + name
}

// parseARN is the name in an ARN of a kind of this region and account, or of a text that is no ARN the text.
func (b *EventBridge) parseARN(kind, text string) (string, error) {
	if !strings.HasPrefix(text, "arn:") {
		return text, nil
	}
	name, ok := strings.CutPrefix(text, eventsARN(b.l.o.Region, kind, ""))
	if !ok {
		return "", badValue("%q is not the ARN of an %s here", fault.Clip(text), kind).WithHint("they begin with %s", eventsARN(b.l.o.Region, kind, ""))
	}
	return name, nil
}

// bus is the one of a name, an ARN or "", which is the default one; it need not be there.
func (b *EventBridge) bus(text string) (bus, error) {
	name, err := b.parseARN("event-bus", cmp.Or(text, defaultBus))
	switch {
	case err != nil:
		return bus{}, err
	case name == defaultBus:
		return bus{defaultBus, function.TopicEvents}, nil
	case name == function.TopicEvents || function.SystemTopic(name) || name == "":
		return bus{}, noBus(name)
	}
	return bus{name, name}, nil
}

// busThere is the same of one that is there.
func (b *EventBridge) busThere(c *eventsCall, text string) (bus, wire.Topic, error) {
	one, err := b.bus(text)
	if err != nil {
		return bus{}, wire.Topic{}, err
	}
	if one, err = one.ofEnvironment(c.ctx()); err != nil {
		return bus{}, wire.Topic{}, err
	}
	topic, err := b.topics.Topic(c.ctx(), one.topic)
	if fault.KindOf(err) == fault.NotFound {
		return bus{}, wire.Topic{}, noBus(one.name)
	}
	return one, topic, err
}

// sameTopic says whether what is kept with the id of a bus's topic is of that topic: one of the same name that came later is another bus, which has none
// of the rules and archives of the one before. What was kept without an id is of any.
func sameTopic(id string, t wire.Topic) bool { return id == "" || id == t.ID }

func noBus(name string) error {
	return fault.New(fault.NotFound, "Event bus %s does not exist.", fault.Clip(name))
}

type busAnswer struct {
	Name        string
	Arn         string
	Description string `json:",omitempty"`
}

// busNote is what is kept of a bus beside its topic, as long as that is the same topic.
type busNote struct {
	TopicID     string
	Description string
}

const busNotes = "events/bus/"

func (b *EventBridge) tellBus(t wire.Topic) busAnswer {
	name := t.Name
	if name == function.TopicEvents {
		name = defaultBus
	}
	out := busAnswer{Name: name, Arn: eventsARN(b.l.o.Region, "event-bus", name)}
	if n, there := kept[busNote](b, busNotes+name); there && n.TopicID == t.ID {
		out.Description = n.Description
	}
	return out
}

type createBusRequest struct {
	Name        string
	Description string

	// Of these none is taken.
	EventSourceName  string
	KmsKeyIdentifier string
	DeadLetterConfig *eventsDeadLetter
	LogConfig        *struct{ IncludeDetail, Level string }
	Tags             []any
}

func (r *createBusRequest) check() error {
	switch {
	case r.EventSourceName != "":
		return badValue("EventSourceName: there are no partners here").WithHint("docs/webhooks.md says how others send events")
	case r.KmsKeyIdentifier != "":
		return badValue("KmsKeyIdentifier: there are no keys of AWS's here")
	case r.DeadLetterConfig != nil && r.DeadLetterConfig.Arn != "":
		return badValue("DeadLetterConfig: targets have one; a bus has none here")
	case r.LogConfig != nil && r.LogConfig.Level != "" && r.LogConfig.Level != "OFF":
		return badValue("LogConfig: the Level %q is not there; OFF is", fault.Clip(r.LogConfig.Level)).WithHint("dalamb events and dalamb runs show what came and what became of it")
	case len(r.Tags) > 0:
		return badValue("Tags: buses have none here")
	case len(r.Description) > maxEventsText:
		return badValue("Description: it has more than %d bytes", maxEventsText)
	}
	return nil
}

// maxEventsText bounds descriptions. Amazon EventBridge API reference, Description.
const maxEventsText = 512

func (b *EventBridge) createBus(c *eventsCall) (any, error) {
	var req createBusRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	exists := ofType("ResourceAlreadyExistsException", fault.New(fault.Conflict, "Event bus %s already exists.", fault.Clip(req.Name)))
	switch {
	case req.Name == defaultBus:
		return nil, exists
	case req.Name == function.TopicEvents:
		return nil, badValue("Name: the topic %s is the event bus %s", function.TopicEvents, defaultBus)
	}
	topic, err := b.topics.CreateTopic(c.ctx(), wire.TopicCreate{Name: req.Name})
	if fault.KindOf(err) == fault.Conflict {
		return nil, exists
	}
	if err != nil {
		return nil, err
	}
	if req.Description != "" {
		if err := keep(c.ctx(), b, busNotes+req.Name, func(n *busNote, _ bool) error {
			*n = busNote{topic.ID, req.Description}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return struct{ EventBusArn, Description string }{eventsARN(b.l.o.Region, "event-bus", req.Name), req.Description}, nil
}

func (b *EventBridge) describeBus(c *eventsCall) (any, error) {
	var req struct{ Name string }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	_, topic, err := b.busThere(c, req.Name)
	if err != nil {
		return nil, err
	}
	return b.tellBus(topic), nil
}

// listed is a part of a list that is asked for, by the beginning of names.
type listed struct {
	NamePrefix string
	NextToken  string
	Limit      int
}

// maxListed bounds a page. Amazon EventBridge API reference, LimitMax100.
const maxListed = 100

func (r *listed) page() (page, error) {
	if r.Limit < 0 || r.Limit > maxListed {
		return page{}, badValue("Limit: %d is not from 1 to %d", r.Limit, maxListed)
	}
	return readPage(r.NextToken, cmp.Or(r.Limit, maxListed))
}

// part is a page of a list whose names rise, and where the next one begins.
func part[T any](r listed, all []T, name func(T) string) ([]T, string, error) {
	p, err := r.page()
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(one T) bool { return !strings.HasPrefix(name(one), r.NamePrefix) })
	list, next := cut(p, all, name)
	if list == nil {
		list = []T{}
	}
	return list, next, nil
}

func (b *EventBridge) listBuses(c *eventsCall) (any, error) {
	var req listed
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	topics, err := b.topics.Topics(c.ctx())
	if err != nil {
		return nil, err
	}
	var all []busAnswer
	for _, t := range topics.Topics {
		if !t.System && t.Name != defaultBus && access.From(c.ctx()).Sees(t.Name) {
			all = append(all, b.tellBus(t))
		}
	}
	slices.SortFunc(all, func(x, y busAnswer) int { return strings.Compare(x.Name, y.Name) })
	list, next, err := part(req, all, func(one busAnswer) string { return one.Name })
	if err != nil {
		return nil, err
	}
	return struct {
		EventBuses []busAnswer
		NextToken  string `json:",omitempty"`
	}{list, next}, nil
}

// deleteBus says nothing of a bus that is not there, as AWS does.
func (b *EventBridge) deleteBus(c *eventsCall) (any, error) {
	var req struct{ Name string }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	one, err := b.bus(req.Name)
	if err != nil || req.Name == "" {
		return nil, cmp.Or(err, error(badValue("Name: it is not there")))
	}
	if one.name == defaultBus {
		return nil, badValue("Cannot delete event bus %s.", defaultBus)
	}
	topic, err := b.topics.Topic(c.ctx(), one.topic)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if rules := b.rulesOf(one, topic); len(rules) > 0 {
		return nil, badValue("Event bus %s can't be deleted since it has rules: %s", one.name, rules[0].Name)
	}
	for _, a := range allKept[archive](b, archiveNotes) {
		if a.Bus == one.name && sameTopic(a.TopicID, topic) {
			return nil, badValue("Event bus %s can't be deleted since the archive %s is of its events", one.name, a.Name)
		}
	}
	err = b.topics.DeleteTopic(c.ctx(), one.topic)
	if used, ok := errors.AsType[*fault.Error](err); ok && used.Kind == fault.Conflict {
		return nil, badValue("Event bus %s can't be deleted: %w", one.name, used)
	}
	if err != nil {
		return nil, err
	}
	return nil, forget(c.ctx(), b, busNotes+one.name)
}
