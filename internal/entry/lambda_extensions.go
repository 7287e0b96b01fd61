package entry

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// maxExtensions is how many an instance may have, internal ones included. AWS Lambda quotas.
	maxExtensions = 10
	// shutdownTime is what extensions have after they were told of the end. AWS Lambda developer guide, "Shutdown phase".
	shutdownTime = 2 * time.Second
	// tellTime bounds how long an event may take to be written to an extension that asked for it.
	tellTime = time.Second
)

// extension is a program, or a part of the runtime's, that is told of invocations and of the end. AWS Lambda developer guide, "Using
// the Lambda Extensions API".
type extension struct {
	id, name         string
	external         bool
	invoke, shutdown bool      // events that it wants
	ready            bool      // it has asked for an event once
	asked            bool      // it has asked for an event after the last one: it has finished with that
	poller           *apiConn  // that waits for an event; nil = none
	queue            []message // events that nobody has asked for yet: at most an invocation and the end
	ended            bool
}

// extensions are those of one instance. Guarded by lambdaConn.mu.
type extensions struct {
	programs   []string      // names of the external ones
	registered chan struct{} // closed when all of programs have: the runtime may start; nil without programs
	exits      chan ended    // of programs
	closed     bool          // for registration: the instance was ready
	all        []*extension
	rest       chan struct{} // closed when all that were told of the invocation have finished with it; nil = nothing to wait for
	last       *lambdaCall   // that they were told of: what rest is about
	unreported *lambdaCall   // that had come to its end before they had finished with it: its report is Rest's
	stopping   chan struct{} // closed when all that were told of the end have finished; nil before that
}

// message is an event for an extension, on its way to a connection.
type message struct {
	to   *apiConn
	body []byte
}

// becomeReady lets the instance be used once the runtime and all extensions have asked for their first event. The caller holds mu.
func (c *lambdaConn) becomeReady() {
	if c.opened || c.phase == phaseInit {
		return
	}
	for _, e := range c.ext.all {
		if !e.ready && !e.ended {
			return
		}
	}
	c.open()
}

// open ends the wait for the instance, for better or worse. The caller holds mu.
func (c *lambdaConn) open() {
	if !c.opened {
		c.opened, c.ext.closed = true, true
		close(c.ready)
	}
}

// register adds an extension.
func (c *lambdaConn) register(name string, events []string) (*extension, *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &extension{id: event.NewID(), name: name, external: slices.Contains(c.ext.programs, name)}
	for _, v := range events {
		switch {
		case v == "INVOKE":
			e.invoke = true
		case v == "SHUTDOWN" && e.external:
			e.shutdown = true
		case v == "SHUTDOWN":
			return nil, forbidden("ShutdownEventNotSupportedForInternalExtension", "%s: event type not supported for internal extensions", v)
		default:
			return nil, forbidden("Extension.InvalidEventType", "%s: event type not supported", v)
		}
	}
	for _, other := range c.ext.all {
		if other.name == name {
			return nil, forbidden("Extension.AlreadyRegistered", "Extension with this name already registered")
		}
	}
	switch {
	case c.ext.closed:
		return nil, forbidden("Extension.RegistrationClosed", "Extension registration closed already")
	case len(c.ext.all) >= maxExtensions:
		return nil, forbidden("Extension.TooManyExtensions", "Extension limit (%d) reached", maxExtensions)
	}
	c.ext.all = append(c.ext.all, e)
	if e.external && c.ext.missing() == "" {
		close(c.ext.registered)
	}
	return e, nil
}

// missing names the programs that have not registered. The caller holds lambdaConn.mu.
func (x *extensions) missing() string {
	var names []string
	for _, p := range x.programs {
		if !slices.ContainsFunc(x.all, func(e *extension) bool { return e.external && e.name == p }) {
			names = append(names, p)
		}
	}
	return strings.Join(names, ", ")
}

// waits says what an instance that is not ready still waits for; "" = for the runtime.
func (c *lambdaConn) waits() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if names := c.ext.missing(); names != "" {
		return ": of its extensions, these have not registered: " + names
	}
	if c.phase == phaseInit {
		return ""
	}
	for _, e := range c.ext.all {
		if !e.ready && !e.ended {
			return ": its extension " + e.name + " has not asked for an event"
		}
	}
	return ""
}

func (c *lambdaConn) extension(id string) *extension {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.ext.all {
		if e.id == id {
			return e
		}
	}
	return nil
}

// nextEvent registers the connection that waits for an extension's event, as next does for the runtime's.
func (c *lambdaConn) nextEvent(e *extension, p *apiConn) *apiError {
	c.mu.Lock()
	if e.ended {
		c.mu.Unlock()
		return forbidden("Extension.InvalidExtensionState", "State transition from Exited to Ready failed for extension %s. Error: State transition is not allowed", e.name)
	}
	older := e.poller
	e.poller = nil
	first := !e.ready
	e.ready = true
	var out []message
	if len(e.queue) > 0 {
		m := e.queue[0]
		e.queue = e.queue[1:]
		m.to = p
		out = append(out, m)
	} else {
		e.poller = p
		e.asked = true
		c.settleRest()
	}
	if first {
		c.becomeReady()
	}
	c.mu.Unlock()
	if first {
		c.tele.platform("extension", extensionRecord{Name: e.name, State: "Ready", Events: e.events()})
	}
	if older != nil && older != p {
		older.close()
	}
	handOut(out)
	return nil
}

func (e *extension) events() []string {
	events := []string{}
	if e.invoke {
		events = append(events, "INVOKE")
	}
	if e.shutdown {
		events = append(events, "SHUTDOWN")
	}
	return events
}

