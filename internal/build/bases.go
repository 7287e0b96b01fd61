package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// basesPort is where a build finds the registry of its base images, on the loopback of its sandbox.
const basesPort = 5000

// Bounds of what one build may ask, whose programs may be anybody's.
const (
	maxBuildConns = 64  // at a time
	maxAsked      = 256 // manifests; each that was not asked for before is looked for in a registry

	maxManifests = 16 << 20 // bytes of all manifests that were asked for: they are kept in memory
	maxNamed     = 16 << 10 // layers and the like that they name
)

// imageBuild is what the node does for one build of an image: it is the registry of its base images. It has those that the Dockerfile names, and no
// other, from wherever the node gets images from; a build needs no network for them, and never sees the credentials.
type imageBuild struct {
	images Images
	places []basePlace

	fetch chan struct{} // who holds it brings a manifest: one at a time, so that what is not counted yet is bounded too

	mu    sync.Mutex
	bytes int                  // of the manifests in asked
	sizes map[string]int64     // of what manifests name that were asked for, by digest
	asked map[string]*Manifest // nil = nobody has it yet
	bases map[string]string    // digests of what references named
	err   error                // why an image cannot be had, the first
}

// basePlace is a repository that the Dockerfile names.
type basePlace struct{ registry, repository string }

func newImageBuild(images Images, refs []string) (*imageBuild, error) {
	img := &imageBuild{images: images, fetch: make(chan struct{}, 1), sizes: map[string]int64{}, asked: map[string]*Manifest{}, bases: map[string]string{}}
	for _, ref := range refs {
		registry, repository, err := images.Place(ref)
		if err != nil {
			return nil, err
		}
		if at := (basePlace{registry, repository}); !slices.Contains(img.places, at) {
			img.places = append(img.places, at)
		}
	}
	return img, nil
}

// registries are those of the images, each once; the build knows one by its number.
func (img *imageBuild) registries() (list []string) {
	for _, p := range img.places {
		if !slices.Contains(list, p.registry) {
			list = append(list, p.registry)
		}
	}
	return list
}

// settings lead all registries to the one on the loopback. // containers-registries.conf(5)
func (img *imageBuild) settings() string {
	text := "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n"
	for i, registry := range img.registries() {
		text += fmt.Sprintf("[[registry]]\nprefix = %q\nlocation = \"127.0.0.1:%d/%d\"\ninsecure = true\n", registry, basesPort, i)
	}
	return text
}

// fewConns closes connections that are too many as soon as they come.
type fewConns struct {
	net.Listener
	taken chan struct{} // holds one for each
}

// Accept implements net.Listener.
func (f *fewConns) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case f.taken <- struct{}{}:
		return &counted{Conn: c, end: sync.OnceFunc(func() { <-f.taken })}, nil
	default:
		c.Close() // buildah has a handful
		return &counted{Conn: c, end: func() {}}, nil
	}
}

// counted is a connection whose place is free again when it is closed.
type counted struct {
	net.Conn
	end func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.end()
	return c.Conn.Close()
}

// serve answers the build until ctx is done.
func (img *imageBuild) serve(ctx context.Context, l net.Listener) {
	s := &http.Server{
		Handler:           http.HandlerFunc(img.answer),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		_ = s.Close() // the sandbox is gone
	}()
	_ = s.Serve(&fewConns{l, make(chan struct{}, maxBuildConns)}) // it ends with the sandbox, or by Close
	<-stopped
}

// refused is what a registry says no with. // distribution-spec, "Error Codes"
type refused struct {
	Errors []refusal `json:"errors"`
}

type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (img *imageBuild) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		w.WriteHeader(http.StatusOK)
		return
	}
	ref, what, name, ok := img.find(r.URL.Path)
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, "NAME_UNKNOWN", "the Dockerfile names no such image")
		return
	}
	var err error
	if what == "manifests" {
		err = img.manifest(w, r, ref, name)
	} else {
		err = img.blob(w, r, ref, name)
	}
	if err == nil || r.Context().Err() != nil {
		return
	}
	img.mu.Lock()
	if img.err == nil {
		img.err = err
	}
	img.mu.Unlock()
	refuse(w, "MANIFEST_UNKNOWN", "the node cannot have it")
}

func refuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(refused{[]refusal{{code, message}}}) // a build that has gone needs no answer
}

// find reads /v2/NUMBER/REPOSITORY/(manifests|blobs)/NAME.
func (img *imageBuild) find(path string) (repository, what, name string, ok bool) {
	number, rest, _ := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/")
	registries := img.registries()
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(registries) {
		return "", "", "", false
	}
	for _, what := range []string{"manifests", "blobs"} {
		at := strings.LastIndex(rest, "/"+what+"/")
		if at < 0 {
			continue
		}
		place := basePlace{registries[i], rest[:at]}
		return place.registry + "/" + place.repository, what, rest[at+len(what)+2:], slices.Contains(img.places, place)
	}
	return "", "", "", false
}

