// Package api is the control API: it reads the folds, checks what it is asked, and appends. It does not run functions itself
// and keeps no state; every route is in one table (routes.go), from which its OpenAPI document is made.
package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/openapi"
	"github.com/dalamb/dalamb/internal/quota"
	"github.com/dalamb/dalamb/internal/secret"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of what is sent here, in bytes.
const (
	maxJSON         = 1 << 20
	defaultMaxEvent = 1 << 20 // one event in the log, so an asynchronous call's payload too
	maxPayload      = 6 << 20 // of a synchronous call; AWS Lambda's bound
)

// retryAfter is in how many seconds who is answered 503 should ask again. RFC 9110, section 10.2.3.
const retryAfter = "1"

// Call is a synchronous call of a function, as Caller takes it.
type Call struct {
	ID            string // of the invocation; a UUID
	Function      string
	Alias         string // "" = live, unless Version is set
	Version       int    // 0 = by Alias
	Key           string // that stays on one version; "" = each call may meet another
	Payload       []byte // JSON
	ClientContext string // base64; "" = none

	Tail      *function.Tail     // gets what the function prints; nil = nobody wants it
	Responder function.Responder // takes the answer while the function gives it; nil = it is collected
}

// Caller makes synchronous calls and records them in the log.
type Caller interface {
	// Call returns what the function did; an error means that dalamb failed.
	Call(ctx context.Context, c Call) (*function.Result, error)
}

// Redrive selects dead letters: those of IDs, or those that fit all other fields that are set.
type Redrive struct {
	IDs               []string
	Function, Trigger string
	Pattern           json.RawMessage
	Before, After     time.Time
	Error             string  // in the last error
	Version           int     // to run; 0 = by the live alias
	Rate              float64 // runs per second; 0 = no bound
}

// Dispatcher is what the API needs of dispatch.
type Dispatcher interface {
	// Redrive starts a job and returns its id; the job goes on by itself, also after a restart.
	Redrive(ctx context.Context, r Redrive) (job string, err error)
	// RedriveState says how far a job is, or NotFound.
	RedriveState(ctx context.Context, job string) (wire.RedriveState, error)
	// Edit runs a dead letter again with another event in the place of its own, and returns the id that the event got.
	Edit(ctx context.Context, id string, e *event.Event, version int) (string, error)
	// Discard takes dead letters away for good, all of them or none.
	Discard(ctx context.Context, ids []string, reason string) error
	// Lag is how many events each trigger of a function, "" = of all, has not finished, on all nodes. The error is why some are Partial.
	Lag(ctx context.Context, function string) (map[TriggerRef]Lag, error)
	// Positions says for each partition of a trigger's topic below which offset the trigger has nothing left to do.
	Positions(ctx context.Context, t *catalog.Trigger) (map[int32]int64, error)
	// ParkedEvents gives each event that waits long for its next attempt by a trigger, whether its topic has it still or not.
	ParkedEvents(ctx context.Context, t *catalog.Trigger, each func(*event.Event) error) error
}

// Replays is what the API needs of replay.
type Replays interface {
	// Report is what is known of a replay, which may be under way.
	Report(r *catalog.Replay) (function.ReplayReport, error)
	// Cancel ends a replay before it is over.
	Cancel(ctx context.Context, name string) error
}

// TriggerRef names a trigger of a function.
type TriggerRef struct{ Function, Trigger string }

// Lag is how many events a trigger has not finished.
type Lag struct {
	Events  int64
	Partial bool // at least so many: of some partitions it is not known
}

// Fleet is what the API needs of fleet.
type Fleet interface {
	// Instances lists the live instances of all functions.
	Instances() []wire.Instance
	// Counts is how many live instances each function has.
	Counts() map[string]int
	// Start blocks until an instance of a version is ready on this node, which is started where there is none. An error says why it does
	// not start.
	Start(ctx context.Context, v *function.Version) error
	// Replaced lists the last instances of each version that were ended because they misbehaved, the last one of each last.
	Replaced() []wire.Replacement
	// Troubles lists what keeps functions from having the instances that they ask for.
	Troubles() []wire.Trouble
}

// Code is what the API needs of the code store.
type Code interface {
	Has(digest string) bool
	Put(ctx context.Context, archive io.Reader) (digest string, err error)
	// Dir is where the files of code are, after it was brought here if need be; it is only read. NotFound when it is nowhere.
	Dir(digest string) (string, error)
	// Size is how many bytes the files of code have that is here; NotFound when it is not.
	Size(digest string) (int64, error)
	// Share puts code that is here where other nodes find it, and says where that is; nil when there are no others.
	Share(ctx context.Context, digest string) (*function.Stored, error)
}

