package gateway

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/openapi"
)

// openapiPath is where the document of all routes is.
const openapiPath = "/_/openapi.json"

// serveOpenAPI is GET /_/openapi.json, for who has the token: what routes there are is nothing for the internet.
func (g *Gateway) serveOpenAPI(x *exchange, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		g.methodNotAllowed(x, r, "GET, HEAD")
		return
	}
	who, err := g.who(r)
	if err == nil {
		err = who.May(access.Read)
	}
	if err != nil {
		g.fail(x, err)
		return
	}
	env := g.routesNow().environment(r.Host)
	if who.Environment != "" { // whatever host he names
		env = who.Environment
	}
	b := g.OpenAPI(env, "")
	x.Header().Set("Content-Type", "application/json")
	x.WriteHeader(http.StatusOK)
	_, _ = x.Write(append(b, '\n')) // a client that is gone cannot be told
}

// OpenAPI is one document, as JSON, of all routes of an environment ("" = production), or of one function's. A route whose document cannot be read
// just now is in it as one without.
func (g *Gateway) OpenAPI(env, only string) []byte {
	rs := g.routesNow()
	var routes []openapi.Route
	for _, r := range rs.view.Routes() {
		if r.Trigger.Paused || function.Environment(r.Function) != env || only != "" && r.Function != only {
			continue
		}
		rule := r.Trigger.Route
		one := openapi.Route{Function: r.Function, Name: r.Trigger.Name, Method: rule.Method, Path: rule.Path, Auth: schemeOf(rule.Auth), Limited: rule.Limit != nil}
		if !rule.AnyHost(r.Function) {
			one.Host = rule.Host
		}
		if v := rs.documents[routeKey{r.Function, r.Trigger.Name}]; v != nil {
			if doc, err := v.document(context.Background()); err != nil {
				g.logger.Warn("route without its document", "function", r.Function, "trigger", r.Trigger.Name, "err", reason(err))
			} else {
				one.Doc, one.File = doc, v.rule.File
			}
		}
		routes = append(routes, one)
	}
	title := "dalamb"
	switch {
	case only != "":
		title = only
	case env != "":
		title = env
	}
	return openapi.Union(title, routes)
}

// schemeOf says in OpenAPI's words who may call; nil = everybody.
func schemeOf(a *function.Auth) *openapi.Auth {
	scheme := func(name string, fields ...string) *openapi.Auth {
		s := map[string]any{}
		for i := 0; i < len(fields); i += 2 {
			s[fields[i]] = fields[i+1]
		}
		return &openapi.Auth{Name: name, Scheme: s}
	}
	switch {
	case a == nil:
		return nil
	case a.Token != nil:
		return scheme("token", "type", "http", "scheme", "bearer")
	case a.Basic != nil:
		return scheme("basic", "type", "http", "scheme", "basic")
	case a.JWT != nil:
		return scheme("jwt", "type", "http", "scheme", "bearer", "bearerFormat", "JWT", "description", "a token of "+a.JWT.Issuer)
	case a.Certificate != nil:
		return scheme("certificate", "type", "mutualTLS")
	case a.OIDC != nil:
		return scheme("oidc", "type", "openIdConnect", "openIdConnectUrl", a.OIDC.Issuer+"/.well-known/openid-configuration")
	case a.Signature != nil:
		return scheme("signature", "type", "apiKey", "in", "header", "name", a.Signature.Header, "description", "an HMAC of the body")
	}
	header := "Authorization"
	if len(a.Function.Headers) > 0 {
		header = a.Function.Headers[0]
	}
	return scheme("function", "type", "apiKey", "in", "header", "name", header, "description", "a function decides")
}
