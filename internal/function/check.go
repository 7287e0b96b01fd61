package function

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/match"
)

// Values of Scale.Reuse.
const (
	ReuseIdle  = "idle"
	ReuseNever = "never"

	// IsolationStrict lets a function run only where a node gives all of the fence.
	IsolationStrict = "strict"
)

func networks() []string   { return []string{NetworkNone, NetworkEgress, NetworkHost} }
func isolations() []string { return []string{"available", IsolationStrict} }

// Runners are those that a function may ask for. All of them fence: what does not is for a whole node to say.
func Runners() []string {
	return []string{"native", "oci:crun", "oci:runc", "oci:runsc", "oci:kata-runtime"}
}

func reuses() []string           { return []string{ReuseIdle, ReuseNever} }
func orders() []Order            { return []Order{OrderKey, OrderPartition, OrderNone} }
func entryTypes() []EntryType    { return []EntryType{EntryLambda, EntryHTTP, EntryStdio} }
func seconds(s float64) Duration { return Duration(s * float64(time.Second)) }

// Validate checks a Spec whose defaults are filled in, by the rules that hold for a manifest; its name may be full. The error is a
// *ManifestError that names the fields.
func (s *Spec) Validate() error {
	env, plain := s.Unplace()
	if env != "" {
		if err := CheckEnvironment(env); err != nil {
			return err
		}
	}
	if problems := plain.check(); problems != nil {
		return &ManifestError{Problems: problems}
	}
	return nil
}

// checker gathers problems of one Spec.
type checker struct{ problems []Problem }

