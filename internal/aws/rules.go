package aws

import (
	"cmp"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// ruleNotes begins the keys of rules: events/rule/BUS/NAME.
const ruleNotes = "events/rule/"

// Bounds of a rule. EventBridge user guide, "Amazon EventBridge quotas".
const (
	maxRuleName   = 64
	maxSchedule   = 256
	maxRules      = 300 // of a bus
	maxTargets    = 5   // of a rule
	maxTargetText = 1600
)

// rule is what is kept of a rule. Its targets are triggers of functions; what is here of them is what AWS tells again.
type rule struct {
	Name               string
	Bus                string
	TopicID            string `json:",omitempty"` // of the bus that it is of; "" = of none, as schedules are
	EventPattern       string
	ScheduleExpression string
	Description        string
	RoleArn            string // told again; it means nothing here
	Disabled           bool
	Waking             bool `json:",omitempty"` // it was disabled, and its triggers are yet to go on
	Targets            []ruleTarget
}

func (r *rule) key() string { return ruleNotes + r.Bus + "/" + r.Name }

func (r *rule) arn(region string) string {
	if r.Bus == defaultBus {
		return function.RuleARN(region, "", r.Name)
	}
	return function.RuleARN(region, r.Bus, r.Name)
}

// ruleAnswer is AWS's Rule, and what DescribeRule answers.
type ruleAnswer struct {
	Name               string
	Arn                string
	EventPattern       string `json:",omitempty"`
	ScheduleExpression string `json:",omitempty"`
	State              string
	Description        string `json:",omitempty"`
	RoleArn            string `json:",omitempty"`
	EventBusName       string
}

func (b *EventBridge) tellRule(r *rule) ruleAnswer {
	state := "ENABLED"
	if r.Disabled {
		state = "DISABLED"
	}
	return ruleAnswer{r.Name, r.arn(b.l.o.Region), r.EventPattern, r.ScheduleExpression, state, r.Description, r.RoleArn, r.Bus}
}

type putRuleRequest struct {
	Name               string
	EventBusName       string
	EventPattern       string
	ScheduleExpression string
	State              string
	Description        string
	RoleArn            string
	Tags               []any
}

func (r *putRuleRequest) check() error {
	if err := checkEventsName("Name", r.Name, maxRuleName); err != nil {
		return err
	}
	switch {
	case r.EventPattern == "" && r.ScheduleExpression == "":
		return badValue("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case r.EventPattern != "" && r.ScheduleExpression != "":
		return badValue("EventPattern and ScheduleExpression: a rule has one of both here").WithHint("make two rules")
	case len(r.ScheduleExpression) > maxSchedule:
		return badValue("ScheduleExpression: it has more than %d bytes", maxSchedule)
	case r.State != "" && r.State != "ENABLED" && r.State != "DISABLED":
		return badValue("State: %q is neither ENABLED nor DISABLED", fault.Clip(r.State))
	case len(r.Description) > maxEventsText:
		return badValue("Description: it has more than %d bytes", maxEventsText)
	case len(r.RoleArn) > maxTargetText:
		return badValue("RoleArn: it has more than %d bytes", maxTargetText)
	case len(r.Tags) > 0:
		return badValue("Tags: rules have none here")
	}
	return nil
}

func (b *EventBridge) putRule(c *eventsCall) (any, error) {
	var req putRuleRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	on, topic, err := b.busThere(c, req.EventBusName)
	if err != nil {
		return nil, err
	}
	if req.ScheduleExpression != "" && on.name != defaultBus {
		return nil, badValue("ScheduleExpression is supported only on the default event bus.")
	}
	wanted := rule{Name: req.Name, Bus: on.name}
	others := b.rulesOf(on, topic)
	if len(others) >= maxRules && !slices.ContainsFunc(others, func(r rule) bool { return r.Name == wanted.Name }) {
		return nil, fault.New(fault.Exhausted, "The requested resource exceeds the maximum number allowed: %d rules of the event bus %s.", maxRules, on.name)
	}
	if err := b.forgetRuleBefore(c, &wanted, topic); err != nil {
		return nil, err
	}
	err = keep(c.ctx(), b, wanted.key(), func(r *rule, _ bool) error {
		id := topic.ID
		if req.ScheduleExpression != "" {
			id = ""
		}
		wanted = rule{
			Name: req.Name, Bus: on.name, TopicID: id, EventPattern: req.EventPattern, ScheduleExpression: req.ScheduleExpression, Description: req.Description,
			RoleArn: req.RoleArn, Disabled: req.State == "DISABLED", Targets: r.Targets,
		}
		wanted.Waking = !wanted.Disabled && (r.Disabled || r.Waking)
		// What its targets could not do is refused before anything is changed.
		for _, t := range wanted.Targets {
			if _, err := b.trigger(&wanted, &t); err != nil {
				return err
			}
		}
		if _, err := b.trigger(&wanted, &ruleTarget{}); err != nil {
			return err
		}
		*r = wanted
		return b.canWait(r)
	})
	if err != nil {
		return nil, err
	}
	wrong, err := b.settle(c, &wanted, nil)
	if err := cmp.Or(err, wrong.first()); err != nil {
		return nil, err
	}
	return struct{ RuleArn string }{wanted.arn(b.l.o.Region)}, nil
}

// ruleNamed is what operations on one rule say.
type ruleNamed struct{ Name, EventBusName string }

// rule finds the one that a request names.
func (b *EventBridge) rule(c *eventsCall, of ruleNamed) (*rule, error) {
	if err := checkEventsName("Name", of.Name, maxRuleName); err != nil {
		return nil, err
	}
	on, topic, err := b.busThere(c, of.EventBusName)
	if err != nil {
		return nil, err
	}
	r := &rule{Name: of.Name, Bus: on.name}
	found, there := kept[rule](b, r.key())
	if !there || !sameTopic(found.TopicID, topic) {
		return nil, noRule(r)
	}
	return &found, nil
}

// rulesOf are those of a bus, by their names.
func (b *EventBridge) rulesOf(on bus, topic wire.Topic) []rule {
	return slices.DeleteFunc(allKept[rule](b, ruleNotes+on.name+"/"), func(r rule) bool { return !sameTopic(r.TopicID, topic) })
}

// forgetRuleBefore takes a rule away that has the name of one, and was of another bus of the name of its bus.
func (b *EventBridge) forgetRuleBefore(c *eventsCall, r *rule, topic wire.Topic) error {
	before, there := kept[rule](b, r.key())
	if !there || sameTopic(before.TopicID, topic) {
		return nil
	}
	for _, t := range before.Targets {
		if err := b.removeTrigger(c, &before, &t); err != nil {
			return err
		}
	}
	return forget(c.ctx(), b, r.key())
}

func noRule(r *rule) error {
	return fault.New(fault.NotFound, "Rule %s does not exist on EventBus %s.", r.Name, r.Bus)
}

func (b *EventBridge) describeRule(c *eventsCall) (any, error) {
	var req ruleNamed
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	r, err := b.rule(c, req)
	if err != nil {
		return nil, err
	}
	return b.tellRule(r), nil
}

func (b *EventBridge) listRules(c *eventsCall) (any, error) {
	var req struct {
		listed
		EventBusName string
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	on, topic, err := b.busThere(c, req.EventBusName)
	if err != nil {
		return nil, err
	}
	rules, next, err := part(req.listed, b.rulesOf(on, topic), func(r rule) string { return r.Name })
	if err != nil {
		return nil, err
	}
	out := struct {
		Rules     []ruleAnswer
		NextToken string `json:",omitempty"`
	}{[]ruleAnswer{}, next}
	for _, r := range rules {
		out.Rules = append(out.Rules, b.tellRule(&r))
	}
	return out, nil
}

func (b *EventBridge) enableRule(c *eventsCall) (any, error)  { return nil, b.switchRule(c, false) }
func (b *EventBridge) disableRule(c *eventsCall) (any, error) { return nil, b.switchRule(c, true) }

func (b *EventBridge) switchRule(c *eventsCall, disabled bool) error {
	var req ruleNamed
	if err := c.decode(&req); err != nil {
		return err
	}
	r, err := b.rule(c, req)
	if err != nil {
		return err
	}
	if err := b.editRule(c, r, func(r *rule) error {
		r.Waking = !disabled && (r.Disabled || r.Waking)
		r.Disabled = disabled
		return b.canWait(r)
	}); err != nil {
		return err
	}
	wrong, err := b.settle(c, r, nil)
	return cmp.Or(err, wrong.first())
}

// editRule changes what is kept of a rule that is there, and puts it in the place of r.
func (b *EventBridge) editRule(c *eventsCall, r *rule, edit func(*rule) error) error {
	return keep(c.ctx(), b, r.key(), func(now *rule, there bool) error {
		if !there {
			return noRule(r)
		}
		if err := edit(now); err != nil {
			return err
		}
		*r = *now
		return nil
	})
}

// deleteRule says nothing of a rule that is not there, as AWS does. Its bus may be gone.
func (b *EventBridge) deleteRule(c *eventsCall) (any, error) {
	var req struct {
		ruleNamed
		Force bool // of rules that AWS's services manage, of which there are none
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := checkEventsName("Name", req.Name, maxRuleName); err != nil {
		return nil, err
	}
	on, err := b.bus(req.EventBusName)
	if err != nil {
		return nil, err
	}
	topic, err := b.topics.Topic(c.ctx(), on.topic)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, err
	}
	gone := err != nil
	r, there := kept[rule](b, (&rule{Name: req.Name, Bus: on.name}).key())
	switch {
	case !there && gone:
		return nil, noBus(on.name)
	case !there:
		return nil, nil
	case r.TopicID != "" && (gone || !sameTopic(r.TopicID, topic)):
		return nil, b.forgetRuleBefore(c, &r, topic)
	case len(b.targets(&r)) > 0:
		return nil, badValue("Rule can't be deleted since it has targets.")
	}
	return nil, forget(c.ctx(), b, r.key())
}

// listRuleNames tells of the rules that a function is a target of.
func (b *EventBridge) listRuleNames(c *eventsCall) (any, error) {
	var req struct {
		listed
		TargetArn    string
		EventBusName string
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	on, topic, err := b.busThere(c, req.EventBusName)
	if err != nil {
		return nil, err
	}
	name, _ := function.ParseARN(req.TargetArn)
	var names []string
	for _, r := range b.rulesOf(on, topic) {
		if slices.ContainsFunc(b.targets(&r), func(t ruleTarget) bool { return t.Function == name }) {
			names = append(names, r.Name)
		}
	}
	names, next, err := part(req.listed, names, func(name string) string { return name })
	if err != nil {
		return nil, err
	}
	return struct {
		RuleNames []string
		NextToken string `json:",omitempty"`
	}{names, next}, nil
}