// settleRest ends the wait for those who have finished. The caller holds mu.
func (c *lambdaConn) settleRest() {
	busy := func(wants func(*extension) bool) bool {
		return slices.ContainsFunc(c.ext.all, func(e *extension) bool { return wants(e) && !e.asked && !e.ended })
	}
	if c.ext.rest != nil && !busy(func(e *extension) bool { return e.invoke }) {
		close(c.ext.rest)
		c.ext.rest = nil
	}
	if c.ext.stopping != nil && !busy(func(e *extension) bool { return e.shutdown }) {
		close(c.ext.stopping)
		c.ext.stopping = nil
	}
}

// announce tells the extensions that want to know of an invocation, once. The caller holds mu, and sends what is returned afterwards.
func (c *lambdaConn) announce(call *lambdaCall) []message {
	if len(c.ext.all) == 0 || c.ext.last == call { // a runtime that goes before it has the call, again and again, must not fill queues
		return nil
	}
	c.ext.last = call
	return c.give(func(e *extension) bool { return e.invoke }, func() []byte {
		c.ext.rest = make(chan struct{})
		return eventMessage(invokeEvent{
			Type: "INVOKE", Deadline: call.deadline.UnixMilli(), RequestID: call.id, ARN: c.arn(), Tracing: tracing(call.inv.TraceParent),
		})
	})
}

// give hands an event to those who ask for one, and leaves it for the others. The caller holds mu.
func (c *lambdaConn) give(to func(*extension) bool, make func() []byte) []message {
	var out []message
	var body []byte
	for _, e := range c.ext.all {
		if e.ended || !to(e) {
			continue
		}
		if body == nil {
			body = make()
		}
		m := message{to: e.poller, body: body}
		e.asked, e.poller = false, nil
		if m.to == nil {
			e.queue = append(e.queue, m)
			continue
		}
		out = append(out, m)
	}
	return out
}

// handOut sends events. An extension that does not read its own loses it: it is behind with what it asked for itself.
func handOut(messages []message) {
	for _, m := range messages {
		_ = m.to.write(m.body, time.Now().Add(tellTime)) // closes the connection where it cannot be written
	}
}

type tracingRecord struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func tracing(parent string) *tracingRecord {
	if id := xrayID(parent); id != "" {
		return &tracingRecord{Type: "X-Amzn-Trace-Id", Value: id}
	}
	return nil
}

type invokeEvent struct {
	Type      string         `json:"eventType"`
	Deadline  int64          `json:"deadlineMs"`
	RequestID string         `json:"requestId"`
	ARN       string         `json:"invokedFunctionArn"`
	Tracing   *tracingRecord `json:"tracing,omitempty"`
}

type shutdownEvent struct {
	Type     string `json:"eventType"`
	Reason   string `json:"shutdownReason"`
	Deadline int64  `json:"deadlineMs"`
}

// eventMessage renders an answer to an extension's "next".
func eventMessage(e any) []byte {
	body, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", e, err)) // texts and numbers always encode
	}
	return fmt.Appendf(nil, okLine+"Content-Type: application/json\r\nLambda-Extension-Event-Identifier: %s\r\nContent-Length: %d\r\n\r\n%s",
		event.NewID(), len(body), body)
}

// Rests says whether extensions are still busy with the last invocation, or have been until now.
func (c *lambdaConn) Rests() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ext.rest != nil || c.ext.unreported != nil
}

// Rest implements Rester. Extensions have as long as the function had; then the instance ends.
func (c *lambdaConn) Rest() {
	c.mu.Lock()
	rest, call, unreported := c.ext.rest, c.ext.last, c.ext.unreported
	c.ext.unreported = nil
	c.mu.Unlock()
	if rest != nil && !c.rested(rest, call.deadline) {
		return
	}
	if unreported != nil {
		c.tele.platform("report", c.report(unreported))
	}
}

// rested waits until the extensions have finished, and says whether they have. Those that need too long end the instance.
func (c *lambdaConn) rested(rest <-chan struct{}, deadline time.Time) bool {
	timer := time.NewTimer(deadline.Sub(c.entries.Now()))
	defer timer.Stop()
	select {
	case <-rest:
		return true
	case <-c.done:
	case <-timer.C:
		c.fail(&function.Failure{Type: "Extension.Timedout", Message: "an extension did not finish with the invocation in the function's time"})
	}
	return false
}

// fail ends an instance because of an extension.
func (c *lambdaConn) fail(f *function.Failure) {
	c.mu.Lock()
	if !c.opened {
		c.initErr = f
		c.open()
		c.mu.Unlock()
		return // who starts it ends it
	}
	if c.fatal == nil {
		c.fatal = f
	}
	c.mu.Unlock()
	c.box.Stop(0)
}

// farewell tells extensions of the end and waits until they have finished with it, for shutdownTime at most.
func (c *lambdaConn) farewell() {
	c.tele.flush()
	reason := "spindown"
	c.mu.Lock()
	switch c.lastOutcome {
	case function.TimedOut:
		reason = "timeout"
	case function.Crashed, function.OOM:
		reason = "failure"
	}
	until := c.entries.Now().Add(shutdownTime)
	out := c.give(func(e *extension) bool { return e.shutdown }, func() []byte {
		c.ext.stopping = make(chan struct{})
		return eventMessage(shutdownEvent{Type: "SHUTDOWN", Reason: reason, Deadline: until.UnixMilli()})
	})
	stopping := c.ext.stopping
	c.mu.Unlock()
	if stopping == nil {
		return
	}
	handOut(out)
	timer := time.NewTimer(shutdownTime)
	defer timer.Stop()
	select {
	case <-stopping:
	case <-timer.C:
	case <-c.box.Done():
	}
}
