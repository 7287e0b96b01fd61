package function

import "encoding/json"

// The tables of dalamb.yaml: every field that there is. The decoder and the JSON Schema are both made from them.

func functionValue() value[Declared] {
	type D = Declared
	return object([]string{"name", "entry"},
		field("name", "The function's name: [a-z]([-a-z0-9]*[a-z0-9])?, at most 63 characters.", text[string](), func(d *D) *string { return &d.Spec.Name }),
		field("code", "Directory of the code, relative to this file and not absolute; .dalambignore in it leaves files out. Default: \".\".", text[string](), func(d *D) *string { return &d.CodePath }),
		buildMember(),
		field("image", "A container image, which the function is instead of code: REGISTRY/NAME:TAG, NAME@sha256:..., or ./FILE.tar or ./DIRECTORY beside this file; see docs/images.md.", text[string](), func(d *D) *string { return &d.Spec.Image }),
		field("base", "File system below the code: host, scratch, or an image, written as for image. Default: host.", text[string](), func(d *D) *string { return &d.Spec.Base }),
		field("follow", "true: when the image's tag is pushed again, the function gets a new version of it by itself; see docs/images.md. Default: false, a tag is looked at by a deploy alone.", truth(), func(d *D) *bool { return &d.Spec.Follow }),
		field("entry", "How the function is started and spoken to.", entryValue(), func(d *D) *Entry { return &d.Spec.Entry }),
		field("resources", "Bounds of one instance.", resourcesValue(), func(d *D) *Resources { return &d.Spec.Resources }),
		field("timeout", "Bound of one invocation. Default: 30s.", duration(), func(d *D) *Duration { return &d.Spec.Timeout }),
		field("scale", "Instances of one version on one node.", scaleValue(), func(d *D) *Scale { return &d.Spec.Scale }),
		field("health", "http only: how an instance is asked whether it is well. One that is not is replaced.", pointer(healthValue(), defaultHealth), func(d *D) **Health { return &d.Spec.Health }),
		field("env", "Environment variables.", mapOf(word()), func(d *D) *map[string]string { return &d.Spec.Env }),
		secretsMember(), configMember(),
		field("network", "What the function may reach besides itself. none: nothing. egress: the destinations in allow, by a way out of its own. host: the machine's own network. Default: none.", text(networks()...), func(d *D) *string { return &d.Spec.Network }),
		field("allow", "network: egress only: where the function may connect to; nothing else. Default: the internet, on all ports. See docs/functions.md.", list(allowedValue(), none[Allowed]), func(d *D) *[]Allowed { return &d.Spec.Allow }),
		callsMember(),
		field("isolation", "strict: the function runs only where a node gives all of the fence; see docs/security.md. Default: available, what the machine gives.", text(isolations()...), func(d *D) *string { return &d.Spec.Isolation }),
		field("runner", "What makes its sandboxes; a deploy is refused where the node cannot have it. Default: the node's own, dalamb up --runner.", text(Runners()...), func(d *D) *string { return &d.Spec.Runner }),
		field("deliver", "What becomes of a push to a branch; see docs/git.md. Default: main and master are delivered to live, others are kept.", pointer(deliverValue(), none[Deliver]), func(d *D) **Deliver { return &d.Deliver }),
		field("async", "What becomes of the function's asynchronous calls.", pointer(asyncValue(), none[Async]), func(d *D) **Async { return &d.Spec.Async }),
		field("keep", "Versions that are kept, at most 1000; a deploy lets older ones go that nothing needs, see docs/releases.md. Default: 10.", whole(), func(d *D) *int { return &d.Spec.Keep }),
		field("rollout", "How the traffic moves to a new version, and what that has to hold; see docs/rollouts.md. Default: all of it, with the deploy, unwatched.", pointer(rolloutValue(), defaultRollout), func(d *D) **Rollout { return &d.Spec.Rollout }),
		field("triggers", "What makes the function run.", list(triggerValue(), defaultTrigger), func(d *D) *[]Trigger { return &d.Spec.Triggers }),
		awsMember(),
	)
}