// Options of New. All are required but where it says so.
type Options struct {
	Log        eventlog.Log
	Catalog    *catalog.Catalog
	History    *history.History
	Dispatcher Dispatcher
	Replays    Replays
	Rollouts   Rollouts // nil = what they are judged by is told when a step is over
	Fleet      Fleet
	Health     Health
	Alerts     Alerts
	Usage      Usage
	Quotas     Quotas
	Shipping   func() []wire.Shipping         // how the sinks of functions' log lines do; nil = there are none
	Machine    func() ([]wire.Finding, error) // what the machine gives the node; nil = nothing is known
	Services   Services
	Upstreams  func(fn string) []wire.Upstream // of a function, or of all where it is ""; nil = there are none
	Code       Code
	Images     Images   // nil = functions have none
	Follower   Follower // nil = pushes of images make no versions
	// Repositories are those that were pushed; nil = none can be.
	Repositories Repositories
	Builds       Builds // nil = none are made
	// Routes is the OpenAPI document of the gateway's routes: of an environment, or of one function, where that is named. nil = there are none.
	Routes func(environment, function string) []byte
	Signed bool  // refuse versions that this node has not built itself
	Hooks  Hooks // what hooks are told; nil = nothing
	// Aims says whether the rule that a trigger is of still has the function as that target; nil = there are no rules.
	Aims    func(view *catalog.View, fn string, t *function.Trigger) bool
	Caller  Caller
	Ticks   Ticks
	Delayed Delayed
	Copies  Copies
	Seals   Seals
	Secrets *secret.Box
	Audit   Audit // nil = none
	// Still keeps a copy of the node's log until release is called; nil = it cannot.
	Still func(context.Context) (made wire.Checkpoint, release func(), err error)
	Token string // the node's own
	// People is who a token is of that the node has not given out, by the words of an issuer; fault.Unauthenticated for one that it does not know
	// either. nil = there is no issuer.
	People func(ctx context.Context, token string) (access.Actor, error)
	Node   func(context.Context) wire.Node // counts and space are filled in by the API
	Others func() []wire.NodeStatus        // what other nodes of the log have said; nil = there are none
	// Runner says what the runner that a function asks for fences on this node, or why it cannot be had.
	Runner   func(ctx context.Context, name string) (wire.Runner, error)
	Logger   *slog.Logger     // nil = nowhere
	Now      func() time.Time // nil = time.Now
	MaxEvent int              // bytes of one event; 0 = 1 MiB
}

// API is the handler of the control listener. Safe for concurrent use.
type API struct {
	log          eventlog.Log
	catalog      *catalog.Catalog
	pasts        *catalog.Pasts
	searches     chan struct{} // a place for each that is under way
	exports      chan struct{} // the same
	history      *history.History
	dispatcher   Dispatcher
	replays      Replays
	rollouts     Rollouts
	fleet        Fleet
	health       Health
	alerts       Alerts
	usage        Usage
	quotas       Quotas
	shipping     func() []wire.Shipping
	machine      func() ([]wire.Finding, error)
	services     Services
	upstreams    func(fn string) []wire.Upstream
	code         Code
	images       Images
	follower     Follower
	repositories Repositories
	builds       Builds
	signed       bool
	hooks        Hooks
	aims         func(view *catalog.View, fn string, t *function.Trigger) bool
	caller       Caller
	ticks        Ticks
	delayed      Delayed
	copies       Copies
	seals        Seals
	secrets      *secret.Box
	audit        Audit // nil = none
	still        func(context.Context) (wire.Checkpoint, func(), error)
	token        [sha256.Size]byte
	people       func(ctx context.Context, token string) (access.Actor, error)
	node         func(context.Context) wire.Node
	others       func() []wire.NodeStatus
	runner       func(ctx context.Context, name string) (wire.Runner, error)
	logger       *slog.Logger
	now          func() time.Time
	maxEvent     int
	gates        func(environment, function string) []byte
	mux          *http.ServeMux
	known        http.Handler // mux, for who is known

	ending chan struct{} // closed when no stream shall follow any longer
	end    sync.Once
}

