// Package gateway owns the listener that the outside speaks to: it takes events in, calls functions for those who wait for
// the answer, and keeps a record of each such call. It does not start functions (fleet does), follow the log (dispatch
// does) or change the platform's state (api does).
//
// What it serves:
//
//	POST /_/events            events, in any form that ingest.go describes; needs the token
//	ANY  /_/fn/NAME[/...]     one function, by name, or NAME:ALIAS; needs the token
//	POST /_/hooks/...         what other services tell of; each provider wants its own proof of who sends it
//	GET  /_/runs/ID[/answer]  what became of a request that is answered later; for who sent it
//	GET  /_/openapi.json      all routes as one OpenAPI document; needs the token
//	GET  /_/signin            browsers that come back from an issuer
//	POST /_/signout           ends the sessions of a browser
//	GET  /_/health            whether this node works, and how well; health.go has what is below it
//	ANY  everything else      the routes of functions; open
package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/forwarded"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/health"
	"github.com/dalamb/dalamb/internal/shadow"
	"github.com/dalamb/dalamb/internal/tracing"
)

// Log is what the gateway needs of the event log. Where the log is an eventlog.SpaceReporter too, bodies are left out of
// the record while room is short.
type Log interface {
	Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error)
	Topics(ctx context.Context) ([]eventlog.Topic, error)
	Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error)
	Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error)
	OffsetAt(ctx context.Context, p eventlog.Partition, t time.Time) (int64, error)
}

// Catalog gives the newest view; a view never changes.
type Catalog interface {
	View() *catalog.View
}

// Fleet runs functions. An error means that dalamb failed, never that the function did. ctx bounds the wait for an
// instance; what a function has begun runs to its end, whether the client is still there or not.
type Fleet interface {
	Invoke(ctx context.Context, c fleet.Call) (*function.Result, error)
}

// Shadow takes calls whose outcome is known, and copies some of them to a version that is to be judged. It never blocks.
type Shadow interface{ Offer(c shadow.Copy) }

// Secret opens a secret by its full name, and tells which revision it is: the offset in the control topic at which it was set.
type Secret func(name string) (text []byte, revision int64, err error)

// Quotas hold environments to what they may do. Its errors are *quota.Over.
type Quotas interface {
	Call(environment string) error
	Send(environment string, events int) error
	Emitted(environment string, events int)
}

// noQuotas is where there are none.
type noQuotas struct{}

func (noQuotas) Call(string) error      { return nil }
func (noQuotas) Send(string, int) error { return nil }
func (noQuotas) Emitted(string, int)    {}

// Limits bound what a caller can make the gateway hold, in bytes. Zero values mean the defaults.
type Limits struct {
	Event   int64 // one event: key, attributes and data; default 1 MiB
	Batch   int64 // the body of a batch, or of one event in structured mode; default 8 MiB
	Request int64 // the body of a request to a function that takes it whole; default 6 MiB
	Upload  int64 // the body of one that is passed on while it comes; default 1 GiB
	Held    int64 // the bodies of all requests under way; default 256 MiB
	Cache   int64 // the answers that are kept, of all routes; default 256 MiB
}

// Options of New. Log, Catalog, Fleet, Delay and Token are required.
type Options struct {
	Log     Log
	Catalog Catalog
	Fleet   Fleet
	Token   string
	Limits  Limits
	Delay   Delayer
	Shadow  Shadow   // nil = nothing is copied
	Secret  Secret   // nil = there are none
	Quotas  Quotas   // of environments; nil = there are none
	Redact  []string // names of headers whose values stay out of the record, beside those that always do
	Hooks   Hooks    // nil = there are none
	// Clients says of what a handshake has verified whether it is still believed; nil = the listener's TLS asks clients for no certificates.
	Clients func(chains [][]*x509.Certificate) bool
	Proxies forwarded.Trust
	Bodies  Bodies // nil = a request that is answered later fits into an event, or is refused
	Runs    Runs   // nil = what came of a request that is answered later is never known
	Awaits  Awaits // nil = no event answers a request
	Keys    Keys   // nil = routes with idempotency run no request that has a key
	// Upstreams are the servers of routes that no function answers; nil = there are none.
	Upstreams Upstreams
	// Health tells the state of each part by name; nil = it works. It must not block for long. What an error says is logged
	// and not shown, since anybody may ask.
	Health  func(ctx context.Context) map[string]error
	Grade   func() health.Report // how well the node does; nil = nobody knows
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Tracer  *tracing.Tracer // nil = nothing is traced
	Now     func() time.Time
	Rand    func() float64 // from 0 to 1, without 1; nil = any
	// Code gives the directory of the code with a digest, of which routes show files; nil = there is none.
	Code func(digest string) (dir string, err error)

	// BodyTimeout is how long a client may take to send a body, or to take an answer; default 60 s.
	BodyTimeout time.Duration
	// QueueTimeout is how long a call waits for an instance, its start included; default 30 s. A function that runs has its own time-out.
	QueueTimeout time.Duration
}

