package build

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// basesPort is where a build finds the registry of its base images, on the loopback of its sandbox.
const basesPort = 5000

// maxBuildConns is how many connections one build may have at a time, whose programs may be anybody's.
const maxBuildConns = 64

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
	img.blame(err)
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
	m, err := img.ask(r.Context(), named(repository, name))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", m.Type)
	w.Header().Set("Docker-Content-Digest", m.Digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(m.Raw)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(m.Raw) // who has gone needs no answer
	}
	return nil
}

func (img *imageBuild) blob(w http.ResponseWriter, r *http.Request, repository, digest string) error {
	size, known := img.sizeOf(digest)
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