// New checks the options and builds the handler.
func New(o Options) (*API, error) {
	switch {
	case o.Log == nil, o.Catalog == nil, o.Seals == nil, o.History == nil, o.Dispatcher == nil, o.Replays == nil, o.Fleet == nil, o.Code == nil, o.Caller == nil, o.Ticks == nil, o.Delayed == nil, o.Copies == nil, o.Secrets == nil, o.Node == nil, o.Runner == nil, o.Health == nil, o.Alerts == nil, o.Usage == nil, o.Quotas == nil, o.Services == nil:
		return nil, errors.New("api needs a log, a catalog, a history, a dispatcher, replays, a fleet, a code store, a caller, a source of ticks, delayed events, copies, a box for secrets, a node, its runners, its health, its alerts, its usage, its quotas and its services")
	case o.Token == "":
		return nil, errors.New("api needs a token: without one anybody could change everything")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Others == nil {
		o.Others = func() []wire.NodeStatus { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Routes == nil {
		o.Routes = func(string, string) []byte { return openapi.Union("dalamb", nil) }
	}
	if o.MaxEvent == 0 {
		o.MaxEvent = defaultMaxEvent
	}
	a := &API{
		log: o.Log, catalog: o.Catalog, history: o.History, dispatcher: o.Dispatcher, replays: o.Replays, fleet: o.Fleet, health: o.Health, alerts: o.Alerts, usage: o.Usage, shipping: o.Shipping, services: o.Services, upstreams: o.Upstreams, code: o.Code, images: o.Images, follower: o.Follower, repositories: o.Repositories, builds: o.Builds, signed: o.Signed, caller: o.Caller, ticks: o.Ticks, delayed: o.Delayed, copies: o.Copies, seals: o.Seals, secrets: o.Secrets, still: o.Still, audit: o.Audit,
		hooks: o.Hooks,
		aims:  o.Aims,
		pasts: catalog.NewPasts(o.Log), searches: make(chan struct{}, maxSearches), exports: make(chan struct{}, maxExports),
		gates: o.Routes,
		token: sha256.Sum256([]byte(o.Token)), node: o.Node, others: o.Others, runner: o.Runner, logger: o.Logger, now: o.Now, maxEvent: o.MaxEvent,
		machine:  o.Machine,
		people:   o.People,
		quotas:   o.Quotas,
		ending:   make(chan struct{}),
		rollouts: o.Rollouts,
	}
	a.mux = a.newMux()
	a.known = a.Known(a.mux)
	return a, nil
}

// EndStreams ends the answers that only follow something, so that a server which shuts down need not wait for them. See
// http.Server.RegisterOnShutdown.
func (a *API) EndStreams() { a.end.Do(func() { close(a.ending) }) }

func (a *API) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	rights, tenants := needs(), tenancies()
	for _, r := range a.routes() {
		var of *tenancy
		if t, there := tenants[r.Name]; there {
			of = &t
		}
		mux.Handle(r.Method+" "+r.Path, a.handler(r, rights[r.Name], of))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { noRoute(mux, w, r) })
	return mux
}

// noRoute answers a request that no route takes: another method may be taken there, or nothing is there at all.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if allowed == nil {
		writeError(w, fault.New(fault.NotFound, "the control API has no %s", r.URL.Path).WithHint("GET /v1/openapi.json lists what it has"))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	err := fault.New(fault.Invalid, "%s is not possible on %s", r.Method, r.URL.Path).WithHint("possible: %s", strings.Join(allowed, ", "))
	writeJSON(w, http.StatusMethodNotAllowed, wire.ErrorOf(err))
}

// ServeHTTP answers a request that shows a token whose role may what the request does.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.known.ServeHTTP(w, r) }

// handler answers one route: permit, parse, admit, serve, narrow, write.
func (a *API) handler(rt route, n need, of *tenancy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := cmp.Or(a.within(r, of), n.permit(r)); err != nil {
			a.fail(w, r, err)
			return
		}
		q, err := parseQuery(rt, r.URL.RawQuery)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if err := a.admit(r, &rt, of, q); err != nil {
			a.fail(w, r, err)
			return
		}
		if rt.Lasts {
			ctx, release := a.whileKnown(r)
			defer release()
			r = r.WithContext(ctx)
		}
		if rt.raw != nil {
			if err := rt.raw(w, r, q); err != nil {
				a.fail(w, r, err)
			}
			return
		}
		answer, err := rt.serve(r, q)
		if env := access.From(r.Context()).Environment; err == nil && env != "" && of.narrow != nil {
			answer, err = of.narrow(env, answer)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		writeJSON(w, rt.status(), answer)
	})
}

// fail is the top of a request: the only place that logs its error, and only when dalamb is at fault.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	err = a.Discreet(r.Context(), err)
	if fault.KindOf(err) == fault.Internal {
		a.logger.Error("control request", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	if over, is := errors.AsType[*quota.Over](err); is {
		w.Header().Set("Retry-After", over.RetryAfter())
	}
	if isAWS(r) {
		status, typ := awsStatus(err)
		writeAWSError(w, status, typ, err)
		return
	}
	writeError(w, err)
}

func writeError(w http.ResponseWriter, err error) {
	writeJSON(w, wire.Status(fault.KindOf(err)), wire.ErrorOf(err))
}

// writeJSON ignores errors of the connection: the client is gone, and nobody else wants to know.
func writeJSON(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(status)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":{"kind":"internal","message":"the answer cannot be encoded"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