// Gateway is the handler of the gateway's listener. Safe for concurrent use.
type Gateway struct {
	log     Log
	catalog Catalog
	caller  *Caller
	delay   Delayer
	widths  *widths
	token   [sha256.Size]byte
	limits  Limits // what of them does not change
	live    atomic.Pointer[live]
	held    budget
	// strangers is the part of held that the bodies of hooks may take while they are read.
	strangers crowd
	quotas    quotas
	allowance Quotas
	health    func(ctx context.Context) map[string]error
	grade     func() health.Report
	hooks     Hooks
	secret    Secret
	code      func(digest string) (dir string, err error)
	clients   func(chains [][]*x509.Certificate) bool
	logger    *slog.Logger
	metrics   *metrics
	tracer    *tracing.Tracer
	now       func() time.Time
	rand      func() float64
	slow      time.Duration
	tunnels   tunnels
	news      *news
	bodies    Bodies
	runs      Runs
	awaits    Awaits
	keys      Keys
	before    *searches
	upstreams Upstreams
	waiters   *waiters
	// background are attempts, and questions who may call, that a request may leave behind.
	background sync.WaitGroup

	refetches refetches

	routes  atomic.Pointer[routes]
	routing sync.Mutex // held while routes are rebuilt
}

// New checks the options and starts nothing; Run must be running for calls to be recorded.
func New(o Options) (*Gateway, error) {
	switch {
	case o.Log == nil || o.Catalog == nil || o.Fleet == nil || o.Delay == nil:
		return nil, errors.New("gateway needs a log, a catalog, a fleet and a delay")
	case o.Token == "":
		return nil, fault.New(fault.Invalid, "the gateway needs a token: without one anybody could send events")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Health == nil {
		o.Health = func(context.Context) map[string]error { return nil }
	}
	if o.Grade == nil {
		o.Grade = func() health.Report { return health.Report{} }
	}
	if o.Hooks == nil {
		o.Hooks = noHooks{}
	}
	if o.Code == nil {
		o.Code = func(digest string) (string, error) {
			return "", fault.New(fault.NotFound, "there is no code %s", digest)
		}
	}
	if o.Keys == nil {
		o.Keys = noKeys{}
	}
	if o.Quotas == nil {
		o.Quotas = noQuotas{}
	}
	if o.Upstreams == nil {
		o.Upstreams = noUpstreams
	}
	if o.Bodies == nil {
		o.Bodies = noBodies{}
	}
	if o.Runs == nil {
		o.Runs = noRuns{}
	}
	if o.Awaits == nil {
		o.Awaits = noAwaits{}
	}
	if o.Secret == nil {
		o.Secret = func(name string) ([]byte, int64, error) {
			return nil, 0, fault.New(fault.NotFound, "there is no secret %q", name)
		}
	}
	if o.BodyTimeout == 0 {
		o.BodyTimeout = time.Minute
	}
	if o.QueueTimeout == 0 {
		o.QueueTimeout = 30 * time.Second
	}
	o.Limits = o.Limits.withDefaults()
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		log: o.Log, catalog: o.Catalog, delay: o.Delay, widths: &widths{log: o.Log, now: o.Now}, token: sha256.Sum256([]byte(o.Token)), limits: o.Limits, held: budget{most: o.Limits.Held}, strangers: crowd{most: o.Limits.Held / 4},
		health: o.Health, grade: o.Grade, hooks: o.Hooks, secret: o.Secret, clients: o.Clients, logger: o.Logger, metrics: m, now: o.Now, slow: o.BodyTimeout, news: newNews(o.Log, o.Logger),
		tracer:    o.Tracer,
		allowance: o.Quotas,
		code:      o.Code, rand: o.Rand, upstreams: o.Upstreams,
		awaits: o.Awaits,
		bodies: o.Bodies,
		runs:   o.Runs, waiters: newWaiters(),
		keys: o.Keys, before: newSearches(),
		caller: &Caller{
			log: o.Log, fleet: o.Fleet, shadow: o.Shadow, limits: o.Limits, queue: o.QueueTimeout, now: o.Now, metrics: m,
			tracer:   o.Tracer,
			quotas:   o.Quotas,
			rules:    func(topic string) function.TopicRules { return o.Catalog.View().Rules(topic) },
			recorder: newRecorder(o.Log, o.Logger, m),
		},
	}
	g.Change(Live{Batch: o.Limits.Batch, Upload: o.Limits.Upload, Redact: o.Redact, Proxies: o.Proxies})
	return g, nil
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int64
		value int64
	}{{&l.Event, 1 << 20}, {&l.Batch, 8 << 20}, {&l.Request, 6 << 20}, {&l.Upload, 1 << 30}, {&l.Held, 256 << 20}, {&l.Cache, 256 << 20}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// Caller is the way of a synchronous call; the control API's Invoke goes through it too.
func (g *Gateway) Caller() *Caller { return g.caller }

// Run writes the records of calls, and what becomes of breakers, to the log until ctx is done, then what is still waiting. The listener must have
// stopped before ctx ends, or the records of the last calls are lost.
func (g *Gateway) Run(ctx context.Context) error {
	// What requests have left behind ends with the fleet, and is recorded.
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	var rest sync.WaitGroup
	rest.Go(func() {
		<-ctx.Done()
		g.refetches.close()
		g.background.Wait()
		end()
	})
	rest.Go(func() { g.news.run(ended) })
	err := g.caller.recorder.run(ended)
	rest.Wait()
	return err
}

// Kinds of requests, for metrics.
const (
	kindEvents = "events"
	kindFn     = "fn"
	kindRoute  = "route"
	kindHook   = "hook"
	kindCall   = "call" // a function's
	kindRuns   = "runs"
	kindHealth = "health"

	kindOpenAPI = "openapi"

	kindNone = "none"
)

// reserved is where the gateway's own paths are; no route begins so.
const reserved = "/_/"

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, kind: kindNone, start: g.now(), slow: g.slow}
	x.expectBody(r)
	endHop(r) // first: a client may not name what the node adds
	g.locate(r)
	x.identify(r)
	x.span = g.traced(r)
	defer g.answered(x, r, r.Method) // also of an answer that is cut off
	g.serve(x, r)
}

