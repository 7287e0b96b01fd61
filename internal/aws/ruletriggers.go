package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// trigger is the one that a target of a rule is. The target of no function serves to check the rule.
func (b *EventBridge) trigger(r *rule, t *ruleTarget) (function.Trigger, error) {
	made := function.NewTrigger()
	made.Name, made.Rule, made.Payload = triggerName(r, t.ID), r.arn(b.l.o.Region), function.PayloadEventBridge
	made.Order = function.OrderNone // EventBridge promises none, and an event that fails shall hold up no other one
	made.Retry.Attempts, made.Retry.MaxAge = defaultRetries+1, seconds(defaultAge)
	if p := t.Retry; p != nil {
		if p.MaximumRetryAttempts != nil {
			made.Retry.Attempts = *p.MaximumRetryAttempts + 1
		}
		if p.MaximumEventAgeInSeconds != nil {
			made.Retry.MaxAge = seconds(*p.MaximumEventAgeInSeconds)
		}
	}
	var err error
	if made.OnFailure, err = (destination{t.Failed}).read(); err != nil {
		return made, err
	}
	if r.ScheduleExpression != "" {
		made.CatchUp = function.CatchUpNone
		made.Schedule, err = scheduleOf(r.ScheduleExpression)
		return made, err
	}
	on, err := b.bus(r.Bus)
	if err != nil {
		return made, err
	}
	made.Topic, made.Start = on.topic, function.StartLatest
	made.Filter, err = b.filterOf(r.EventPattern)
	return made, err
}

// triggerName is a name for people with a sum that makes it one target's of one rule.
func triggerName(r *rule, target string) string {
	sum := sha256.Sum256([]byte(r.Bus + "\x00" + r.Name + "\x00" + target))
	plain := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, r.Name[:min(len(r.Name), 40)])
	return "rule-" + strings.Trim(plain, "-") + "-" + hex.EncodeToString(sum[:5])
}

// declaredFor is the trigger of a target as its function's newest version has it, which live points at or a roll-out brings; nil = it has none.
func (b *EventBridge) declaredFor(r *rule, t *ruleTarget) *function.Trigger {
	f, err := b.l.o.Catalog.View().Function(t.Function)
	if err != nil {
		return nil
	}
	v := latest(f)
	if underWay, _ := rolling(f); underWay != nil {
		if to := versionOf(f, underWay.To); to != nil {
			v = to
		}
	}
	found := triggerOf(&v.Spec, triggerName(r, t.ID))
	if found == nil || found.Rule != r.arn(b.l.o.Region) {
		return nil
	}
	return found
}

// targets are those of a rule that are there: their function has the trigger, or the rule is disabled and their function will get it when it is enabled.
func (b *EventBridge) targets(r *rule) []ruleTarget {
	var there []ruleTarget
	for _, t := range r.Targets {
		_, err := b.l.o.Catalog.View().Function(t.Function)
		if b.declaredFor(r, &t) != nil || r.Disabled && err == nil {
			there = append(there, t)
		}
	}
	return there
}

// sameTrigger compares what the log has kept of a trigger, whose filter may be written otherwise, with another.
func sameTrigger(a, b function.Trigger) bool {
	var filters [2]any
	for i, t := range []*function.Trigger{&a, &b} {
		if len(t.Filter) > 0 && json.Unmarshal(t.Filter, &filters[i]) != nil {
			return false
		}
		t.Filter = nil
	}
	return reflect.DeepEqual(filters[0], filters[1]) && reflect.DeepEqual(a, b)
}

// declare deploys a version of a function with a trigger, in the place of the one of its name.
func (b *EventBridge) declare(c *eventsCall, fn string, made function.Trigger) error {
	_, err := b.l.respec(c.call, fn, func(s *function.Spec) error {
		if have := triggerOf(s, made.Name); have != nil && have.Rule != made.Rule {
			return fault.New(fault.Conflict, "function %q has a trigger %q that is not the rule's", fn, made.Name)
		}
		s.Triggers = append(withoutTrigger(s.Triggers, made.Name), made)
		return nil
	})
	return err
}

// removeTrigger deploys a version of a target's function without its trigger, where it has that.
func (b *EventBridge) removeTrigger(c *eventsCall, r *rule, t *ruleTarget) error {
	if b.declaredFor(r, t) == nil {
		return nil
	}
	_, err := b.l.respec(c.call, t.Function, func(s *function.Spec) error {
		s.Triggers = withoutTrigger(s.Triggers, triggerName(r, t.ID))
		return nil
	})
	return err
}

func liveTrigger(f *catalog.Function, name string) *catalog.Trigger {
	if i := slices.IndexFunc(f.Triggers, func(t *catalog.Trigger) bool { return t.Name == name }); i >= 0 {
		return f.Triggers[i]
	}
	return nil
}

// canWait refuses a disabled rule one of whose triggers a roll-out is only bringing.
func (b *EventBridge) canWait(r *rule) error {
	for _, t := range r.Targets {
		if !r.Disabled || b.declaredFor(r, &t) == nil {
			continue
		}
		if f, err := b.l.o.Catalog.View().Function(t.Function); err == nil && liveTrigger(f, triggerName(r, t.ID)) == nil {
			return fault.New(fault.Conflict, "function %q is being rolled out with the trigger of the rule, which cannot wait before it is there", t.Function).
				WithHint("disable the rule when the roll-out is over: dalamb rollout show %s", t.Function)
		}
	}
	return nil
}