func (c *checker) add(field, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{Field: field, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// place is a field that is being checked.
type place struct {
	*checker
	field string
}

func (c *checker) at(field string) place { return place{c, field} }

func (s *Spec) check() []Problem {
	c := new(checker)
	c.name("name", s.Name, "function")
	c.image(s)
	c.follow(s)
	oneOf(c, "network", s.Network, networks())
	c.allow(s)
	c.calls(s)
	if s.Isolation != "" {
		oneOf(c, "isolation", s.Isolation, isolations())
	}
	if s.Isolation == IsolationStrict && s.Network == NetworkHost {
		c.add("isolation", "network: none or egress, or isolation: available", "strict and network: host exclude each other")
	}
	if s.Runner != "" {
		oneOf(c, "runner", s.Runner, Runners())
	}
	c.entry(&s.Entry, s.ImageRef() != "")
	between(c.at("resources.memory"), s.Resources.Memory, 4<<20, 1<<40)
	between(c.at("resources.cpu"), s.Resources.CPU, 0.01, 1024)
	between(c.at("resources.pids"), s.Resources.PIDs, 1, 1<<20)
	if s.Resources.Files != 0 { // no limit, as in versions from before there was one
		between(c.at("resources.files"), s.Resources.Files, 16, 1<<20)
	}
	between(c.at("resources.tmp"), s.Resources.Tmp, 0, 1<<40)
	between(c.at("timeout"), s.Timeout, Duration(time.Millisecond), Duration(24*time.Hour))
	c.scale(s)
	c.health(s)
	c.env(s)
	c.values(s)
	c.async(s.Name, s.Async)
	c.keep(s.Keep)
	c.aws(s.AWS)
	c.triggers(s)
	c.rollout(s.Name, s.Rollout)
	return c.problems
}

// maxTriggers bounds one function: each trigger costs a lane, and its routes are compared with each other.
const maxTriggers = 256

var (
	validName  = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	validTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	validEnv   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// nameRule says what validName allows.
const nameRule = "a lower-case letter, then letters, digits and inner hyphens, at most 63 characters"

func (c *checker) name(field, name, of string) {
	switch {
	case name == "":
		c.add(field, nameRule, "a %s needs a name", of)
	case !isName(name):
		c.add(field, nameRule, "%q is no name for a %s", clip(name), of)
	}
}

func isName(s string) bool { return len(s) <= 63 && validName.MatchString(s) }

// CheckName says whether a manifest may call a function so.
func CheckName(name string) error {
	if isName(name) {
		return nil
	}
	return fault.New(fault.Invalid, "%q is no name for a function", clip(name)).WithHint("%s", nameRule)
}

func oneOf[T ~string](c *checker, field string, v T, allowed []T) {
	if slices.Contains(allowed, v) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	hint := "allowed: " + strings.Join(words, ", ")
	if v == "" {
		c.add(field, hint, "is required")
		return
	}
	if near := fault.Nearest(string(v), words); len(near) > 0 {
		hint += "; did you mean " + near[0] + "?"
	}
	c.add(field, hint, "%q is not known", clip(string(v)))
}

// between also refuses NaN, which is in no range.
func between[T int | float64 | Bytes | Duration](at place, v, least, most T) {
	if !(v >= least && v <= most) {
		at.add(at.field, fmt.Sprintf("from %v to %v", least, most), "%v is out of range", v)
	}
}

// entry checks how a function is started. What an image says need not be said again.
func (c *checker) entry(e *Entry, image bool) {
	oneOf(c, "entry.type", e.Type, entryTypes())
	if len(e.Command) == 0 && !image || len(e.Command) > 0 && e.Command[0] == "" {
		c.add("entry.command", "a list, such as [python3, main.py]", "names no program")
	}
	for i, arg := range e.Command {
		if strings.Contains(arg, "\x00") {
			c.add(fmt.Sprintf("entry.command[%d]", i), "", "holds a zero byte")
		}
	}
	c.entryForm(e)
	if e.Type == EntryHTTP {
		if e.Port != 0 || !image {
			between(c.at("entry.port"), e.Port, 1, 65535)
		}
		between(c.at("entry.concurrency"), e.Concurrency, 1, 10000)
		return
	}
	if e.Port != 0 {
		c.add("entry.port", "remove it, or set entry.type to http", "only an http entry has a port")
	}
	if e.Concurrency < 0 || e.Concurrency > 1 {
		c.add("entry.concurrency", "remove it, or set entry.type to http", "only an http entry takes more than one invocation at a time")
	}
}

// envReserved are the variables that dalamb sets itself, whatever a function says.
func envReserved(name string, entry EntryType) bool {
	switch name {
	case "DALAMB_FUNCTION", "DALAMB_VERSION", "DALAMB_REQUEST_ID", "DALAMB_RUN", "DALAMB_ATTEMPT", "DALAMB_DEADLINE_MS":
		return true
	case "PORT":
		return entry == EntryHTTP
	case "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
		"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_INITIALIZATION_TYPE", "LAMBDA_TASK_ROOT":
		return entry == EntryLambda
	}
	return false
}

// maxVariable bounds one variable: a program cannot be started with one of 128 KiB, and an entry adds none beyond this.
const maxVariable = 64 << 10

func (c *checker) env(s *Spec) {
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		field := "env." + name
		switch {
		case !validEnv.MatchString(name):
			c.add(field, "letters, digits and underscores, no digit first", "%q is no name for a variable", clip(name))
		case envReserved(name, s.Entry.Type):
			c.add(field, "remove it", "dalamb sets this variable itself")
		case strings.Contains(s.Env[name], "\x00"):
			c.add(field, "", "holds a zero byte")
		case len(s.Env[name]) > maxVariable:
			c.add(field, "put it in a file beside the code", "has %d bytes; a variable has at most %d", len(s.Env[name]), maxVariable)
		}
	}
}

func (c *checker) triggers(s *Spec) {
	if len(s.Triggers) > maxTriggers {
		c.add("triggers", fmt.Sprintf("at most %d", maxTriggers), "%d triggers are too many for one function", len(s.Triggers))
		return
	}
	seen := map[string]int{}
	mux := http.NewServeMux()
	var routes []*Trigger
	for i := range s.Triggers {
		t, at := &s.Triggers[i], fmt.Sprintf("triggers[%d]", i)
		c.name(at+".name", t.Name, "trigger")
		if first, twice := seen[t.Name]; twice && t.Name != "" {
			c.add(at+".name", fmt.Sprintf("first is triggers[%d]", first), "trigger %q is declared twice", t.Name)
		}
		seen[t.Name] = i
		if t.Name == InvokeTrigger {
			c.add(at+".name", "choose another", "trigger %q is every function's own, for its asynchronous calls", t.Name)
		}
		if t.Emit != nil {
			c.emitTopic(at+".emit.topic", t.Emit.Topic)
		}
		c.scheduled(at, t)
		if t.Schedule != "" {
			continue
		}
		if t.Route == nil {
			c.topicTrigger(at, s.Name, t)
			continue
		}
		before := len(c.problems)
		c.routeTrigger(at, t)
		c.await(at+".route.await", t)
		c.record(at+".route.record", s, t.Route)
		c.upstream(at+".route", t)
		c.shape(at+".route", s, t.Route)
		c.fallback(at+".route.fallback", s.Name, t.Route.Fallback)
		c.cache(at+".route.cache", t)
		c.scatter(at+".route.scatter", t)
		if len(c.problems) > before {
			continue
		}
		if register(mux, t.Route.Pattern()) != "" {
			i := slices.IndexFunc(routes, func(other *Trigger) bool { return t.Route.Conflicts(other.Route) })
			if i >= 0 { // else they share the path, and not the requests
				c.add(at+".route", "make one of both more specific", "meets the same requests as the route of trigger %q, %s", routes[i].Name, routes[i].Route.Text())
				continue
			}
		}
		routes = append(routes, t)
	}
}

func isTopic(s string) bool { return s != "." && s != ".." && validTopic.MatchString(s) }

const topicHint = "letters, digits, dot, hyphen and underscore, at most 249"

func (c *checker) emitTopic(field, topic string) {
	if !isTopic(topic) {
		c.add(field, topicHint, "%q is no name for a topic", clip(topic))
	} else if topic[0] == '_' {
		c.add(field, "choose a name without the underscore", "topics that begin with an underscore are written by dalamb alone")
	}
}

func (c *checker) topicTrigger(at, function string, t *Trigger) {
	field := at + ".topic"
	switch {
	case !isTopic(t.Topic):
		c.add(field, topicHint, "%q is no name for a topic", clip(t.Topic))
	case t.Topic == "_dalamb.logs":
		c.add(field, "", "a function cannot listen to logs: its own would make it run for ever")
	case t.Topic[0] == '_' && !slices.Contains(systemTopics(), t.Topic):
		c.add(field, "allowed: "+strings.Join(systemTopics(), ", "), "triggers cannot listen to the system topic %q", clip(t.Topic))
	}
	c.start(at+".start", t.Start)
	oneOf(c, at+".order", t.Order, orders())
	c.retry(at+".retry", &t.Retry)
	c.retryOn(at+".retryOn", t.RetryOn)
	c.batch(at, t)
	c.rules(at, function, &t.Rules)
	if t.Filter == nil {
		return
	}
	if _, err := match.Parse(t.Filter); err != nil {
		c.filter(at+".filter", err)
	}
}

// systemTopics are those of dalamb's own topics that a trigger may listen to. What they tell of the trigger's own function is not
// offered to it: it would feed itself.
func systemTopics() []string {
	return []string{TopicAlerts, TopicBuilds, "_dalamb.control", "_dalamb.dead", "_dalamb.requests", "_dalamb.runs"}
}

func (c *checker) filter(field string, err error) {
	if p, ok := errors.AsType[*match.PatternError](err); ok {
		if p.Path != "" {
			field += "." + p.Path
		}
		if p.Operator != "" {
			c.add(field, "", "operator %q: %s", p.Operator, p.Reason)
			return
		}
		c.add(field, "", "%s", p.Reason)
		return
	}
	c.add(field, "", "%v", err)
}

func (c *checker) retry(at string, r *Retry) {
	between(c.at(at+".attempts"), r.Attempts, 1, 1000)
	between(c.at(at+".initial"), r.Initial, Duration(time.Millisecond), seconds(24*3600))
	between(c.at(at+".max"), r.Max, Duration(time.Millisecond), seconds(7*24*3600))
	between(c.at(at+".factor"), r.Factor, 1, 100)
	between(c.at(at+".maxAge"), r.MaxAge, Duration(time.Millisecond), seconds(365*24*3600))
	if r.Max < r.Initial {
		c.add(at+".max", "initial is "+r.Initial.String(), "%v is less than the first wait", r.Max)
	}
	for i, v := range r.Never {
		if v == "" {
			c.add(fmt.Sprintf("%s.never[%d]", at, i), "", "an errorType may not be empty")
		}
	}
}

func (c *checker) routeTrigger(at string, t *Trigger) {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"topic", t.Topic != ""}, {"filter", t.Filter != nil}, {"start", t.Start != ""}, {"order", t.Order != ""},
		{"retryOn", t.RetryOn != ""}, {"batch", t.Batch != nil}, {"payload", t.Payload != ""}, {"rule", t.Rule != ""},
		{"retry", t.Retry.Attempts != 0 || t.Retry.Factor != 0 || t.Retry.Never != nil || t.Retry.Initial|t.Retry.Max|t.Retry.MaxAge != 0},
	} {
		if f.given {
			c.add(at+"."+f.name, "remove it, or make a second trigger", "belongs to a trigger on a topic, not to a route")
		}
	}
	for _, name := range t.Rules.given() {
		c.add(at+"."+name, "remove it, or make a second trigger", "belongs to a trigger on a topic, not to a route")
	}
	c.route(at+".route", t.Route)
}
