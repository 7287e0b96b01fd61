// Package aws speaks the API of AWS Lambda, so that its tools work against a node: it checks their signatures, and makes of each operation a question
// to the catalog or a change that the control API could be asked for as well. It checks, deploys and runs nothing by itself; what AWS has and dalamb has
// not is refused by name.
package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
	"github.com/dalamb/dalamb/internal/wire"
)

// Control is what changes functions, by the checks of every deploy.
type Control interface {
	Deploy(ctx context.Context, req wire.DeployRequest) (wire.Deployed, error)
	ShiftAlias(ctx context.Context, alias api.Alias, req wire.ShiftRequest) (wire.Shifted, error)
	RemoveAlias(ctx context.Context, alias api.Alias) (wire.AliasRemoved, error)
	Remove(ctx context.Context, function string) (wire.Removed, error)
	RemoveVersion(ctx context.Context, function string, version int) error
}

// Code is where the code of functions is.
type Code interface {
	Put(ctx context.Context, archive io.Reader) (digest string, err error)
	Dir(digest string) (string, error)
	Size(digest string) (int64, error)
}

// Options of New. All are required but where it says so.
type Options struct {
	Catalog *catalog.Catalog
	Control Control
	Code    Code
	Secrets *secret.Box
	Invoke  http.Handler                    // makes calls whose signature was checked
	Known   func(http.Handler) http.Handler // asks for a token, where a request is not signed
	Dir     string                          // for archives while they are unpacked; what is there is removed
	Key     []byte                          // which links to code are signed with
	Find    func(program string) bool       // whether functions on base: host have a program; nil = look
	// Runtimes are images upon which functions of runtimes are laid, by the runtimes' names; of others the machine's own programs are taken. Each
	// starts a handler as AWS's do: by /lambda-entrypoint.sh HANDLER.
	Runtimes map[string]string
	Gateway  string   // URL of the gateway, where function URLs are
	Brokers  []string // of the node's log; nil = it has none
	// Warm is how many instances of a version are ready on this node, and why there are no more; "" = nothing is in the way.
	Warm func(function string, version int) (ready int, trouble string)
	// Instances is how many of all functions the node may have now.
	Instances func() int
	Region    string // "" = function.AWSRegion
	// Discreet takes out of an error what is not for who asks; see api.API.Discreet.
	Discreet func(ctx context.Context, err error) error
	Logger   *slog.Logger     // nil = nowhere
	Now      func() time.Time // nil = time.Now
}

// Lambda is the handler. Safe for concurrent use.
type Lambda struct {
	o    Options
	mux  *http.ServeMux
	room *room // of bodies under way
	keys keyring
}

// New checks the options and empties Dir.
func New(o Options) (*Lambda, error) {
	if o.Catalog == nil || o.Control == nil || o.Code == nil || o.Secrets == nil || o.Invoke == nil || o.Known == nil || o.Warm == nil || o.Instances == nil || o.Discreet == nil || o.Dir == "" || len(o.Key) == 0 {
		return nil, errors.New("aws needs a catalog, a control API, a code store, a box for secrets, somebody who makes calls, somebody who asks for the token, somebody who knows instances, somebody who is discreet, a directory and a key")
	}
	if o.Region == "" {
		o.Region = function.AWSRegion
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Find == nil {
		o.Find = onHost
	}
	if err := os.RemoveAll(o.Dir); err != nil {
		return nil, fmt.Errorf("remove what archives left: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for archives: %w", err)
	}
	l := &Lambda{o: o, mux: http.NewServeMux(), room: newRoom(), keys: keyring{box: o.Secrets}}
	for _, op := range operations() {
		if op.within != "" {
			continue
		}
		l.mux.Handle(op.Method+" "+op.Path, l.handler(op))
		if op.Collection { // which some clients name with a slash at its end
			l.mux.Handle(op.Method+" "+op.Path+"/{$}", l.handler(op))
		}
	}
	l.mux.HandleFunc("GET "+codePath+"{digest}", l.sendCode)
	l.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &refusal{http.StatusNotFound, "UnknownOperationException", fault.New(fault.NotFound, "AWS's Lambda API has no %s %s here", r.Method, r.URL.Path).
			WithHint("docs/aws.md lists the operations")})
	})
	return l, nil
}

// Paths are those that the handler is for.
func Paths() []string {
	paths := []string{codePath}
	seen := map[string]bool{}
	for _, op := range operations() {
		version := op.Path[:len("/2015-03-31/")]
		if !seen[version] {
			seen[version] = true
			paths = append(paths, version)
		}
	}
	return paths
}

// ServeHTTP answers a request.
func (l *Lambda) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.mux.ServeHTTP(w, r) }

// handler serves one operation to whoever may have it.
func (l *Lambda) handler(op operation) http.Handler {
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if op.invokes { // who makes calls asks for the right to, and tells dalamb's own clients more
			l.serve(w, r, op)
			return
		}
		if err := op.permit(access.From(r.Context())); err != nil {
			l.fail(w, r, err)
			return
		}
		l.serve(w, r, op)
	})
	known := l.o.Known(serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isSigned(r) {
			known.ServeHTTP(w, r)
			return
		}
		who, err := l.authenticate(w, r, expected{lambdaService, op.most()})
		defer who.done()
		if err != nil {
			l.fail(w, r, err)
			return
		}
		serve.ServeHTTP(w, r.WithContext(access.With(r.Context(), who.Actor)))
	})
}

func (l *Lambda) serve(w http.ResponseWriter, r *http.Request, op operation) {
	w.Header().Set("X-Amzn-Requestid", newRequestID())
	if op.invokes {
		l.o.Invoke.ServeHTTP(w, withoutSignature(r))
		return
	}
	if op.serve == nil {
		l.fail(w, r, absent(op))
		return
	}
	c, err := newCall(w, r, op)
	if err != nil {
		l.fail(w, r, err)
		return
	}
	answer, err := op.serve(l, c)
	if err != nil {
		l.fail(w, r, err)
		return
	}
	writeJSON(w, op.status(), answer)
}

// fail is the top of a request: the only place that logs its error, and only when dalamb is at fault.
func (l *Lambda) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	err = l.discreet(r.Context(), err)
	if fault.KindOf(err) == fault.Internal {
		l.o.Logger.Error("request by AWS's API", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	writeError(w, err)
}
