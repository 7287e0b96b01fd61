package api

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/wire"
)

// tenancy is how a route answers somebody who is there for one environment. What its path and its parameters name is looked at first, for every route: what is not
// of the environment is not there. A route without a line in tenancies answers him nothing.
type tenancy struct {
	// narrow takes out of an answer what is not of the environment; an answer that is about something of another one is NotFound. nil = there is nothing of others
	// in it, or what serves it asks.
	narrow func(env string, answer any) (any, error)
	// before looks at what else a request names; nil = nothing.
	before func(a *API, r *http.Request, env string) error
}

// tenancies are those of all routes that somebody who is there for one environment is answered by, by their names.
func tenancies() map[string]tenancy {
	plain := tenancy{}
	return map[string]tenancy{
		"getOpenAPI": plain, "getSelf": plain, "getBuildKey": plain, "hasCode": plain, "putCode": plain, "getRoutesOpenAPI": plain,
		"getNode": {narrow: answered(func(_ string, n wire.Node) wire.Node {
			n.Data, n.Functions, n.Topics, n.Instances, n.Partitions = "", 0, 0, 0, nil
			return n
		})},
		"getCode": {before: (*API).codeOf},

		// The path names the function, the secret or the configuration value.
		"getFunction": plain, "listVersions": plain, "diffVersions": plain, "listAliases": plain, "getRollout": plain, "listKeys": plain, "getFunctionHealth": plain,
		"getProvenance": plain, "getVersionBuild": plain, "getVersionLog": plain,
		"removeFunction": plain, "shiftAlias": plain, "removeAlias": plain, "rollback": plain, "startFunction": plain, "scaleFunction": plain, "purgeCache": plain,
		"pauseRollout": plain, "resumeRollout": plain, "abortRollout": plain, "promoteRollout": plain,
		"pauseTrigger": plain, "resumeTrigger": plain, "seekTrigger": plain, "pauseKey": plain, "resumeKey": plain,
		"setSecret": plain, "removeSecret": plain, "setConfig": plain, "removeConfig": plain, "invoke": plain, "invokeStream": plain,

		// The body names the function; what serves it asks for the right over that.
		"build": plain, "deploy": plain, "release": plain, "startReplay": plain,

		"listFunctions": {narrow: answered(func(env string, l wire.FunctionList) wire.FunctionList {
			l.Functions = ofTenant(env, l.Functions, func(f *wire.FunctionSummary) string { return f.Name })
			return l
		})},
		"listInstances": {narrow: answered(func(env string, l wire.InstanceList) wire.InstanceList {
			l.Instances = ofTenant(env, l.Instances, func(i *wire.Instance) string { return i.Function })
			l.Replaced = ofTenant(env, l.Replaced, func(r *wire.Replacement) string { return r.Function })
			l.Troubles = ofTenant(env, l.Troubles, func(t *wire.Trouble) string { return t.Function })
			return l
		})},
		"getHealth": {narrow: answered(func(env string, h wire.NodeHealth) wire.NodeHealth {
			h.Functions, h.Shipping = ofTenant(env, h.Functions, func(f *wire.Health) string { return f.Function }), nil
			if h.LagTrouble != "" {
				h.LagTrouble = "the log does not answer for some partitions" // the whole names others' topics
			}
			return h
		})},
		"listTriggers": {narrow: answered(func(env string, l wire.TriggerList) wire.TriggerList {
			l.Triggers = ofTenant(env, l.Triggers, func(t *wire.FunctionTrigger) string { return t.Function })
			return l
		})},
		"listRollouts": {narrow: answered(func(env string, l wire.RolloutList) wire.RolloutList {
			l.Rollouts = ofTenant(env, l.Rollouts, func(o *wire.Rollout) string { return o.Function })
			return l
		})},
		"listSchedules": {narrow: answered(func(env string, l wire.ScheduleList) wire.ScheduleList {
			l.Schedules = ofTenant(env, l.Schedules, func(s *wire.Schedule) string { return s.Function })
			return l
		})},
		"listUpstreams": {narrow: answered(func(env string, l wire.UpstreamList) wire.UpstreamList {
			l.Upstreams = ofTenant(env, l.Upstreams, func(u *wire.Upstream) string { return u.Function })
			return l
		})},
		"listSecrets": {narrow: answered(func(env string, l wire.SecretList) wire.SecretList {
			l.Secrets = ofTenant(env, l.Secrets, func(s *wire.Secret) string { return s.Name })
			return l
		})},
		"listConfig": {narrow: answered(func(env string, l wire.ConfigList) wire.ConfigList {
			l.Config = ofTenant(env, l.Config, func(c *wire.ConfigValue) string { return c.Name })
			return l
		})},
		"listEnvironments": {narrow: answered(func(env string, l wire.EnvironmentList) wire.EnvironmentList {
			l.Environments = slices.DeleteFunc(l.Environments, func(e wire.Environment) bool { return e.Name != env })
			return l
		})},
		"listQuotas": {narrow: answered(func(env string, l wire.QuotaList) wire.QuotaList {
			l.Quotas = slices.DeleteFunc(l.Quotas, func(q wire.Quota) bool { return q.Environment != env })
			return l
		})},

		// Topics and events: its own, and those of others that a function of it hears.
		"listTopics": {narrow: answered(func(env string, l wire.TopicList) wire.TopicList {
			l.Topics = ofTenant(env, l.Topics, func(t *wire.Topic) string { return t.Name })
			return l
		})},
		"getTopic": {narrow: answered(func(env string, t wire.Topic) wire.Topic {
			if !function.Within(env, t.Name) { // who else writes there is others' matter
				t.Rules, t.Warnings = function.TopicRules{}, nil
			}
			return t
		})},
		"streamEvents": plain, "newestEvents": plain, "getEvent": plain, "createTopic": plain, "alterTopic": plain, "deleteTopic": plain,
		"listDelayed": {narrow: answered(func(env string, l wire.DelayedList) wire.DelayedList {
			l.Delayed = ofTenant(env, l.Delayed, func(d *wire.Delayed) string { return d.Topic })
			l.Total = len(l.Delayed)
			return l
		})},

		// The parameter env is the tenant's, see admit: a sum cannot be narrowed.
		"getUsage": plain,

		// Runs. The parameter env of their lists is the tenant's, see admit.
		"listRuns": plain, "listDeadLetters": plain, "streamLogs": plain,
		"countRuns": {narrow: answered(func(env string, c wire.RunCounts) wire.RunCounts {
			c.Triggers, c.Others = ofTenant(env, c.Triggers, func(t *wire.TriggerRuns) string { return t.Function }), nil
			return c
		})},
		"getRun":        {narrow: checked(func(d wire.RunDetail) string { return d.Run.Function })},
		"getDeadLetter": {narrow: checked(func(d *function.DeadLetter) string { return d.Run.Function })},
		"redrive":       plain, "getRedrive": plain, "editDeadLetter": plain, "discard": plain,
		"listReplays": {narrow: answered(func(env string, l wire.ReplayList) wire.ReplayList {
			l.Replays = ofTenant(env, l.Replays, func(r *wire.Replay) string { return r.Function })
			return l
		})},
		"getReplay": {before: (*API).replayOf}, "getReplayedRuns": {before: (*API).replayOf}, "cancelReplay": {before: (*API).replayOf},
		"listBuilds": {narrow: answered(func(env string, l wire.BuildList) wire.BuildList {
			l.Builds = slices.DeleteFunc(l.Builds, func(b wire.Build) bool { return !builtFor(env, b.Functions) })
			return l
		})},
		"getBuild": {before: (*API).buildFor}, "getBuildLog": {before: (*API).buildFor},
	}
}

