package declare

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Verbs of steps.
const (
	Create = "create"
	Change = "change"
	Remove = "remove"
)

// Step is one thing to do to an installation.
type Step struct {
	Verb    string   `json:"verb" enum:"create,change,remove"`
	What    string   `json:"what"`              // such as "topic orders"
	Details []string `json:"details,omitempty"` // what of it changes

	act    action
	deploy *Function // nil = the step is act
}

// Plan is what makes an installation what it is declared to be, in the order in which it is done.
type Plan struct {
	Steps []Step   `json:"steps"`
	Notes []string `json:"notes,omitempty"` // what is there, is not declared, and stays

	warned []wire.Deployed
}

// Removed is what the plan removes.
func (p *Plan) Removed() []string {
	var gone []string
	for _, s := range p.Steps {
		if s.Verb == Remove {
			gone = append(gone, s.What)
		}
	}
	return gone
}

// Compare says what makes have what want is. With prune, what is not declared is removed, but for what holds data: topics and secrets. An error of
// kind Invalid says what cannot be done at all.
func Compare(have, want *State, prune bool) (*Plan, error) {
	c := &comparison{have: have, want: want.placed(have), prune: prune}
	for _, part := range []func(){c.secrets, c.topics, c.config, c.functions, c.paused, c.hooks} {
		part()
	}
	if c.problems != nil {
		return nil, fault.New(fault.Invalid, "%s", strings.Join(c.problems, "\n")).WithHint("nothing was changed")
	}
	c.plan.Steps = append(c.plan.Steps, c.removals...)
	return &c.plan, nil
}

type comparison struct {
	have, want *State
	prune      bool
	plan       Plan
	removals   []Step // done last: what is there no longer may have been needed until then
	problems   []string
}

func (c *comparison) bad(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *comparison) add(verb, what string, details []string, act action) {
	c.plan.Steps = append(c.plan.Steps, Step{Verb: verb, What: what, Details: details, act: act})
}

func (c *comparison) deploy(verb string, f *Function, details []string) {
	c.plan.Steps = append(c.plan.Steps, Step{Verb: verb, What: "function " + f.key(), Details: details, deploy: f})
}

// extra is about what is there and not declared.
func (c *comparison) extra(what string, act action) {
	if c.prune && act != nil {
		c.removals = append(c.removals, Step{Verb: Remove, What: what, act: act})
		return
	}
	c.plan.Notes = append(c.plan.Notes, what+" is there and not declared")
}

