package aws

import (
	"maps"
	"reflect"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// application is a rule's being made so: what one request does to the triggers of the rule's targets.
type application struct {
	b      *EventBridge
	c      *eventsCall
	ids    []string        // of the targets that it is about; nil = all
	paused map[string]bool // triggers that this request has made to wait
}

func (a *application) about(t ruleTarget) bool { return a.ids == nil || slices.Contains(a.ids, t.ID) }

// wrongs are the errors of targets, by their ids.
type wrongs map[string]error

// first is one error for all of them; nil = there are none.
func (w wrongs) first() error {
	for _, id := range slices.Sorted(maps.Keys(w)) {
		return fault.New(fault.KindOf(w[id]), "target %s: %w", id, w[id]).WithHint("%s", fault.HintOf(w[id]))
	}
	return nil
}

// settle makes the triggers of a rule what it says, of those targets that have one of the ids, nil = of all. What is kept of the rule may change meanwhile, and whoever changed it may have been here before: so it
// ends only where what was applied is what is kept. A target that fails keeps none of the others from it, and the same request once more does what is left.
func (b *EventBridge) settle(c *eventsCall, r *rule, ids []string) (wrongs, error) {
	a := application{b, c, ids, map[string]bool{}}
	for range settles {
		wrong := a.apply(r)
		now, there := kept[rule](b, r.key())
		if reflect.DeepEqual(now, *r) {
			if !r.Waking || ids != nil || len(wrong) > 0 {
				return wrong, nil
			}
			awake, err := b.awake(c, r)
			if awake || err != nil {
				return wrong, err
			}
			now, there = kept[rule](b, r.key())
		}
		if err := a.removeOld(r, &now); err != nil || !there {
			return nil, err
		}
		*r = now
	}
	return nil, fault.New(fault.Conflict, "Rule %s is being changed by somebody else all the time.", r.Name).WithHint("do it again")
}

// settles bounds how often a rule is applied that others change meanwhile.
const settles = 20

// awake notes that the triggers of a rule go on again, unless the rule is another one by now.
func (b *EventBridge) awake(c *eventsCall, r *rule) (done bool, err error) {
	err = b.editRule(c, &rule{Bus: r.Bus, Name: r.Name}, func(now *rule) error {
		if done = reflect.DeepEqual(*now, *r); done {
			now.Waking = false
		}
		return nil
	})
	if fault.KindOf(err) == fault.NotFound {
		return false, nil // it was deleted
	}
	return done, err
}

// removeOld removes the triggers of targets that a rule has no more.
func (a *application) removeOld(was, now *rule) error {
	for _, t := range was.Targets {
		if !a.about(t) || aims(now.Targets, t) {
			continue
		}
		if err := a.b.removeTrigger(a.c, was, &t); err != nil {
			return err
		}
	}
	return nil
}

// aims says whether a function is among targets by the same id.
func aims(targets []ruleTarget, at ruleTarget) bool {
	return slices.ContainsFunc(targets, func(t ruleTarget) bool { return t.ID == at.ID && t.Function == at.Function })
}

func (a *application) apply(r *rule) wrongs {
	wrong := wrongs{}
	for _, t := range r.Targets {
		if !a.about(t) {
			continue
		}
		if _, err := a.b.l.function(a.c.ctx(), t.Function, ""); err != nil {
			continue // it was removed, and the target with it
		}
		if err := a.applyTo(r, &t); err != nil {
			wrong[t.ID] = err
		}
	}
	return wrong
}

// applyTo makes the trigger of one target what the rule says. A disabled rule makes no trigger, and one that is there waits: what runs then runs with
// what comes after it was enabled.
func (a *application) applyTo(r *rule, t *ruleTarget) error {
	wanted, err := a.b.trigger(r, t)
	if err != nil {
		return err
	}
	have := a.b.declaredFor(r, t)
	if r.Disabled {
		if have == nil {
			return nil
		}
		if err := a.pause(t.Function, wanted.Name); err != nil {
			return err
		}
	}
	if have == nil || !sameTrigger(*have, wanted) {
		if err := a.b.declare(a.c, t.Function, wanted); err != nil {
			return err
		}
	}
	if r.Disabled {
		return nil
	}
	return a.resume(r, t.Function, &wanted)
}

// pause lets a trigger wait that is there.
func (a *application) pause(fn, trigger string) error {
	f, err := a.b.l.function(a.c.ctx(), fn, "")
	if err != nil {
		return err
	}
	if t := liveTrigger(f, trigger); t != nil && t.Paused {
		return nil
	}
	if _, err = a.b.l.o.Catalog.Submit(a.c.ctx(), catalog.Pause{Function: fn, Trigger: trigger, Paused: true}); err == nil {
		a.paused[fn+"/"+trigger] = true
	}
	return err
}

// resume lets a trigger go on that waits because the rule was disabled: with what comes from now on, since a rule does not see what came meanwhile. Who
// lets the trigger of an enabled rule wait has his own reason, and the events that wait for him stay. Where this request itself let it wait, for a rule
// that somebody has enabled before that, the rule was never to see nothing.
func (a *application) resume(r *rule, fn string, made *function.Trigger) error {
	mine := a.paused[fn+"/"+made.Name]
	f, err := a.b.l.function(a.c.ctx(), fn, "")
	if err != nil {
		return err
	}
	if t := liveTrigger(f, made.Name); t == nil || !t.Paused || !r.Waking && !mine {
		return nil
	}
	if made.Schedule == "" && !mine { // the times of a schedule that is paused pass by themselves
		if err := a.b.passage.SkipToEnd(a.c.ctx(), fn, made.Name); err != nil {
			return err
		}
	}
	if _, err = a.b.l.o.Catalog.Submit(a.c.ctx(), catalog.Pause{Function: fn, Trigger: made.Name, Paused: false}); err == nil {
		delete(a.paused, fn+"/"+made.Name)
	}
	return err
}