// answered is a narrowing of an answer of one type.
func answered[T any](narrow func(env string, answer T) T) func(string, any) (any, error) {
	return func(env string, answer any) (any, error) {
		typed, is := answer.(T)
		if !is {
			return nil, fault.New(fault.Internal, "an answer is %T, and what narrows it knows another", answer)
		}
		return narrow(env, typed), nil
	}
}

// checked lets an answer pass that is about a function of the environment.
func checked[T any](whose func(T) string) func(string, any) (any, error) {
	return func(env string, answer any) (any, error) {
		typed, is := answer.(T)
		if !is || !function.Within(env, whose(typed)) {
			return nil, unseen()
		}
		return answer, nil
	}
}

func ofTenant[T any](env string, list []T, name func(*T) string) []T {
	own := []T{}
	for i := range list {
		if function.Within(env, name(&list[i])) {
			own = append(own, list[i])
		}
	}
	return own
}

// unseen is what somebody is told of what is not of his environment: that it is not there, by words that are the same where it is not.
func unseen() error {
	return fault.New(fault.NotFound, "there is no such thing in this environment")
}

// within refuses a request of somebody who is there for one environment, where its route has no answer for him, or its path names what is not of it. It is asked ahead of
// his rights, whose refusal is another where something is there.
func (a *API) within(r *http.Request, t *tenancy) error {
	who := access.From(r.Context())
	if who.Environment == "" {
		return nil
	}
	if t == nil {
		return who.Shared()
	}
	for _, name := range []string{"name", "function"} {
		if of := r.PathValue(name); of != "" {
			if fn, _ := function.ParseARN(of); !who.Sees(of) && !who.Sees(fn) {
				return unseen()
			}
		}
	}
	if topic := r.PathValue("topic"); topic != "" && !a.sees(who, topic) {
		return unseen()
	}
	return nil
}

