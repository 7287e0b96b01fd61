// Package function owns what a function is: its versions, aliases, triggers and limits, the manifest that declares them,
// and the shape of an invocation and its result. It does not run anything.
package function

import (
	"encoding/json"
	"time"
)

// LiveAlias is the alias that exists from the first deploy and that triggers and routes follow.
const LiveAlias = "live"

// InvokeTrigger is the name of the trigger that every function has for its asynchronous calls; no other may have it.
const InvokeTrigger = "invoke"

// EntryType is how a function is spoken to.
type EntryType string

const (
	EntryLambda EntryType = "lambda" // AWS Lambda Runtime API 2018-06-01
	EntryHTTP   EntryType = "http"   // the function listens on a port
	EntryStdio  EntryType = "stdio"  // a process that reads stdin and writes stdout
)

// Spec is what one document of a manifest says, defaults filled in. Its JSON form is stored in the log and on the wire.
type Spec struct {
	Name      string            `json:"name"`
	Image     string            `json:"image,omitempty"`  // reference; the function is this image, without a code directory
	Base      string            `json:"base"`             // "host", "scratch" or a reference to an image; "" with Image
	Follow    bool              `json:"follow,omitempty"` // a push of the image's tag makes a new version
	Entry     Entry             `json:"entry"`
	Resources Resources         `json:"resources"`
	Timeout   Duration          `json:"timeout"` // of one invocation
	Scale     Scale             `json:"scale"`
	Health    *Health           `json:"health,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
	Secrets   []Secret          `json:"secrets,omitempty"`
	Config    []Setting         `json:"config,omitempty"`
	Network   string            `json:"network"`             // one of networks
	Allow     []Allowed         `json:"allow,omitempty"`     // of network egress; none = the internet
	Calls     []string          `json:"calls,omitempty"`     // functions that it may call
	Isolation string            `json:"isolation,omitempty"` // one of isolations; "" = available
	Runner    string            `json:"runner,omitempty"`    // one of Runners; "" = the node's own
	Async     *Async            `json:"async,omitempty"`
	Keep      int               `json:"keep,omitempty"` // versions; 0 = DefaultKeep
	AWS       *AWS              `json:"aws,omitempty"`
	Triggers  []Trigger         `json:"triggers,omitempty"`
	Rollout   *Rollout          `json:"rollout,omitempty"` // nil = the alias points at the version as soon as it is deployed
}

// Entry says how a function is started and spoken to.
type Entry struct {
	Type        EntryType `json:"type"`
	Command     []string  `json:"command"`               // argv; empty = what the image says, until it is deployed; a relative first word with a slash is below the code directory
	Port        int       `json:"port,omitempty"`        // http only; 0 = what the image says, until it is deployed
	Concurrency int       `json:"concurrency,omitempty"` // http only: requests at a time per instance
	Ready       string    `json:"ready,omitempty"`       // http only: the path that answers 2xx when an instance is ready; "" = its port accepts connections
	Protocol    string    `json:"protocol,omitempty"`    // http only: ProtocolHTTP1 (also "") or ProtocolH2C
	Mode        string    `json:"mode,omitempty"`        // stdio only: ModeOnce (also "") or ModeLines
}

// Resources bound one instance.
type Resources struct {
	Memory Bytes   `json:"memory"`
	CPU    float64 `json:"cpu"` // cores
	PIDs   int     `json:"pids"`
	Files  int     `json:"files"` // open at a time in one process
	Tmp    Bytes   `json:"tmp"`   // size of /tmp
}

// Scale bounds the instances of one version on one node.
type Scale struct {
	Min      int      `json:"min"`
	Max      int      `json:"max"`
	Target   int      `json:"target,omitempty"`   // http: invocations at a time per instance from which on another one is started; 0 = Entry.Concurrency
	Reserved int      `json:"reserved,omitempty"` // of the node's instances, kept for the function alone
	Schedule []Window `json:"schedule,omitempty"`
	Idle     Duration `json:"idle"`            // an instance without work for so long is stopped
	Freeze   Duration `json:"freeze,omitzero"` // an instance without work for so long gets no CPU; 0 = it always has
	Reuse    string   `json:"reuse"`           // "idle": kept for the next invocation; "never": one invocation, one instance
}

// Order is how far events of one trigger may overtake each other.
type Order string

const (
	OrderKey       Order = "key"       // events of one key and partition one after another
	OrderPartition Order = "partition" // all events of a partition one after another
	OrderNone      Order = "none"      // a work queue
)

// Trigger is Topic + Filter or a Schedule, with delivery rules; or a Route.
type Trigger struct {
	Name    string          `json:"name"`
	Topic   string          `json:"topic,omitempty"`
	Filter  json.RawMessage `json:"filter,omitempty"` // a pattern; absent = every event
	Start   Start           `json:"start,omitempty"`  // where it begins when it is new
	Order   Order           `json:"order,omitempty"`
	Retry   Retry           `json:"retry,omitzero"`
	RetryOn RetryOn         `json:"retryOn,omitempty"` // "" = newest
	Batch   *Batch          `json:"batch,omitempty"`
	Payload Payload         `json:"payload,omitempty"` // "" = structured CloudEvents; http, without a batch: binary mode
	Rule    string          `json:"rule,omitempty"`    // ARN of the rule of AWS's EventBridge API that made the trigger; "" = none did
	Rules
	Emit  *Emit  `json:"emit,omitempty"`
	Route *Route `json:"route,omitempty"`

	Schedule string   `json:"schedule,omitempty"` // see package schedule
	Timezone string   `json:"timezone,omitempty"` // of the IANA database; "" = UTC
	Jitter   Duration `json:"jitter,omitzero"`    // a tick is so much late at most, each by another part of it
	CatchUp  CatchUp  `json:"catchUp,omitempty"`
}

// Retry says how often and how long a run is tried. The wait before attempt n+1 is a random time between 0 and
// min(Max, Initial*Factor^(n-1)) (full jitter), or what the function asked for by Retry-After if that is longer.
type Retry struct {
	Attempts int      `json:"attempts"` // the first one included
	Initial  Duration `json:"initial"`
	Max      Duration `json:"max"`
	Factor   float64  `json:"factor"`
	MaxAge   Duration `json:"maxAge"`          // since the event was appended, or since the trigger was made or sought where that is later
	Never    []string `json:"never,omitempty"` // errorType values that are not retried
}

// Emit says where events go that a function returns.
type Emit struct {
	Topic string `json:"topic"`
}

// Route makes a function answer HTTP requests on the gateway. Path is a net/http.ServeMux path: {param}, {rest...}.
type Route struct {
	Method  string     `json:"method,omitempty"` // "" = any
	Host    string     `json:"host,omitempty"`   // "" = any
	Path    string     `json:"path"`
	Headers Conditions `json:"headers,omitempty"` // what else a request has to carry; nil = nothing
	Query   Conditions `json:"query,omitempty"`
	Durable bool       `json:"durable,omitempty"` // the request is in the log before the answer
	Record  Record     `json:"record,omitempty"`  // what stays of its calls; "" = RecordFull
	Sticky  *Sticky    `json:"sticky,omitempty"`

	CORS  *CORS      `json:"cors,omitempty"`  // nil = pages of other origins are not heard of
	Auth  *Auth      `json:"auth,omitempty"`  // nil = open to everybody
	Limit *RateLimit `json:"limit,omitempty"` // nil = none
	Cache *Cache     `json:"cache,omitempty"` // nil = each request is the function's

	Redirect *Redirect  `json:"redirect,omitempty"`
	Rewrite  *Rewrite   `json:"rewrite,omitempty"`
	Static   *Static    `json:"static,omitempty"`
	Upstream *Upstream  `json:"upstream,omitempty"` // nil = the function answers
	Compress bool       `json:"compress,omitempty"`
	Body     *BodyLimit `json:"body,omitempty"`
	Scatter  *Scatter   `json:"scatter,omitempty"`

	Concurrency *RouteConcurrency `json:"concurrency,omitempty"` // nil = as many as come
	Priority    Priority          `json:"priority,omitempty"`    // "" = normal
	Timeout     *RouteTimeout     `json:"timeout,omitempty"`
	Retry       *RouteRetry       `json:"retry,omitempty"`
	Idempotency *Idempotency      `json:"idempotency,omitempty"` // nil = a request is run as often as it comes
	Hedge       *Hedge            `json:"hedge,omitempty"`
	Breaker     *Breaker          `json:"breaker,omitempty"`
	Fallback    *Fallback         `json:"fallback,omitempty"`
	Async       Later             `json:"async,omitempty"`    // "" = the answer is the function's
	Callback    *RouteCallback    `json:"callback,omitempty"` // nil = nobody is told
	Await       *Await            `json:"await,omitempty"`    // nil = the answer is the function's

	Validate *RouteValidate `json:"validate,omitempty"` // nil = nothing is held against a document
}

// Version is immutable: what a deploy made. Number counts from 1 for each function.
type Version struct {
	Number  int       `json:"number"`
	Code    string    `json:"code"`   // digest of the code directory: "sha256:<hex>"; "" = it is an image
	Digest  string    `json:"digest"` // of code and settings; the same digest is the same version
	Created time.Time `json:"created"`
	Stored  *Stored   `json:"stored,omitempty"` // where other nodes find the code; nil = on this node alone
	Image   *Image    `json:"image,omitempty"`  // what Spec.ImageRef was when it was deployed; nil = none
	Origin  *Origin   `json:"origin,omitempty"` // where it came from; nil = not known
	Built   *Built    `json:"built,omitempty"`  // how the code was made; nil = it came as it is
	By      *Identity `json:"by,omitempty"`     // who deployed it; nil = not known
	Spec    Spec      `json:"spec"`
}

// Stored is where content stands in a topic, as TopicCode is for code: so many chunks of one partition from an offset on, with others' between them.
type Stored struct {
	ID        string `json:"id"` // part of the chunks' keys
	Partition int32  `json:"partition"`
	First     int64  `json:"first"`
	Chunks    int    `json:"chunks"`
	Bytes     int64  `json:"bytes"`
}

// Function is the function's name.
func (v *Version) Function() string { return v.Spec.Name }
