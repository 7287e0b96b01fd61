package gateway

import (
	"net/http"
	"strings"

	"github.com/rs/cors"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// crossOrigin lets web pages of other origins call a route: it answers a browser's question before the call, and says in each answer, also in
// a refusal, who may read it.
type crossOrigin struct{ rules *cors.Cors }

// newCrossOrigin makes it for these methods; nil = those of the route.
func newCrossOrigin(t *catalog.Trigger, methods []string) *crossOrigin {
	r := t.Route.CORS
	switch {
	case methods != nil:
	case t.Route.Method == "":
		methods = function.Methods()
	default:
		methods = []string{t.Route.Method}
	}
	return &crossOrigin{cors.New(cors.Options{
		AllowedOrigins: r.Origins, AllowedMethods: methods, AllowedHeaders: r.Headers, ExposedHeaders: r.Expose,
		AllowCredentials: r.Credentials, MaxAge: int(r.MaxAge.Std().Seconds()),
	})}
}

func (o *crossOrigin) policy(x *exchange, c *Call, next handler) error {
	x.cors = true
	o.rules.HandlerFunc(x, c.Request)
	if x.status != 0 { // a question, which has been answered, yes or no
		return nil
	}
	return next(x, c)
}

// isPreflight says whether a browser asks before it calls. The Fetch standard, section 3.3.2.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight answers a browser's question about a route that has rules for it; false = there is none. The question is about
// the method that is to follow, so that is the route it is put to.
func (p *paths) preflight(x *exchange, r *http.Request) bool {
	if !isPreflight(r) {
		return false
	}
	meant := r.Clone(r.Context())
	meant.Method = r.Header.Get("Access-Control-Request-Method")
	t := p.asked(meant)
	if t == nil || t.trigger.Route.CORS == nil {
		return false
	}
	t.ServeHTTP(x, r)
	return true
}

// allowsOrigins says whether a field is about pages of other origins.
func allowsOrigins(name string) bool { return strings.HasPrefix(name, "Access-Control-") }