// admit is within for the parameters of a request, and what else it names. The parameter by which a route is asked for one environment is his where it is
// not given.
func (a *API) admit(r *http.Request, rt *route, t *tenancy, q query) error {
	who := access.From(r.Context())
	env := who.Environment
	if env == "" {
		return nil
	}
	for _, p := range rt.Query {
		value := q.text(p.Name)
		switch p.Name {
		case "env", "environment":
			if value != "" && value != env {
				return unseen()
			}
			q.values.Set(p.Name, env)
		case "function":
			if value != "" && !who.Sees(value) {
				return unseen()
			}
		case "topic":
			if value == "" && (rt.Name == "streamEvents" || rt.Name == "newestEvents") {
				value = function.Full(env, function.TopicEvents)
				q.values.Set(p.Name, value)
			}
			if value != "" && !a.sees(who, value) {
				return unseen()
			}
		}
	}
	if t.before != nil {
		return t.before(a, r, env)
	}
	return nil
}

// sees says whether somebody may look at the events of a topic: those of his environment, and those that a function of it hears already, which somebody else has let it.
func (a *API) sees(who access.Actor, topic string) bool {
	return who.Sees(topic) || a.catalog.View().Hears(who.Environment, topic)
}

// mayHear refuses a function of somebody who is there for one environment that would listen to a topic outside of it, where none of the environment does yet: what it
// hears it can tell.
func (a *API) mayHear(who access.Actor, spec *function.Spec) error {
	if who.Environment == "" {
		return nil
	}
	for _, topic := range spec.Heard() {
		if !a.sees(who, topic) {
			return fault.New(fault.Denied, "the %s is for environment %s, and function %q would listen to %q, which is not of it", who, who.Environment, spec.Name, fault.Clip(topic)).
				WithHint("make a topic of its own (dalamb --env %s topic create NAME), or let somebody deploy it once whose token is for all environments", who.Environment)
		}
	}
	return nil
}

// codeOf lets code be read that a version of the environment has.
func (a *API) codeOf(r *http.Request, env string) error {
	view := a.catalog.View()
	for _, name := range view.FunctionsOf(env) {
		f, err := view.Function(name)
		if err != nil {
			return err
		}
		for _, v := range f.Versions {
			if v.Code == r.PathValue("digest") {
				return nil
			}
		}
	}
	return unseen()
}

// replayOf lets a replay be looked at whose function is of the environment.
func (a *API) replayOf(r *http.Request, env string) error {
	replay, err := a.catalog.View().Replay(r.PathValue("replay"))
	if err != nil || !function.Within(env, replay.Replay.Function) {
		return unseen()
	}
	return nil
}

