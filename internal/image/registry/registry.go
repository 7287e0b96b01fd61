// Package registry is dalamb's own OCI registry: the HTTP API of the OCI distribution specification 1.1 under /v2/, over the node's
// image content (image.Blobs) and a durable index of repositories of its own. It does not unpack or run images and knows no deployed
// versions: whoever collects garbage asks it what it needs (Needed).
package registry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// Bounds of what is sent here.
const (
	maxManifest = 4 << 20  // bytes; distribution-spec 1.1, "Pushing Manifests", asks for at least this
	maxBlob     = 32 << 30 // bytes of one blob; the disk's reserve ends most before
	maxUploads  = 256      // under way at a time, interrupted ones included
	maxNeeds    = 4096     // descriptors in one manifest
	maxPage     = 1000     // names in one answer
)

// How long who sends nothing is waited for: within a request, and between the requests of one upload.
const (
	stall = time.Minute
	idle  = time.Hour
)

// tidyEvery is how often uploads that are idle are looked for.
const tidyEvery = 10 * time.Minute

// Options of Open. All are required but where it says so.
type Options struct {
	Dir   string       // of the index and of uploads; on the file system that Blobs is on, because uploads are renamed into it
	Blobs *image.Blobs // content
	// Who is who holds a token, which is the password of every user name. An error says why it is nobody.
	Who    func(token string) (access.Actor, error)
	Logger *slog.Logger // nil = nowhere
	// Pushed is told of each tag that was pushed, before the client is: after an error the client pushes again. nil = nobody wants to know.
	Pushed func(Push) error
	// Followers are the functions that get a version from a push to a repository; nil = none do.
	Followers func(repository string) []string
}

// Push is one push of a tag.
type Push struct {
	Repository, Tag string
	Manifest
	Pusher string // the user name that was given; "" = none
}

// Registry is the handler. Safe for concurrent use.
type Registry struct {
	blobs   *image.Blobs
	index   *index
	uploads *uploads
	who     func(token string) (access.Actor, error)
	logger  *slog.Logger
	pushed  func(Push) error
	follow  func(repository string) []string
}

// Open opens or makes the registry in o.Dir. Uploads that a stop interrupted are there still and can be gone on with.
func Open(o Options) (*Registry, error) {
	switch {
	case o.Dir == "", o.Blobs == nil:
		return nil, errors.New("registry needs a directory and a store of content")
	case o.Who == nil:
		return nil, errors.New("registry needs to know who holds which token: else anybody could change everything")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Pushed == nil {
		o.Pushed = func(Push) error { return nil }
	}
	if o.Followers == nil {
		o.Followers = func(string) []string { return nil }
	}
	g := &Registry{blobs: o.Blobs, who: o.Who, logger: o.Logger, pushed: o.Pushed, follow: o.Followers}
	var err error
	if g.index, err = openIndex(filepath.Join(o.Dir, "repositories")); err != nil {
		return nil, err
	}
	if g.uploads, err = openUploads(filepath.Join(o.Dir, "uploads"), o.Blobs); err != nil {
		return nil, err
	}
	return g, nil
}

// Run removes uploads that nobody goes on with, until ctx is done.
func (g *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		switch removed, err := g.uploads.expire(time.Now().Add(-idle)); {
		case err != nil:
			g.logger.Warn("image uploads that nobody goes on with could not be removed", "err", err)
		case removed > 0:
			g.logger.Info("removed image uploads that nobody goes on with", "uploads", removed)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ServeHTTP answers a request that shows a token whose role may what the request does.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	who, err := g.who(access.Shown(r))
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="dalamb"`)
		g.fail(w, r, refuse(codeUnauthorized, fault.Unauthenticated, "%v", err).
			hint("log in with any user name and a token as password; the node's own is in the file token of the node's data directory"))
		return
	}
	at, err := parsePath(r.URL.Path)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	methods := g.methods(at.what)
	serve, ok := methods[r.Method]
	if !ok {
		w.Header().Set("Allow", methods.allowed())
		g.fail(w, r, &refusal{code: codeUnsupported, status: http.StatusMethodNotAllowed,
			err: fault.New(fault.Invalid, "%s is not possible on %s", r.Method, r.URL.Path).WithHint("possible: %s", methods.allowed())})
		return
	}
	if err = g.permit(who, r.Method, at); err == nil {
		err = serve(w, r, at)
	}
	if err != nil {
		g.fail(w, r, err)
	}
}

// handler serves one kind of request; an error is answered by ServeHTTP, so nothing has been written then.
type handler func(w http.ResponseWriter, r *http.Request, at place) error

type methods map[string]handler

func (g *Registry) methods(what kind) methods {
	switch what {
	case isCatalog:
		return methods{"GET": g.getCatalog}
	case isTags:
		return methods{"GET": g.getTags}
	case isManifest:
		return methods{"GET": g.getManifest, "HEAD": g.getManifest, "PUT": g.putManifest, "DELETE": g.deleteManifest}
	case isBlob:
		return methods{"GET": g.getBlob, "HEAD": g.getBlob, "DELETE": g.deleteBlob}
	case isUploads:
		return methods{"POST": g.postUpload}
	case isUpload:
		return methods{"GET": g.getUpload, "PATCH": g.patchUpload, "PUT": g.putUpload, "DELETE": g.deleteUpload}
	case isReferrers:
		return methods{"GET": g.getReferrers}
	}
	return methods{"GET": getBase, "HEAD": getBase}
}

func (m methods) allowed() string {
	var list []string
	for _, method := range []string{"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"} {
		if m[method] != nil {
			list = append(list, method)
		}
	}
	return strings.Join(list, ", ")
}

// getBase says that this is a registry; clients ask it first, to find out how to log in.
func getBase(w http.ResponseWriter, _ *http.Request, _ place) error {
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}