// named is a tag or a digest in a repository.
func named(repository, name string) string {
	if strings.Contains(name, ":") {
		return repository + "@" + name
	}
	return repository + ":" + name
}

func (img *imageBuild) manifest(w http.ResponseWriter, r *http.Request, repository, name string) error {
	ref := named(repository, name)
	img.mu.Lock()
	m, again := img.asked[ref]
	many := len(img.asked) >= maxAsked && !again
	if !many {
		img.asked[ref] = m
	}
	img.mu.Unlock()
	if many {
		return fault.New(fault.Invalid, "a build asked for more than %d manifests of images", maxAsked)
	}
	if m == nil {
		var err error
		if m, err = img.bring(r.Context(), ref); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", m.Type)
	w.Header().Set("Docker-Content-Digest", m.Digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(m.Raw)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(m.Raw) // who has gone needs no answer
	}
	return nil
}

// bring gets a manifest that was not there when it was asked for.
func (img *imageBuild) bring(ctx context.Context, ref string) (*Manifest, error) {
	select {
	case img.fetch <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-img.fetch }()
	img.mu.Lock()
	m := img.asked[ref]
	img.mu.Unlock()
	if m != nil {
		return m, nil // who asked at the same time has brought it
	}
	m, err := img.images.Manifest(ctx, ref)
	if err != nil {
		return nil, notHad(err)
	}
	return m, img.note(ref, m)
}

// notHad is an error of a base image: which there is none of, the Dockerfile is to blame for.
func notHad(err error) error {
	kind := fault.KindOf(err)
	if kind == fault.NotFound {
		kind = fault.Invalid
	}
	return fault.New(kind, "the Dockerfile names an image that cannot be had: %w", err).WithHint("%s", fault.HintOf(err))
}

// note remembers what was asked for, and the sizes of what it consists of; unless that is too much.
func (img *imageBuild) note(ref string, m *Manifest) error {
	type descriptor struct {
		Digest string `json:"digest"`
		Size   int64  `json:"size"`
	}
	var parts struct {
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	_ = json.Unmarshal(m.Raw, &parts) // one that is no JSON has no parts
	img.mu.Lock()
	defer img.mu.Unlock()
	if img.bytes+len(m.Raw) > maxManifests {
		return fault.New(fault.Invalid, "a build asked for manifests of images that have more than %d MiB together", maxManifests>>20).
			WithHint("do all images that the Dockerfile names have to be in one build?")
	}
	if named := len(parts.Layers) + len(parts.Manifests) + 1; len(img.sizes)+named > maxNamed {
		return fault.New(fault.Invalid, "a build asked for images whose manifests name more than %d layers, configurations and manifests", maxNamed).
			WithHint("do all images that the Dockerfile names have to be in one build?")
	}
	img.bytes += len(m.Raw)
	img.asked[ref] = m
	for _, d := range append(parts.Layers, parts.Config) {
		img.sizes[d.Digest] = d.Size
	}
	if _, part := img.sizes[m.Digest]; !part { // of an index that was asked for it is no base of its own
		img.bases[ref] = m.Digest
	}
	for _, d := range parts.Manifests {
		img.sizes[d.Digest] = d.Size
	}
	return nil
}

func (img *imageBuild) blob(w http.ResponseWriter, r *http.Request, repository, digest string) error {
	img.mu.Lock()
	size, known := img.sizes[digest]
	img.mu.Unlock()
	if !known {
		refuse(w, "BLOB_UNKNOWN", "no manifest that was asked for names it")
		return nil
	}
	content, err := img.images.Content(r.Context(), named(repository, digest), digest, size)
	if err != nil {
		return notHad(err)
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, content) // who has gone needs no answer
	}
	return nil
}

// served lists the images that the build asked for.
func (img *imageBuild) served() (list []function.Base) {
	img.mu.Lock()
	defer img.mu.Unlock()
	for ref, digest := range img.bases {
		list = append(list, function.Base{Reference: ref, Digest: digest})
	}
	slices.SortFunc(list, func(a, b function.Base) int { return strings.Compare(a.Reference, b.Reference) })
	return list
}

// trouble is why a base image cannot be had; nil = all could that were asked for.
func (img *imageBuild) trouble() error {
	img.mu.Lock()
	defer img.mu.Unlock()
	if errors.Is(img.err, context.Canceled) {
		return nil
	}
	return img.err
}