// buildFor lets a build be looked at that made code for functions of the environment alone.
func (a *API) buildFor(r *http.Request, env string) error {
	id := r.PathValue("id")
	told, err := a.toldBuilds(r.Context(), func(b *function.BuildEvent) bool { return b.ID == id })
	if err != nil {
		return err
	}
	if len(told) == 0 || !builtFor(env, told[0].Functions) {
		return unseen()
	}
	return nil
}

func builtFor(env string, functions []string) bool {
	return len(functions) > 0 && !slices.ContainsFunc(functions, func(fn string) bool { return !function.Within(env, fn) })
}

// runID is wholeID for runs. Looking among many for one that begins so takes a place among the searches; an id that is whole needs none.
func (a *API) runID(ctx context.Context, begin string) (string, error) {
	return wholeID(ctx, begin, func(begin string) (id string, err error) {
		find := func(ctx context.Context) error {
			id, err = a.history.RunID(ctx, begin)
			return err
		}
		if history.BeginsRun(begin) {
			err = a.search(ctx, find)
		} else {
			err = find(ctx)
		}
		return id, err
	})
}

// wholeID is the id of a run that begins so. Who is there for one environment gives ids whole: whether others begin so is not told to him.
func wholeID(ctx context.Context, begin string, find func(begin string) (string, error)) (string, error) {
	if access.From(ctx).Environment != "" {
		return begin, nil
	}
	return find(begin)
}

// Discreet is an error without what is not for somebody who is there for one environment: names like the one that he has given, and what is in his way.
func (a *API) Discreet(ctx context.Context, err error) error {
	who := access.From(ctx)
	if err == nil || who.Environment == "" {
		return err
	}
	switch fault.KindOf(err) {
	case fault.NotFound:
		for _, word := range mentioned().FindAllString(err.Error(), -1) { // whole: x-acme.pay is not of acme
			if strings.HasPrefix(word, who.Environment+".") {
				return fault.New(fault.NotFound, "%s", err)
			}
		}
		return unseen() // as what is there, and not his
	case fault.Denied:
		return err // it says again what he has asked for, which was not looked for: it is the same where that is not there
	}
	text := err.Error() + " " + fault.HintOf(err)
	words := map[string]bool{}
	for _, w := range mentioned().FindAllString(text, -1) {
		words[strings.Trim(w, ".")] = true
	}
	conflict := fault.KindOf(err) == fault.Conflict
	tells := func(name string) bool {
		// Only what is there can be in the way. Other errors say again what they were asked with, too, which shall not differ by what there is.
		return conflict && words[name] || strings.Contains(text, strconv.Quote(name))
	}
	for _, name := range a.namesUnseen(who, conflict) {
		if tells(name) {
			return fault.New(fault.KindOf(err), "something outside of environment %s is in the way", who.Environment).WithHint("choose other names, hosts or topics; who runs the installation can tell what it is")
		}
	}
	return err
}

// mentioned finds what could be a name in a text, and names with a slash in parts.
func mentioned() *regexp.Regexp { return regexp.MustCompile(`[-._A-Za-z0-9]+`) }

// namesUnseen are those of functions that somebody does not see, and with all of whatever else has a name that is in nobody's way but there.
func (a *API) namesUnseen(who access.Actor, all bool) []string {
	view := a.catalog.View()
	var names []string
	for _, f := range view.Functions() {
		if who.Sees(f.Name) {
			continue
		}
		names = append(names, f.Name)
		if !all {
			continue
		}
		for _, r := range f.Replays {
			names = append(names, r.Replay.Name)
		}
	}
	if all {
		for _, topic := range view.Topics() {
			if !a.sees(who, topic) && topic != function.TopicEvents { // that production has it everybody knows
				names = append(names, topic)
			}
		}
		for _, name := range view.TokenNames() {
			if name != who.ID {
				names = append(names, name)
			}
		}
		for _, h := range view.Hooks() {
			names = append(names, h.Name)
		}
	}
	return names
}
