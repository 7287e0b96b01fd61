package aws

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// ruleTarget is what is kept of a target.
type ruleTarget struct {
	ID       string
	Arn      string // as it was given
	Function string
	Retry    *retryPolicy `json:",omitempty"`
	Failed   string       `json:",omitempty"` // where outcomes go that are failures: DeadLetterConfig.Arn
}

// retryPolicy is AWS's RetryPolicy.
type retryPolicy struct {
	MaximumRetryAttempts     *int `json:",omitempty"`
	MaximumEventAgeInSeconds *int `json:",omitempty"`
}

// eventsDeadLetter is AWS's DeadLetterConfig of a target and of a bus.
type eventsDeadLetter struct{ Arn string }

// targetAnswer is AWS's Target.
type targetAnswer struct {
	ID               string `json:"Id"`
	Arn              string
	RetryPolicy      *retryPolicy      `json:",omitempty"`
	DeadLetterConfig *eventsDeadLetter `json:",omitempty"`
}

// targetRequest is AWS's Target as it is put.
type targetRequest struct {
	targetAnswer

	// Of these none is taken.
	RoleArn                     string
	Input                       string
	InputPath                   string
	InputTransformer            any
	AppSyncParameters           any
	BatchParameters             any
	EcsParameters               any
	HTTPParameters              any `json:"HttpParameters"`
	KinesisParameters           any
	RedshiftDataParameters      any
	RunCommandParameters        any
	SageMakerPipelineParameters any
	SqsParameters               any
}

// Bounds of a RetryPolicy, and what is so without one, which is what AWS does with asynchronous calls that fail. Amazon EventBridge API reference, RetryPolicy.
const (
	maxRetries     = 185
	maxEventAge    = 86400
	minEventAge    = 60
	defaultRetries = 2
	defaultAge     = 6 * 3600
)

// read checks a target that is to be put.
func (b *EventBridge) read(r *targetRequest, topic string) (ruleTarget, error) {
	t := ruleTarget{ID: r.ID, Arn: r.Arn, Retry: r.RetryPolicy}
	if err := checkEventsName("Id", r.ID, maxRuleName); err != nil {
		return t, err
	}
	name, qualifier := function.ParseARN(r.Arn)
	t.Function = name
	const hint = "the function gets the event as EventBridge gives it"
	switch {
	case !strings.HasPrefix(r.Arn, "arn:aws:lambda:") || len(r.Arn) > maxTargetText:
		return t, badValue("Target %s: %q is not the ARN of a function", r.ID, fault.Clip(r.Arn)).WithHint("functions alone are targets here; one that sends on reaches everything else")
	case qualifier != "" && qualifier != latestName && qualifier != function.LiveAlias:
		return t, badValue("Target %s: triggers are of the alias %s, and not of %q", r.ID, function.LiveAlias, fault.Clip(qualifier))
	case r.Input != "":
		return t, badValue("Target %s: Input is not there", r.ID).WithHint(hint)
	case r.InputPath != "" && r.InputPath != "$":
		return t, badValue("Target %s: InputPath is not there", r.ID).WithHint(hint)
	case r.InputTransformer != nil:
		return t, badValue("Target %s: InputTransformer is not there", r.ID).WithHint(hint)
	case r.RoleArn != "":
		return t, badValue("Target %s: RoleArn is of targets that are not functions", r.ID)
	}
	for _, other := range []any{r.AppSyncParameters, r.BatchParameters, r.EcsParameters, r.HTTPParameters, r.KinesisParameters, r.RedshiftDataParameters, r.RunCommandParameters,
		r.SageMakerPipelineParameters, r.SqsParameters} {
		if other != nil {
			return t, badValue("Target %s: it has parameters of a target that is not a function", r.ID)
		}
	}
	if p := r.RetryPolicy; p != nil {
		if n := p.MaximumRetryAttempts; n != nil && (*n < 0 || *n > maxRetries) {
			return t, badValue("Target %s: MaximumRetryAttempts: %d is not from 0 to %d", r.ID, *n, maxRetries)
		}
		if n := p.MaximumEventAgeInSeconds; n != nil && (*n < minEventAge || *n > maxEventAge) {
			return t, badValue("Target %s: MaximumEventAgeInSeconds: %d is not from %d to %d", r.ID, *n, minEventAge, maxEventAge)
		}
	}
	if r.DeadLetterConfig != nil {
		t.Failed = r.DeadLetterConfig.Arn
		if len(t.Failed) > maxTargetText {
			return t, badValue("Target %s: DeadLetterConfig.Arn has more than %d bytes", r.ID, maxTargetText)
		}
		if _, err := (destination{t.Failed}).read(); err != nil {
			return t, badValue("Target %s: DeadLetterConfig: %w", r.ID, err).WithHint("what fails is a dead letter in any case: dalamb dlq")
		}
	}
	if env := function.Environment(name); env != "" && !function.Within(env, topic) {
		return t, badValue("Target %s: %s is a function of the environment %s, whose buses are called %s.NAME", r.ID, name, env, env)
	}
	return t, nil
}

// failedTarget is AWS's PutTargetsResultEntry, and that of RemoveTargets.
type failedTarget struct {
	TargetID     string `json:"TargetId"`
	ErrorCode    string
	ErrorMessage string
}

type targetsAnswer struct {
	FailedEntryCount int
	FailedEntries    []failedTarget
}

func answerTargets(failed []failedTarget) targetsAnswer {
	if failed == nil {
		failed = []failedTarget{}
	}
	return targetsAnswer{len(failed), failed}
}

