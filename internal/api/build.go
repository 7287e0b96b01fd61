package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

// Builds is what the API needs of build.
type Builds interface {
	// Run makes code from a directory.
	Run(ctx context.Context, r build.Request) (*build.Result, error)
	// Built says how the code of a digest was made by a build of this node.
	Built(id, code string) (*function.Built, error)
	// Log opens what a build said.
	Log(id string) (*os.File, error)
	// Key is what the node signs with what it says of its builds.
	Key() *build.Key
}

// build answers with a line for each that the build says, and then with what it made.
func (a *API) build(w http.ResponseWriter, r *http.Request, _ query) error {
	var req wire.BuildRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if !function.ValidFull(req.Function) {
		return fault.New(fault.Invalid, "function: %q is no name for a function", fault.Clip(req.Function)).
			WithHint("the name of the function that the code is for: such as pay, or staging.pay in an environment")
	}
	if err := access.From(r.Context()).Over(access.Deploy, req.Function); err != nil {
		return err
	}
	if err := a.MayBuild(r.Context(), req.Function, &req.Build); err != nil {
		return err
	}
	if err := req.Build.Validate(); err != nil {
		return err
	}
	if _, err := image.ParseDigest(req.Source); err != nil {
		return err
	}
	if a.builds == nil {
		return fault.New(fault.Unavailable, "this node builds nothing")
	}
	if !a.code.Has(req.Source) {
		return fault.New(fault.NotFound, "the source %s of function %q is not here", req.Source, req.Function).WithHint("upload it first: PUT /v1/code/%s", req.Source)
	}
	dir, err := a.code.Dir(req.Source)
	if err != nil {
		return err
	}
	out := a.newLines(r.Context(), w)
	result, err := a.builds.Run(r.Context(), build.Request{
		Dir: dir, Build: req.Build, Function: req.Function, Programs: req.Programs, Scope: "function " + req.Function, Out: progress{out},
	})
	if err == nil {
		made := wire.BuildProgress{Code: result.Code, Built: result.Built}
		if result.Image != "" {
			made.Code, made.Image = "", result.Image
		}
		err = out.write(made)
	}
	return out.end(err)
}

// progress makes lines of an answer of what a build says: each Write is one line.
type progress struct{ out *lines }

func (p progress) Write(b []byte) (int, error) {
	err := p.out.write(wire.BuildProgress{Line: string(bytes.TrimSuffix(b, []byte("\n")))})
	if err == nil {
		err = p.out.flush()
	}
	return len(b), err
}

// built says how the code of a deploy was made. Who asks says only by which build: what it did this node knows itself.
func (a *API) built(req *wire.DeployRequest) (*function.Built, error) {
	if a.builds == nil {
		return nil, fault.New(fault.NotFound, "this node builds nothing, and knows no build %q", fault.Clip(req.Build))
	}
	made := req.Code
	if req.Spec.Image != "" {
		_, made, _ = strings.Cut(req.Spec.Image, "@")
	}
	return a.builds.Built(req.Build, made)
}

// getBuildLog gives what a build said, by its id or of a version.
func (a *API) getBuildLog(w http.ResponseWriter, r *http.Request, _ query) error {
	return a.sendLog(w, r.PathValue("id"))
}

// getVersionLog gives what the build of a version said.
func (a *API) getVersionLog(w http.ResponseWriter, r *http.Request, q query) error {
	v, err := a.builtVersion(r, q)
	if err != nil {
		return err
	}
	return a.sendLog(w, v.Built.ID)
}

// getProvenance gives what the node that has built a version has signed of that.
func (a *API) getProvenance(r *http.Request, q query) (any, error) {
	v, err := a.builtVersion(r, q)
	if err != nil {
		return nil, err
	}
	if len(v.Built.Provenance) == 0 {
		return nil, fault.New(fault.NotFound, "nothing is signed of version %d of %s", v.Number, v.Spec.Name)
	}
	return v.Built.Provenance, nil
}

// getBuildKey gives the public half of the key that this node signs with.
func (a *API) getBuildKey(*http.Request, query) (any, error) {
	if a.builds == nil {
		return nil, fault.New(fault.NotFound, "this node builds nothing, and has no key for that")
	}
	key := a.builds.Key()
	text, err := key.Public()
	return wire.BuildKey{ID: key.ID, Public: string(text)}, err
}

// builtVersion is the version that a request is about, which a node has built.
func (a *API) builtVersion(r *http.Request, q query) (*function.Version, error) {
	f, err := a.catalog.View().Function(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	n, err := q.number("version", int64(f.Aliases[function.LiveAlias].Primary), 1, 1<<31-1)
	if err != nil {
		return nil, err
	}
	v, err := versionNumber(f, int(n))
	if err != nil {
		return nil, err
	}
	if v.Built == nil {
		return nil, fault.New(fault.NotFound, "version %d of %s was not built by a node: its code came as it is", v.Number, f.Name)
	}
	return v, nil
}

// checkBuilt refuses what the node did not make itself, where it takes nothing else.
func (a *API) checkBuilt(req *wire.DeployRequest) error {
	if !a.signed || req.DryRun {
		return nil
	}
	if base := req.Spec.ImageRef(); req.Build != "" && req.Spec.Image == "" && base != "" && !strings.Contains(base, "@sha256:") {
		return fault.New(fault.Denied, "function %q lies upon %s, whose content its tag does not tell, and this node takes nothing that is not signed (require: signed)", req.Spec.Name, base).
			WithHint("name the image by its digest in base: NAME@sha256:..., so that who approves the source approves the image; dalamb images shows digests")
	}
	if req.Build != "" {
		return nil
	}
	return fault.New(fault.Denied, "function %q is not built by this node, which takes nothing that is not signed (require: signed)", req.Spec.Name).
		WithHint("say build: in its manifest, so that the node makes the code from source, and signs that")
}

// unstartable tells of a command that does not find what it names: each start would fail. The function is deployed all the same, since what dalamb takes for
// the name of a file may be none.
func (a *API) unstartable(ctx context.Context, req *wire.DeployRequest) []string {
	if req.Code == "" || !a.code.Has(req.Code) || !a.runnerOf(ctx, &req.Spec).Isolated {
		return nil
	}
	dir, err := a.code.Dir(req.Code)
	if err != nil {
		return nil // what starts it says so
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	return req.Spec.Unstartable(root.FS())
}

func versionNumber(f *catalog.Function, n int) (*function.Version, error) {
	for _, v := range f.Versions {
		if v.Number == n {
			return v, nil
		}
	}
	return nil, fault.New(fault.NotFound, "function %q has no version %d", f.Name, n).WithHint("dalamb versions %s lists them", f.Name)
}

func (a *API) sendLog(w http.ResponseWriter, id string) error {
	if a.builds == nil {
		return fault.New(fault.NotFound, "this node builds nothing, and knows no build %q", fault.Clip(id))
	}
	log, err := a.builds.Log(id)
	if err != nil {
		return err
	}
	defer log.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.Copy(w, log) // the client may be gone
	return nil
}