func duration() value[Duration] {
	return unit[Duration]("a duration", "200ms", "30s", "5m", "6h", "30d")
}

func size() value[Bytes] { return unit[Bytes]("a size", "64Ki", "128Mi", "1Gi") }

func none[T any]() (zero T) { return zero }

func entryValue() value[Entry] {
	return object([]string{"type"}, append([]member[Entry]{
		field("type", "lambda: AWS Lambda Runtime API. http: listens on a port. stdio: reads stdin and writes stdout.", text(entryTypes()...), func(e *Entry) *EntryType { return &e.Type }),
		field("command", "Program and arguments. A program with a slash that is not absolute is a file of the code, which must be executable. Default with an image: its entrypoint and cmd.", list(word(), none[string]), func(e *Entry) *[]string { return &e.Command }),
		field("port", "http only: where the function listens. Default: the lowest TCP port that its image exposes, else 8080.", whole(), func(e *Entry) *int { return &e.Port }),
		field("concurrency", "http only: requests at a time per instance. Default: 16.", whole(), func(e *Entry) *int { return &e.Concurrency }),
	}, entryMembers()...)...)
}

func resourcesValue() value[Resources] {
	return object(nil,
		field("memory", "Default: 128Mi.", size(), func(r *Resources) *Bytes { return &r.Memory }),
		field("cpu", "Cores. Default: 1.", number(), func(r *Resources) *float64 { return &r.CPU }),
		field("pids", "Processes and threads. Default: 64.", whole(), func(r *Resources) *int { return &r.PIDs }),
		field("files", "Files that one process may have open. Default: 1024.", whole(), func(r *Resources) *int { return &r.Files }),
		field("tmp", "Size of /tmp. Default: 64Mi.", size(), func(r *Resources) *Bytes { return &r.Tmp }),
	)
}

func scaleValue() value[Scale] {
	return object(nil,
		field("min", "Instances that are kept. Default: 0.", whole(), func(s *Scale) *int { return &s.Min }),
		field("max", "Instances at most. Default: 10.", whole(), func(s *Scale) *int { return &s.Max }),
		field("target", "http only: invocations at a time per instance from which on another instance is started; at most entry.concurrency, which an instance takes in any case while there is no other. Default: entry.concurrency.", whole(), func(s *Scale) *int { return &s.Target }),
		field("reserved", "Of the instances that a node may have (limits.instances), so many are kept for this function; others cannot have them. Default: 0.", whole(), func(s *Scale) *int { return &s.Reserved }),
		field("schedule", "Windows of time in which more instances are kept than min.", list(windowValue(), none[Window]), func(s *Scale) *[]Window { return &s.Schedule }),
		field("idle", "An instance without work for so long is stopped. Default: 5m.", duration(), func(s *Scale) *Duration { return &s.Idle }),
		field("freeze", "An instance without work for so long is frozen: it keeps its memory, gets no CPU, and is thawed for its next call. 0: never. Default: 2s.", duration(), func(s *Scale) *Duration { return &s.Freeze }),
		field("reuse", "never: each invocation has an instance of its own. Default: idle; stdio, other than by lines, is always never.", text(reuses()...), func(s *Scale) *string { return &s.Reuse }),
	)
}