func (g *Gateway) serve(x *exchange, r *http.Request) {
	path := r.URL.Path
	switch {
	case !strings.HasPrefix(path, "/"): // OPTIONS *, CONNECT
		g.fail(x, fault.New(fault.Invalid, "the request names no path").WithHint("send a path that begins with /"))
	case path == "/_/events":
		x.kind = kindEvents
		g.ingest(x, r)
	case path == healthPath || strings.HasPrefix(path, healthPath+"/"):
		x.kind = kindHealth
		g.serveHealth(x, r)
	case strings.HasPrefix(path, fnPrefix):
		x.kind = kindFn
		g.serveFunction(x, r)
	case strings.HasPrefix(path, runsPrefix):
		x.kind = kindRuns
		g.serveRun(x, r)
	case strings.HasPrefix(path, hooksPrefix):
		x.kind = kindHook
		g.serveHook(x, r)
	case path == openapiPath:
		x.kind = kindOpenAPI
		g.serveOpenAPI(x, r)
	case path == signinPath:
		g.serveSignin(x, r)
	case path == signoutPath:
		g.serveSignout(x, r)
	case strings.HasPrefix(path, reserved):
		g.fail(x, fault.New(fault.NotFound, "there is no path %q", path).WithHint("the gateway's own paths are /_/events, /_/fn/NAME, /_/hooks/PROVIDER/NAME, /_/runs/ID, /_/openapi.json and /_/health"))
	default:
		g.serveRoute(x, r)
	}
}

// exchange is one request's answer under way.
type exchange struct {
	http.ResponseWriter
	kind   string
	start  time.Time
	slow   time.Duration
	status int
	// mute keeps back what http.ServeMux itself would answer, so that it can be said in this gateway's own form.
	mute  bool
	span  *tracing.Span
	route *catalog.Trigger // that was asked for; nil = none
	asker *asker           // a function whose request it is; nil = somebody outside
	cors  bool             // the route has rules for pages of other origins
	// varies are names of header fields that have decided what answers, beside those that the answer itself names.
	varies []string
	cached string // what the cache says of an answer that does not go through it; "" = nothing

	// among is held while one of several attempts beside each other says something of the answer, in the header and here.
	among      sync.Mutex
	outcome    function.Outcome // of the call that was made last, once it is known; a stream has none before its end
	substitute bool             // the answer is a fallback's
	own        bool             // the answer is dalamb's
	begun      bool             // it is an attempt's
}

// expectBody gives the body of a request, if it has one, its time from now on.
func (x *exchange) expectBody(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	// The read deadline holds until the body has come whole. A refusal before that leaves it in place: net/http reads what is
	// left of a body before it sends the answer, and must not wait for a client that does not send it. The write deadline
	// is for "100 Continue"; the one of the connection's last answer may have passed.
	c, late := http.NewResponseController(x.ResponseWriter), time.Now().Add(x.slow)
	_ = c.SetReadDeadline(late) // what cannot have deadlines is not slow
	if r.ProtoMajor < 2 {       // a stream of HTTP/2 ends at its deadline although nobody writes
		_ = c.SetWriteDeadline(late)
	}
}

func (x *exchange) WriteHeader(status int) {
	x.status = status
	if x.mute {
		return
	}
	x.tellVariance()
	// Each answer has a time of its own, which begins now: the function may have taken long. Before it is sent, net/http may
	// wait for the rest of a body that was refused, until the read deadline: so the time is twice as long.
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(2 * x.slow)) // what cannot have deadlines is not slow
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.mute {
		return len(p), nil
	}
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	return x.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }
