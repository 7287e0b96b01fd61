package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"

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
}

// build answers with a line for each that the build says, and then with what it made.
func (a *API) build(w http.ResponseWriter, r *http.Request, _ query) error {
	var req wire.BuildRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if req.Function == "" {
		return fault.New(fault.Invalid, "function: is required").WithHint("the name of the function that the code is for")
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
	out := newLines(w)
	result, err := a.builds.Run(r.Context(), build.Request{
		Dir: dir, Build: req.Build, Function: req.Function, Programs: req.Programs, Scope: "function " + req.Function, Out: progress{out},
	})
	if err == nil {
		err = out.write(wire.BuildProgress{Code: result.Code, Built: result.Built})
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
	return a.builds.Built(req.Build, req.Code)
}

// getBuildLog gives what a build said, by its id or of a version.
func (a *API) getBuildLog(w http.ResponseWriter, r *http.Request, _ query) error {
	return a.sendLog(w, r.PathValue("id"))
}

// getVersionLog gives what the build of a version said.
func (a *API) getVersionLog(w http.ResponseWriter, r *http.Request, q query) error {
	f, err := a.catalog.View().Function(r.PathValue("name"))
	if err != nil {
		return err
	}
	n, err := q.number("version", int64(f.Aliases[function.LiveAlias].Primary), 1, 1<<31-1)
	if err != nil {
		return err
	}
	v, err := versionNumber(f, int(n))
	if err != nil {
		return err
	}
	if v.Built == nil {
		return fault.New(fault.NotFound, "version %d of %s was not built by a node: its code came as it is", v.Number, f.Name)
	}
	return a.sendLog(w, v.Built.ID)
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