func triggerValue() value[Trigger] {
	return object(nil, append([]member[Trigger]{
		field("name", "Progress is kept under this name. Default: t<position> or route<position>, counted from 0; where there are several triggers on topics each of them needs a name.", text[string](), func(t *Trigger) *string { return &t.Name }),
		field("topic", "Default: events.", text[string](), func(t *Trigger) *string { return &t.Topic }),
		field("filter", "An EventBridge event pattern over the event's JSON; see docs/patterns.md. Default: every event.", pattern(), func(t *Trigger) *json.RawMessage { return &t.Filter }),
		field("start", "Where the trigger begins when it is new: latest, earliest, a time (2026-12-01T09:00:00Z, or 2026-12-01 in UTC), how long ago (24h), or group: where its consumer group dalamb.FUNCTION.TRIGGER stands, as dalamb copy positions stores it. It catches up from there and goes on. Default: latest.", text[Start](), func(t *Trigger) *Start { return &t.Start }),
		field("order", "How far events may overtake each other. Default: key.", text(orders()...), func(t *Trigger) *Order { return &t.Order }),
		field("retry", "How often and how long a run is tried.", retryValue(), func(t *Trigger) *Retry { return &t.Retry }),
		field("retryOn", "Which version runs an event again, by a retry or a redrive: the same that the run began with, or the newest. Default: newest. See docs/releases.md.", text(retryOns()...), func(t *Trigger) *RetryOn { return &t.RetryOn }),
		field("batch", "Give the function several events at a time, as an array. Default: one event at a time.", pointer(batchValue(), defaultBatch), func(t *Trigger) **Batch { return &t.Batch }),
		field("payload", "The form in which the function gets events, for handlers written for AWS Lambda. Default: structured CloudEvents; http without a batch: binary mode.", text(payloads()...), func(t *Trigger) *Payload { return &t.Payload }),
		field("rule", "The ARN of the rule of AWS's EventBridge API that the trigger belongs to, see docs/aws.md: such a trigger stays when a manifest without it is deployed. Default: none.", text[string](), func(t *Trigger) *string { return &t.Rule }),
		field("emit", "Where returned events go. Default: the topic of the event that caused them; of a route: nowhere.", pointer(emitValue(), none[Emit]), func(t *Trigger) **Emit { return &t.Emit }),
		field("schedule", "Run at planned times, instead of a topic's events: \"*/5 * * * *\", @hourly, \"@every 30s\" or \"at 2030-01-31T09:00:00Z\"; see docs/schedules.md.", text[string](), func(t *Trigger) *string { return &t.Schedule }),
		field("timezone", "schedule only: an IANA name such as Europe/Berlin. Default: UTC.", text[string](), func(t *Trigger) *string { return &t.Timezone }),
		field("jitter", "schedule only: each tick is late by another part of this, at most 1h. Default: 0.", duration(), func(t *Trigger) *Duration { return &t.Jitter }),
		field("catchUp", "schedule only: what becomes of ticks that were missed because no node was up: left out, the newest comes late, or all come late (at most 10000). Default: last.", text(catchUps()...), func(t *Trigger) *CatchUp { return &t.CatchUp }),
		field("route", "Answer HTTP requests on the gateway, instead of a topic's events.", pointer(routeValue(), none[Route]), func(t *Trigger) **Route { return &t.Route }),
	}, ruleMembers()...)...)
}

func retryValue() value[Retry] {
	return object(nil,
		field("attempts", "The first one included. Default: 4.", whole(), func(r *Retry) *int { return &r.Attempts }),
		field("initial", "Longest wait before the second attempt. Default: 200ms.", duration(), func(r *Retry) *Duration { return &r.Initial }),
		field("max", "Longest wait of all. Default: 30s.", duration(), func(r *Retry) *Duration { return &r.Max }),
		field("factor", "Growth of the wait. Default: 2.", number(), func(r *Retry) *float64 { return &r.Factor }),
		field("maxAge", "Since the event was appended, or since the trigger was made or sought where that is later. Default: 6h.", duration(), func(r *Retry) *Duration { return &r.MaxAge }),
		field("never", "errorType values that are not retried.", list(text[string](), none[string]), func(r *Retry) *[]string { return &r.Never }),
	)
}

func emitValue() value[Emit] {
	return object([]string{"topic"},
		field("topic", "The topic for events that the function returns.", text[string](), func(e *Emit) *string { return &e.Topic }),
	)
}

