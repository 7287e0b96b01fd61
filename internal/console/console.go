// Package console is the pages by which a person looks after a node in a browser. It sees what the control API gives, through the client
// and with the rights of the token that the visitor has shown; it keeps nothing of its own but who is signed in.
package console

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"
)

// Options of New.
type Options struct {
	API      http.Handler     // the control API; required. It is asked in this process, as its clients ask it
	Provider *Provider        // with which people sign in; nil = with tokens alone
	Logger   *slog.Logger     // nil = nowhere
	Now      func() time.Time // nil = time.Now
}

// Console is the handler of the pages. Safe for concurrent use.
type Console struct {
	api      http.RoundTripper
	logger   *slog.Logger
	now      func() time.Time
	sessions *sessions
	desk     *desk // nil = nobody signs in with a provider
	rates    *rates
	pages    pages
	mux      *http.ServeMux
}

// New reads the pages that are in the binary; it asks nobody.
func New(o Options) (*Console, error) {
	if o.API == nil {
		return nil, errors.New("console needs the control API")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Console{api: inside{o.API}, logger: o.Logger, now: o.Now, sessions: newSessions(o.Now, waysOf(o.Provider)), desk: newDesk(o.Provider), rates: newRates(), mux: http.NewServeMux()}
	var err error
	if c.pages, err = readPages(o.Now); err != nil {
		return nil, err
	}
	files, err := fs.Sub(embedded, "static")
	if err != nil {
		return nil, err
	}
	c.mux.Handle("GET /console/", http.StripPrefix("/console/", still(http.FileServerFS(files))))
	c.mux.HandleFunc("GET /signin", c.askToken)
	c.mux.HandleFunc("POST /signin", c.signIn)
	c.mux.HandleFunc("GET /signin/provider", c.toProvider)
	c.mux.HandleFunc("GET "+callbackPath, c.fromProvider)
	c.mux.HandleFunc("POST /signout", c.signOut)
	for path, show := range c.views() {
		c.mux.Handle("GET "+path, c.page(show))
	}
	for path, do := range c.deeds() {
		c.mux.Handle("POST "+path, c.page(do))
	}
	c.mux.Handle("GET /", c.page(noPage))
	c.mux.HandleFunc("GET /live", c.live)
	c.mux.HandleFunc("GET /live/logs/{function}", c.liveLogs)
	return c, nil
}

// Paths are the patterns of the control listener's paths that are the console's.
func Paths() []string {
	return []string{
		"GET /{$}", "/console/", "/signin", "/signin/", "/signout", "/functions", "/functions/", "/events", "/events/", "/runs", "/runs/", "/dead", "/dead/",
		"/redrives/", "/replays/", "/rollouts/", "/releases", "/builds/", "/settings", "/topics/", "/flow", "/act/", "/live", "/live/",
	}
}

// views are the pages.
func (c *Console) views() map[string]show {
	return map[string]show{
		"/{$}":                                 c.overview,
		"/functions":                           c.functions,
		"/functions/{function}":                c.function,
		"/functions/{function}/keys/{trigger}": c.keys,
		"/events":                              c.events,
		"/events/{topic}/{partition}/{offset}": c.event,
		"/runs":                                c.runs,
		"/runs/{run}":                          c.run,
		"/runs/{run}/logs":                     c.runLogs,
		"/dead":                                c.dead,
		"/dead/{run}":                          c.deadLetter,
		"/redrives/{job}":                      c.redrive,
		"/replays/{replay}":                    c.replay,
		"/rollouts/{function}/{rollout}":       c.rollout,
		"/releases":                            c.releases,
		"/builds/{build}":                      c.build,
		"/settings":                            c.settings,
		"/topics/{topic}":                      c.topic,
		"/flow":                                c.flow,
		"/act/{act}":                           c.ask,
	}
}

// deeds are what the pages' forms do.
func (c *Console) deeds() map[string]show {
	return map[string]show{
		"/act/{act}":                c.act,
		"/functions/{function}/try": c.try,
		"/dead/{run}/edit":          c.edit,
	}
}

// noPage is what stands below the console's paths and is none of its pages.
func noPage(v *visit) (frame, error) {
	return frame{}, nowhere(v.r.URL.Path)
}

// ServeHTTP answers a browser. What another site's page, or another port's, sends in a visitor's name is refused before it is read.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, "this was sent by a page of another site, and is refused", http.StatusForbidden)
		return
	}
	c.mux.ServeHTTP(w, r)
}

// guard tells the browser what it may do with a page: run and load what this listener serves, nothing else; be in nobody's frame; keep no copy.
// Content Security Policy Level 3.
func guard(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// still serves files that are the same for as long as the process lives.
func still(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		h.ServeHTTP(w, r)
	})
}
