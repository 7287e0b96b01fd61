package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/openapi"
	"github.com/dalamb/dalamb/internal/wire"
)

// validating holds a route's requests against the document in the code of the live version, and passes some of its answers on to an overseer.
type validating struct {
	g    *Gateway
	rule *function.RouteValidate
	code string // whose file it is
	sees *overseer

	mu      sync.Mutex
	doc     *openapi.Document // nil = not read yet
	err     error             // why not
	tried   time.Time
	reading chan struct{} // closed when it has been read, or not; nil = nobody does
}

// documentPatience is how long a request waits for the document: its code may have to come from another node first.
const documentPatience = time.Second

// validating gives a route the state that belongs to its settings and to the live version's code.
func (g *Gateway) validating(t *catalog.Trigger, s *shelf) *validating {
	code := g.liveCode(t.Function)
	settings := []any{t.Route.Validate, code}
	return keep(s, t, "validate", settings, func() *validating {
		return &validating{g: g, rule: t.Route.Validate, code: code, sees: newOverseer(g, t)}
	})
}

// liveCode is the digest of the live version's code; "" = it has none.
func (g *Gateway) liveCode(name string) string {
	view := g.catalog.View()
	alias, err := view.Alias(name, function.LiveAlias)
	if err != nil {
		return ""
	}
	v, err := view.VersionNumber(name, alias.Primary)
	if err != nil {
		return ""
	}
	return v.Code
}

func (v *validating) policy(x *exchange, c *Call, next handler) error {
	doc, err := v.document(c.Request.Context())
	if err != nil {
		return err
	}
	r := c.Request
	m, allowed := doc.Find(r.Method, r.URL.EscapedPath())
	if m == nil {
		if v.rule.Unknown == function.UnknownPass {
			return next(x, c)
		}
		return unknownTo(v.rule.File, r, allowed)
	}
	if v.rule.Requests {
		if m.ReadsBody(r.Header) && upgrade(r) == "" {
			free, err := v.g.gather(x, c)
			defer free()
			if err != nil {
				return err
			}
		}
		if faults := m.CheckRequest(c.Request, c.Body); len(faults) > 0 {
			v.g.metrics.undocumented.WithLabelValues(v.g.metrics.names.Of(v.sees.function, v.sees.route)...).Inc()
			return &undocumented{file: v.rule.File, faults: faults}
		}
	}
	if v.sees.wants(r) {
		return v.sees.watch(x, c, m, next)
	}
	return next(x, c)
}

// document gives the document, which is read once, beside the requests that wait for it.
func (v *validating) document(ctx context.Context) (*openapi.Document, error) {
	v.mu.Lock()
	if v.doc != nil || v.err != nil && v.g.now().Sub(v.tried) < time.Second {
		defer v.mu.Unlock()
		return v.doc, v.err
	}
	if v.reading == nil {
		v.reading = make(chan struct{})
		v.g.background.Go(v.read)
	}
	reading := v.reading
	v.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, documentPatience)
	defer cancel()
	select {
	case <-reading:
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.doc, v.err
	case <-ctx.Done():
		return nil, noDocument(ctx.Err())
	}
}

func (v *validating) read() {
	var doc *openapi.Document
	err := errPanic
	defer func() {
		if p := recover(); p != nil {
			v.g.panicked(p)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.doc, v.err = doc, nil; err != nil {
			v.err = noDocument(err)
		}
		v.tried = v.g.now()
		close(v.reading)
		v.reading = nil
	}()
	doc, err = v.load()
}

func (v *validating) load() (*openapi.Document, error) {
	dir, err := v.g.code(v.code)
	if err != nil {
		return nil, err
	}
	return openapi.Load(dir, v.rule.File)
}

func noDocument(cause error) error {
	return &shut{fault.New(fault.Unavailable, "the document that requests are held against cannot be read").WithHint("the node's log says why"), cause}
}

func unknownTo(file string, r *http.Request, allowed []string) error {
	f := fault.New(fault.Invalid, "%s %s is not in the document", r.Method, fault.Clip(r.URL.Path))
	if len(allowed) > 0 {
		return f.WithHint("%s has %s for that path", file, strings.Join(allowed, ", "))
	}
	return f.WithHint("%s has no such path", file)
}

// undocumented is what is wrong with a request.
type undocumented struct {
	file   string
	faults []openapi.Fault
}

// Error implements error.
func (u *undocumented) Error() string { return u.Unwrap().Error() }

// Unwrap gives the fault, of which the first few are told in one line.
func (u *undocumented) Unwrap() error {
	const most = 3
	var texts []string
	for _, f := range u.faults[:min(most, len(u.faults))] {
		texts = append(texts, f.String())
	}
	if more := len(u.faults) - most; more > 0 {
		texts = append(texts, "and more")
	}
	return fault.New(fault.Invalid, "%s", strings.Join(texts, "; ")).WithHint("the route's document says what it takes: %s", u.file)
}

func (u *undocumented) problems() []wire.Problem {
	problems := make([]wire.Problem, len(u.faults))
	for i, f := range u.faults {
		problems[i] = wire.Problem{In: f.In, Name: f.Name, Pointer: f.Pointer, Message: f.Message}
	}
	return slices.Clip(problems)
}
