package function

import (
	"regexp"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// An environment is a first name: what belongs to it is called ENV.NAME. A manifest never says so; Place makes the names when a function is
// deployed. Everything else takes a full name for a name like any other. What has no first name is production, the environment "".

// MaxEnvironments bounds the environments of an installation.
const MaxEnvironments = 100

// maxEnvironment keeps a full name a part of a consumer group's, a topic's and a host's.
const maxEnvironment = 30

// reservedEnvironments would be taken for production, or for hosts that production has without naming them.
func reservedEnvironments() []string {
	return []string{"api", "dalamb", "default", "live", "localhost", "none", "prod", "production", "www"}
}

// CheckEnvironment says what is wrong with a name for an environment.
func CheckEnvironment(env string) error {
	switch {
	case len(env) > maxEnvironment || !validName.MatchString(env):
		return fault.New(fault.Invalid, "%q is no name for an environment", fault.Clip(env)).
			WithHint("a lower-case letter, then letters, digits and inner hyphens, at most %d characters, such as staging", maxEnvironment)
	case slices.Contains(reservedEnvironments(), env):
		return fault.New(fault.Invalid, "%q cannot be the name of an environment", env).
			WithHint("production is what is in no environment: leave the name out, and on the command line --env and DALAMB_ENV, or say --env ''; others are called staging, test, ...")
	}
	return nil
}

// Full is the full name of something in an environment. A name that is full already stays.
func Full(env, name string) string {
	if env == "" || name == "" || Within(env, name) {
		return name
	}
	return env + "." + name
}

// Within says whether a full name is one of an environment other than production.
func Within(env, name string) bool { return strings.HasPrefix(name, env+".") }

// Environment is the environment of a function, a secret or a configuration value, by its full name; "" = production.
func Environment(full string) string {
	env, _, named := strings.Cut(full, ".")
	if !named {
		return ""
	}
	return env
}

// Plain is a full name without its environment.
func Plain(env, full string) string {
	if env == "" {
		return full
	}
	return strings.TrimPrefix(full, env+".")
}

// validFull is a name, with an environment or without.
var validFull = regexp.MustCompile(`^([a-z]([-a-z0-9]*[a-z0-9])?\.)?[a-z]([-a-z0-9]*[a-z0-9])?$`)

// ValidFull says whether a function, a secret or a configuration value may have a full name.
func ValidFull(full string) bool {
	env := Environment(full)
	if env != "" && CheckEnvironment(env) != nil {
		return false
	}
	return validFull.MatchString(full) && len(Plain(env, full)) <= 63
}

// EmitsTo is where an event goes that a function answers with and that would go to topic: what a function of an environment says stays in
// that environment. A system topic is left for the writer to refuse.
func EmitsTo(fn, topic string) string {
	env := Environment(fn)
	if env == "" || Within(env, topic) || SystemTopic(topic) {
		return topic
	}
	return Full(env, TopicEvents)
}

// anyHost is the host of a route of an environment that names none.
func anyHost(env string) string { return env + ".*" }

// AnyHost says whether a route takes every host that begins with the name of its function's environment.
func (r *Route) AnyHost(fn string) bool { return r.Host == "" || r.Host == anyHost(Environment(fn)) }

// Place is the Spec of a manifest as an environment has it. has says which topics there are; the environment's own TopicEvents is taken to
// be there. Unplace is the way back.
func (s *Spec) Place(env string, has func(topic string) bool) *Spec {
	if env == "" {
		return s
	}
	own := Full(env, TopicEvents)
	p := placing{
		name: func(name string) string { return Full(env, name) },
		heard: func(topic string) string {
			if full := Full(env, topic); !SystemTopic(topic) && (full == own || has(full)) {
				return full
			}
			return topic
		},
		host: func(host string) string {
			if host == "" {
				return anyHost(env)
			}
			return Full(env, host)
		},
		secret: func(t Secret) Secret { return Secret{Name: Full(env, t.Name), Env: t.Env, File: t.FileName()} },
	}
	return p.spec(s)
}

// Unplace is what the manifest said of a Spec that was placed.
func (s *Spec) Unplace() (env string, plain *Spec) {
	if env = Environment(s.Name); env == "" {
		return "", s
	}
	name := func(full string) string { return Plain(env, full) }
	p := placing{
		name: name, heard: name,
		host: func(host string) string {
			if host == anyHost(env) {
				return ""
			}
			return name(host)
		},
		secret: func(t Secret) Secret {
			t.Name = name(t.Name)
			if t.File == t.Name {
				t.File = ""
			}
			return t
		},
	}
	return env, p.spec(s)
}

// placing changes all names in a Spec that mean something outside of it.
type placing struct {
	name   func(string) string // of a function, a value, a topic that is written to; "" stays
	heard  func(topic string) string
	host   func(string) string
	secret func(Secret) Secret
}

// spec returns a copy that shares nothing that was changed.
func (p placing) spec(s *Spec) *Spec {
	c := *s
	c.Name = p.name(s.Name)
	c.Secrets = slices.Clone(s.Secrets)
	for i := range c.Secrets {
		c.Secrets[i] = p.secret(c.Secrets[i])
	}
	c.Config = slices.Clone(s.Config)
	for i := range c.Config {
		c.Config[i].Name = p.name(c.Config[i].Name)
	}
	c.Calls = slices.Clone(s.Calls)
	for i := range c.Calls {
		c.Calls[i] = p.name(c.Calls[i])
	}
	if s.Async != nil {
		async := *s.Async
		async.OnSuccess, async.OnFailure = p.destination(async.OnSuccess), p.destination(async.OnFailure)
		c.Async = &async
	}
	if s.Rollout != nil {
		r := *s.Rollout
		r.Gates.Check = p.name(r.Gates.Check)
		c.Rollout = &r
	}
	c.Triggers = slices.Clone(s.Triggers)
	for i := range c.Triggers {
		p.trigger(&c.Triggers[i])
	}
	return &c
}

func (p placing) trigger(t *Trigger) {
	if t.Topic != "" {
		t.Topic = p.heard(t.Topic)
	}
	t.OnSuccess, t.OnFailure = p.destination(t.OnSuccess), p.destination(t.OnFailure)
	if t.Emit != nil {
		t.Emit = &Emit{Topic: p.name(t.Emit.Topic)}
	}
	if t.Route != nil {
		r := *t.Route
		r.Host = p.host(r.Host)
		r.Auth = r.Auth.place(p.name)
		r.Await = r.Await.place(p.heard)
		r.Callback = r.Callback.place(p.name)
		r.Fallback = r.Fallback.place(p.name)
		r.Cache = r.Cache.place(p.heard)
		r.Upstream = r.Upstream.place(p.name)
		r.Scatter = r.Scatter.place(p.name)
		t.Route = &r
	}
}

func (p placing) destination(d *Destination) *Destination {
	if d == nil {
		return nil
	}
	return &Destination{Topic: p.name(d.Topic), Function: p.name(d.Function)}
}