func failTarget(id string, err error) failedTarget {
	_, typ := eventsStatus(fault.KindOf(err))
	return failedTarget{id, typ, messageOf(err)}
}

// putTargets keeps the targets first and makes their triggers then: what is kept of one without a trigger is told to nobody.
func (b *EventBridge) putTargets(c *eventsCall) (any, error) {
	var req struct {
		Rule         string
		EventBusName string
		Targets      []targetRequest
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	r, err := b.rule(c, ruleNamed{req.Rule, req.EventBusName})
	if err != nil {
		return nil, err
	}
	on, err := b.bus(r.Bus)
	if err != nil {
		return nil, err
	}
	if len(req.Targets) == 0 {
		return nil, badValue("Targets: none is named")
	}
	var failed []failedTarget
	var put []ruleTarget
	for i := range req.Targets {
		t, err := b.read(&req.Targets[i], on.topic)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(put, func(have ruleTarget) bool { return have.ID == t.ID }) {
			return nil, badValue("Targets: %s is named twice", t.ID)
		}
		if _, err := b.l.function(c.ctx(), t.Function, ""); err != nil {
			failed = append(failed, failTarget(t.ID, err))
			continue
		}
		put = append(put, t)
	}
	had := map[string]ruleTarget{}
	if err := b.editRule(c, r, func(now *rule) error {
		now.Targets = slices.DeleteFunc(slices.Clone(now.Targets), func(t ruleTarget) bool {
			_, err := b.l.function(c.ctx(), t.Function, "")
			return err != nil
		})
		for _, t := range put {
			if i := slices.IndexFunc(now.Targets, func(have ruleTarget) bool { return have.ID == t.ID }); i >= 0 {
				had[t.ID], now.Targets[i] = now.Targets[i], t
				continue
			}
			now.Targets = append(now.Targets, t)
		}
		if len(now.Targets) > maxTargets { // those whose triggers went away with a deploy, or never came, are forgotten; others may be about to make theirs
			there := b.targets(now)
			now.Targets = slices.DeleteFunc(now.Targets, func(t ruleTarget) bool { return !aims(put, t) && !aims(there, t) })
		}
		if len(now.Targets) > maxTargets {
			return fault.New(fault.Exhausted, "The requested resource exceeds the maximum number allowed: %d targets of a rule.", maxTargets)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	moved := map[string]error{}
	for id, old := range had {
		if aims(r.Targets, old) {
			continue
		}
		if err := b.removeTrigger(c, r, &old); err != nil {
			moved[id] = err
		}
	}
	ids := []string{}
	for _, t := range put {
		ids = append(ids, t.ID)
	}
	wrong, err := b.settle(c, r, ids)
	if err != nil {
		return nil, err
	}
	for _, t := range put {
		if err := cmp.Or(moved[t.ID], wrong[t.ID]); err != nil {
			failed = append(failed, failTarget(t.ID, err))
		}
	}
	return answerTargets(failed), nil
}

// removeTargets takes the triggers away first, and then what is kept of their targets.
func (b *EventBridge) removeTargets(c *eventsCall) (any, error) {
	var req struct {
		Rule         string
		EventBusName string
		IDs          []string `json:"Ids"`
		Force        bool     // of rules that AWS's services manage, of which there are none
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	r, err := b.rule(c, ruleNamed{req.Rule, req.EventBusName})
	if err != nil {
		return nil, err
	}
	var failed []failedTarget
	gone := map[string]ruleTarget{}
	for _, id := range req.IDs {
		i := slices.IndexFunc(r.Targets, func(t ruleTarget) bool { return t.ID == id })
		if i < 0 {
			continue // AWS says nothing of it
		}
		if err := b.removeTrigger(c, r, &r.Targets[i]); err != nil {
			failed = append(failed, failTarget(id, err))
			continue
		}
		gone[id] = r.Targets[i]
	}
	if err := b.editRule(c, r, func(now *rule) error {
		now.Targets = slices.DeleteFunc(slices.Clone(now.Targets), func(t ruleTarget) bool {
			old, is := gone[t.ID]
			return is && old.Function == t.Function
		})
		return nil
	}); err != nil {
		return nil, err
	}
	// A deploy, or a change of the rule, that had read of the target before may have brought its trigger again.
	for _, id := range slices.Sorted(maps.Keys(gone)) {
		if t := gone[id]; !aims(r.Targets, t) {
			if err := b.removeTrigger(c, r, &t); err != nil {
				failed = append(failed, failTarget(id, err))
			}
		}
	}
	return answerTargets(failed), nil
}

func (b *EventBridge) listTargets(c *eventsCall) (any, error) {
	var req struct {
		Rule         string
		EventBusName string
		NextToken    string
		Limit        int
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	r, err := b.rule(c, ruleNamed{req.Rule, req.EventBusName})
	if err != nil {
		return nil, err
	}
	all := []targetAnswer{}
	for _, t := range b.targets(r) {
		one := targetAnswer{ID: t.ID, Arn: t.Arn, RetryPolicy: t.Retry}
		if t.Failed != "" {
			one.DeadLetterConfig = &eventsDeadLetter{t.Failed}
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(x, y targetAnswer) int { return strings.Compare(x.ID, y.ID) })
	list, next, err := part(listed{NextToken: req.NextToken, Limit: req.Limit}, all, func(t targetAnswer) string { return t.ID })
	if err != nil {
		return nil, err
	}
	return struct {
		Targets   []targetAnswer
		NextToken string `json:",omitempty"`
	}{list, next}, nil
}