func routeValue() value[Route] {
	return object([]string{"path"}, append([]member[Route]{
		field("method", "Default: any.", text[string](), func(r *Route) *string { return &r.Method }),
		field("host", "Default: any.", text[string](), func(r *Route) *string { return &r.Host }),
		field("path", "With {param} and {rest...}, as in net/http.ServeMux.", text[string](), func(r *Route) *string { return &r.Path }),
		field("sticky", "The cookie or header by which a client stays on one version while the alias has several; see docs/releases.md. Default: each request may meet another.", pointer(stickyValue(), none[Sticky]), func(r *Route) **Sticky { return &r.Sticky }),
		field("cache", "Which answers are kept and given again, by RFC 9111; see docs/cache.md. Default: none.", pointer(cacheValue(), defaultCache), func(r *Route) **Cache { return &r.Cache }),
		field("cors", "Which web pages of other origins may call; see docs/rest.md. Default: the function says so itself, or none.", pointer(corsValue(), none[CORS]), func(r *Route) **CORS { return &r.CORS }),
		field("auth", "Who may call; see docs/rest.md. Default: everybody.", pointer(authValue(), none[Auth]), func(r *Route) **Auth { return &r.Auth }),
		field("limit", "How often one client may call; see docs/rest.md. Default: no limit.", pointer(rateLimitValue(), none[RateLimit]), func(r *Route) **RateLimit { return &r.Limit }),
		field("concurrency", "How many requests are under way at a time, and how many wait; see docs/rest.md. Default: no bound.", pointer(routeConcurrencyValue(), none[RouteConcurrency]), func(r *Route) **RouteConcurrency { return &r.Concurrency }),
		field("timeout", "How long a client waits at most; see docs/resilience.md. Default: the function's own timeout bounds it.", pointer(routeTimeoutValue(), none[RouteTimeout]), func(r *Route) **RouteTimeout { return &r.Timeout }),
		field("retry", "When a request is given to the function again before the client is answered, of methods that may be repeated and with an Idempotency-Key; see docs/resilience.md. Default: never.", pointer(routeRetryValue(), defaultRouteRetry), func(r *Route) **RouteRetry { return &r.Retry }),
		field("idempotency", "A request with an Idempotency-Key is run once, and its answer given again; see docs/idempotency.md. true, or the fields below. Default: false.", idempotencyValue(), func(r *Route) **Idempotency { return &r.Idempotency }),
		field("hedge", "Of requests that only ask (GET and the like) one that waits for long gets a second attempt beside the first; see docs/resilience.md. Default: never.", pointer(hedgeValue(), defaultHedge), func(r *Route) **Hedge { return &r.Hedge }),
		field("breaker", "When a function that fails gets no more requests for a while; see docs/resilience.md. Default: never.", pointer(breakerValue(), defaultBreaker), func(r *Route) **Breaker { return &r.Breaker }),
		priorityMember(),
		field("fallback", "What is answered in place of an error; see docs/resilience.md. Default: the error.", pointer(fallbackValue(), none[Fallback]), func(r *Route) **Fallback { return &r.Fallback }),
		field("async", "Answer 202 with the address of a run, which has the function's answer when it is there: each request (true), or those with Prefer: respond-async (preferred); see docs/async.md. Default: false.", laterValue(), func(r *Route) *Later { return &r.Async }),
		field("callback", "async only: who is told what came of a request, by a signed POST; see docs/async.md. Default: nobody.", pointer(callbackValue(), none[RouteCallback]), func(r *Route) **RouteCallback { return &r.Callback }),
		field("await", "The request is answered with the first event that follows from it and that a pattern wants; see docs/await.md. Default: the answer is the function's.", pointer(awaitValue(), defaultAwait), func(r *Route) **Await { return &r.Await }),
		field("record", "What stays in _dalamb.requests of each call: full, meta (without bodies) or none; see docs/routes.md. Default: full.", text(records()...), func(r *Route) *Record { return &r.Record }),
		field("durable", "The request is in the log before the answer. Default: false.", truth(), func(r *Route) *bool { return &r.Durable }),
	}, append(conditionMembers(), shapeMembers()...)...)...)
}