func (c *comparison) secrets() {
	missing := map[string][]string{} // with the functions and hooks that take it
	for _, name := range c.want.Secrets {
		missing[name] = nil
	}
	for i := range c.want.Functions {
		for _, name := range c.want.Functions[i].Spec.SecretNames() {
			missing[name] = append(missing[name], c.want.Functions[i].key())
		}
	}
	for i := range c.want.Hooks {
		for _, name := range c.want.Hooks[i].Secrets() {
			missing[name] = append(missing[name], "hook "+c.want.Hooks[i].Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		takers := ""
		if functions := missing[name]; functions != nil {
			takers = ", and is taken by " + strings.Join(functions, ", ")
		}
		if !slices.Contains(c.have.Secrets, name) {
			c.bad("secret %s is not there%s: set it first, dalamb secret set %s", name, takers, name)
		}
	}
	for _, name := range c.have.Secrets {
		if !slices.Contains(c.want.Secrets, name) {
			c.extra("secret "+name, nil)
		}
	}
}

func (c *comparison) topics() {
	for _, t := range c.want.Topics {
		i := slices.IndexFunc(c.have.Topics, func(o function.DeclaredTopic) bool { return o.Name == t.Name })
		if i < 0 {
			c.add(Create, "topic "+t.Name, nil, createTopic{t})
			continue
		}
		if details := c.topicChanges(c.have.Topics[i], t); len(details) > 0 {
			c.add(Change, "topic "+t.Name, details, alterTopic{t})
		}
	}
	for _, t := range c.have.Topics {
		if !slices.ContainsFunc(c.want.Topics, func(o function.DeclaredTopic) bool { return o.Name == t.Name }) {
			c.extra("topic "+t.Name, nil)
		}
	}
}

func (c *comparison) topicChanges(have, want function.DeclaredTopic) (details []string) {
	differ := func(field string, was, is any) {
		details = append(details, fmt.Sprintf("%s: %v -> %v", field, was, is))
	}
	if want.Partitions > 0 && want.Partitions < have.Partitions {
		c.bad("topic %s has %d partitions, and %d are declared: there can only be more", want.Name, have.Partitions, want.Partitions)
	}
	if want.Compact != have.Compact {
		c.bad("topic %s: compact is %v, and %v is declared: it cannot be changed", want.Name, have.Compact, want.Compact)
	}
	if want.Partitions > have.Partitions {
		differ("partitions", have.Partitions, want.Partitions)
	}
	if want.Retention != "" && want.Retention != have.Retention {
		differ("retention", have.Retention, want.Retention)
	}
	if want.MaxBytes != "" && want.MaxBytes != have.MaxBytes {
		differ("maxBytes", have.MaxBytes, want.MaxBytes)
	}
	a, b := have.Rules(), want.Rules()
	if a.Seal && !b.Seal {
		c.bad("topic %s is sealed, and is declared without: a sealed topic stays so; declare seal: true", want.Name)
	} else if a.Seal != b.Seal {
		differ("seal", a.Seal, b.Seal)
	}
	if !slices.Equal(a.Writers, b.Writers) {
		differ("writers", orAny(a.Writers), orAny(b.Writers))
	}
	if a.Dedupe != b.Dedupe {
		differ("dedupe", a.Dedupe, b.Dedupe)
	}
	if a.MaxEvent != b.MaxEvent {
		differ("maxEvent", a.MaxEvent, b.MaxEvent)
	}
	if a.Events != b.Events {
		differ("eventsPerSecond", a.Events, b.Events)
	}
	if a.Bytes != b.Bytes {
		differ("bytesPerSecond", a.Bytes, b.Bytes)
	}
	return details
}

func orAny(writers []string) string {
	if len(writers) == 0 {
		return "any"
	}
	return strings.Join(writers, ", ")
}

func (c *comparison) config() {
	for _, name := range union(c.have.Config, c.want.Config) {
		was, there := c.have.Config[name]
		is, declared := c.want.Config[name]
		switch {
		case !declared:
			c.extra("configuration value "+name, removeConfig(name))
		case !there:
			c.add(Create, "configuration value "+name, nil, setConfig{name, is})
		case was != is:
			c.add(Change, "configuration value "+name, []string{fmt.Sprintf("%q -> %q", was, is)}, setConfig{name, is})
		}
	}
}

func (c *comparison) functions() {
	for i := range c.want.Functions {
		f := &c.want.Functions[i]
		c.takes(f)
		n := slices.IndexFunc(c.have.Functions, func(o Function) bool { return o.key() == f.key() })
		if n < 0 {
			c.deploy(Create, f, nil)
			continue
		}
		have := &c.have.Functions[n]
		switch details := functionChanges(have, f); {
		case len(details) > 0:
			c.deploy(Change, f, details)
		case !reflect.DeepEqual(have.Spec.Rollout.Meant(), f.Spec.Rollout.Meant()):
			c.plan.Notes = append(c.plan.Notes, "function "+f.key()+": rollout: is another, which counts from the next version on")
		}
	}
	for i := range c.have.Functions {
		f := &c.have.Functions[i]
		if slices.ContainsFunc(c.want.Functions, func(o Function) bool { return o.key() == f.key() }) {
			continue
		}
		switch stays := slices.ContainsFunc(c.want.Functions, func(o Function) bool { return o.Spec.Name == f.Spec.Name }); {
		case !stays && f.Alias == function.LiveAlias:
			c.extra("function "+f.key(), removeFunction(f.Spec.Name))
		case stays && f.Alias != function.LiveAlias:
			c.extra("function "+f.key(), removeAlias{f.Spec.Name, f.Alias})
		case !stays && c.prune: // it goes with its function
		default:
			c.extra("function "+f.key(), nil)
		}
	}
}

// takes refuses a function that needs a configuration value which is neither there nor declared.
func (c *comparison) takes(f *Function) {
	for _, name := range f.Spec.ConfigNames() {
		_, there := c.have.Config[name]
		_, declared := c.want.Config[name]
		if !declared && (!there || c.prune) {
			c.bad("function %s takes configuration value %s, which is not declared", f.key(), name)
		}
	}
}

func functionChanges(have, want *Function) []string {
	spec := want.Spec
	if want.Build != nil && want.builtAs(have.Built) {
		spec.Image = have.Spec.Image // which the build has made, where it makes one
	}
	if spec.ImageRef() != "" { // what the image says stands in the version, and need not in the manifest
		if len(spec.Entry.Command) == 0 {
			spec.Entry.Command = have.Spec.Entry.Command
		}
		if spec.Entry.Port == 0 {
			spec.Entry.Port = have.Spec.Entry.Port
		}
	}
	var details []string
	switch {
	case want.Build == nil && have.Code != want.Code:
		details = append(details, "code: other files")
	case want.Build != nil && !want.builtAs(have.Built):
		details = append(details, "code: to be built")
	}
	if have.Spec.Digest("", "") != spec.Digest("", "") { // the way to a version is no part of it
		details = append(details, changes(&have.Spec, &spec)...)
	}
	return details
}

func (c *comparison) paused() {
	for _, p := range c.want.Paused {
		if slices.Contains(c.have.Paused, p) {
			continue
		}
		if !c.willHave(p) {
			c.bad("%s: paused: %s is no trigger of a function that is declared, or there", InstallationFile, p)
			continue
		}
		c.add(Change, "trigger "+p, []string{"paused"}, pause{p, true})
	}
	for _, p := range c.have.Paused {
		switch {
		case slices.Contains(c.want.Paused, p) || !c.willHave(p):
		case c.prune:
			c.add(Change, "trigger "+p, []string{"goes on"}, pause{p, false})
		default:
			c.plan.Notes = append(c.plan.Notes, "trigger "+p+" is paused, which is not declared")
		}
	}
}

// willHave says whether there will be a trigger when all is done.
func (c *comparison) willHave(path string) bool {
	fn, trigger, _ := strings.Cut(path, "/")
	list := c.want.Functions
	if !slices.ContainsFunc(list, func(f Function) bool { return f.key() == fn }) && !c.prune {
		list = c.have.Functions
	}
	for i := range list {
		if list[i].key() != fn {
			continue
		}
		return trigger == function.InvokeTrigger || slices.ContainsFunc(list[i].Spec.Triggers, func(t function.Trigger) bool { return t.Name == trigger && t.Route == nil })
	}
	return false
}
