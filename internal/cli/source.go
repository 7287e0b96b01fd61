package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// release is what is deployed together.
type release []*source

// source is a manifest, and where it was read from.
type source struct {
	manifest *function.Manifest
	file     string
	zip      *unzipped // holds the code of all functions; nil = that is where the manifest says
}

// readManifests reads the manifests at paths. All their problems are told.
func readManifests(paths []string) (release, error) {
	var r release
	var problems []error
	first := map[string]string{} // function -> manifest
	for _, path := range paths {
		m, file, err := readManifest(path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, f := range m.Functions {
			if before, twice := first[f.Spec.Name]; twice {
				problems = append(problems, fault.New(fault.Invalid, "%s: function %q is declared in %s too", file, f.Spec.Name, before))
			}
			first[f.Spec.Name] = file
		}
		r = append(r, &source{manifest: m, file: file})
	}
	return r, fault.All(problems)
}

// prepare takes --env and --strategy for all functions.
func (r release) prepare(env *environment, strategy string) error {
	for _, s := range r {
		env.into(s.manifest)
		if err := setStrategy(s.manifest, strategy); err != nil {
			return err
		}
	}
	return nil
}

// specs are the functions of all manifests.
func (r release) specs() []function.Spec {
	var all []function.Spec
	for _, s := range r {
		for _, f := range s.manifest.Functions {
			all = append(all, f.Spec)
		}
	}
	return all
}

// remove takes away what reading has made.
func (r release) remove() {
	for _, s := range r {
		if s.zip != nil {
			s.zip.remove()
		}
	}
}

// codeDir is where the code of a function is.
func (s *source) codeDir(d *function.Declared) string {
	if s.zip != nil {
		return s.zip.dir
	}
	return filepath.Join(filepath.Dir(s.file), d.CodePath)
}

// codeName is what people call that.
func (s *source) codeName(d *function.Declared) string {
	if s.zip != nil {
		return s.zip.file
	}
	return s.codeDir(d)
}

// statOf looks for files of a function's code by the paths that they have beside the manifest.
func (s *source) statOf(d *function.Declared) func(path string) (fs.FileInfo, error) {
	if s.zip == nil {
		return os.Stat
	}
	beside := filepath.Join(filepath.Dir(s.file), d.CodePath)
	return func(path string) (fs.FileInfo, error) {
		name, err := filepath.Rel(beside, path)
		if err != nil {
			return nil, err
		}
		return os.Stat(filepath.Join(s.zip.dir, name))
	}
}

// cargo is a source with all that belongs to it, looked at and packed.
type cargo struct {
	*source
	images imageFiles
	built  sources
	packed packed
}

// load has to be closed, also with an error.
func (s *source) load(shown progress) (c *cargo, err error) {
	c = &cargo{source: s}
	if c.images, err = localImages(s.manifest, s.file, shown); err != nil {
		return c, err
	}
	if c.built, err = sourcesOf(s); err != nil {
		return c, err
	}
	if c.packed, err = s.pack(); err != nil {
		return c, err
	}
	return c, checkPrograms(s, c.built)
}

func (c *cargo) close() {
	c.images.close()
	c.packed.remove()
}

// send brings to the node what its functions need, and returns what they are to be deployed with.
func (c *cargo) send(ctx context.Context, node *client.Client, alias string, w io.Writer) ([]wire.DeployRequest, error) {
	var requests []wire.DeployRequest
	for _, f := range c.manifest.Functions {
		b := c.packed[f.CodePath]
		req := wire.DeployRequest{Spec: f.Spec, Code: b.digest, Alias: alias}
		if err := c.images.ask(ctx, node, req); err != nil {
			return nil, fmt.Errorf("deploy %s: %w", f.Spec.Name, err)
		}
		if err := b.upload(ctx, node); err != nil {
			return nil, fmt.Errorf("upload the code of %s: %w", f.Spec.Name, err)
		}
		if err := c.built.build(ctx, node, &f, &req, w); err != nil {
			return nil, fmt.Errorf("build %s: %w", f.Spec.Name, err)
		}
		if err := c.images.push(ctx, node, &req.Spec); err != nil {
			return nil, fmt.Errorf("upload the image of %s: %w", f.Spec.Name, err)
		}
		requests = append(requests, req)
	}
	return requests, nil
}

// checkPrograms refuses a program below the code that could not be started: each run would fail.
func checkPrograms(s *source, built sources) error {
	var problems []function.Problem
	for _, d := range s.manifest.Functions {
		if built[d.Spec.Name] != nil {
			continue // the node looks at what it has built
		}
		if p := d.CheckProgram(s.file, s.statOf(&d)); p != nil {
			problems = append(problems, s.zip.explain(*p, &d))
		}
	}
	if problems == nil {
		return nil
	}
	return fault.New(fault.Invalid, "%w", &function.ManifestError{Problems: problems})
}
