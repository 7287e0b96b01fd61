package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/declare"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

// bootstrap is what AWS Lambda starts of an archive for its runtimes without a language.
const bootstrap = "bootstrap"

// unzipped is a zip archive, and where its content is.
type unzipped struct{ file, dir string }

// readZip reads an archive, and the manifest that goes with it: the file's, else what the function has that is there, else that of a bootstrap.
func (d *deployment) readZip(ctx context.Context, env *environment, w io.Writer) (release, error) {
	z, err := unzip(d.zip)
	r := release{{zip: z}}
	if err != nil {
		return r, err
	}
	s := r[0]
	if len(d.paths) == 1 {
		s.manifest, s.file, err = readManifest(d.paths[0])
	} else {
		s.manifest, err = d.manifestOf(ctx, env, z, w)
		s.file = d.zip
	}
	if err != nil {
		return r, err
	}
	if err := s.ownsCode(); err != nil {
		return r, err
	}
	if err := z.makeExecutable(s.manifest, w); err != nil {
		return r, err
	}
	return r, r.prepare(env, d.strategy)
}

// unzip has to be removed, also with an error.
func unzip(file string) (*unzipped, error) {
	z := &unzipped{file: file}
	f, err := os.Open(file)
	if err != nil {
		return z, fault.New(fault.Invalid, "the archive cannot be read: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		return z, fault.New(fault.Invalid, "%s is a directory, and --zip wants a zip archive", file).WithHint("dalamb deploy %s takes a directory with a %s", file, manifestName)
	}
	if err != nil {
		return z, err
	}
	if z.dir, err = os.MkdirTemp("", "dalamb-zip-*"); err != nil {
		return z, fault.New(fault.Unavailable, "unpack %s: %w", file, err).WithHint("set TMPDIR to a directory that can be written to")
	}
	if err := image.Unzip(f, info.Size(), z.dir); err != nil {
		return z, fmt.Errorf("unpack %s: %w", file, err)
	}
	return z, nil
}

func (z *unzipped) remove() {
	if z.dir != "" {
		os.RemoveAll(z.dir)
	}
}

// manifestOf is the manifest of an archive that comes without one.
func (d *deployment) manifestOf(ctx context.Context, env *environment, z *unzipped, w io.Writer) (*function.Manifest, error) {
	name := d.name
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(d.zip), filepath.Ext(d.zip))
	}
	if err := function.CheckName(name); err != nil {
		return nil, fault.New(fault.Invalid, "%w", err).WithHint("say how the function is called: --name NAME")
	}
	node, err := env.client()
	if err != nil {
		return nil, err
	}
	f, err := node.Function(ctx, function.Full(env.env, name))
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return newBootstrap(name, z)
	case err != nil:
		return nil, err
	}
	v := versionFor(&f, d.alias)
	if v == nil || v.Code == "" {
		return nil, fault.New(fault.Conflict, "function %s is an image, and has no code that an archive could take the place of", f.Name).
			WithHint("name a manifest: dalamb deploy --zip %s PATH", d.zip)
	}
	fmt.Fprintf(w, "%s: the settings are those of version %d; the code is what %s holds\n", f.Name, v.Number, z.file)
	_, plain := v.Spec.Unplace()
	text, err := declare.Manifest(plain, ".")
	if err != nil {
		return nil, err
	}
	return function.ParseManifest(z.file, text)
}

// versionFor is the version that an alias points at, else the live one; nil = there is neither.
func versionFor(f *wire.Function, alias string) *function.Version {
	number := 0
	for _, a := range f.Aliases {
		if a.Name == alias || a.Name == function.LiveAlias && number == 0 {
			number = a.Primary
		}
	}
	for i := range f.Versions {
		if f.Versions[i].Number == number {
			return &f.Versions[i]
		}
	}
	return nil
}

// newBootstrap is the manifest of a function that is not there yet.
func newBootstrap(name string, z *unzipped) (*function.Manifest, error) {
	if info, err := os.Stat(filepath.Join(z.dir, bootstrap)); err != nil || info.IsDir() {
		return nil, fault.New(fault.Invalid, "there is no function %q, and %s has no program %s at its top, so that nothing says how it is started", name, z.file, bootstrap).
			WithHint("write a %s with its name and entry, and name it: dalamb deploy --zip %s PATH", manifestName, z.file)
	}
	return function.ParseManifest(z.file, []byte("name: "+name+"\nentry: {type: lambda, command: [./"+bootstrap+"]}\n"))
}

// ownsCode refuses a manifest of which the archive cannot be the code.
func (s *source) ownsCode() error {
	first := &s.manifest.Functions[0]
	for i := range s.manifest.Functions {
		f := &s.manifest.Functions[i]
		if f.CodePath == "" {
			return fault.New(fault.Invalid, "%s: function %s is an image, and has no code that %s could be", s.file, f.Spec.Name, s.zip.file)
		}
		if f.CodePath != first.CodePath {
			return fault.New(fault.Invalid, "%s: the code of %s is %s and that of %s is %s, and %s can be one of both only", s.file, first.Spec.Name, first.CodePath, f.Spec.Name, f.CodePath, s.zip.file).
				WithHint("deploy them from manifests of their own")
		}
	}
	return nil
}

// makeExecutable makes what functions are started from executable: archives that are made on Windows do not say that anything is.
func (z *unzipped) makeExecutable(m *function.Manifest, w io.Writer) error {
	for i := range m.Functions {
		program, own := m.Functions[i].OwnProgram()
		if !own {
			continue
		}
		made, err := image.MakeExecutable(z.dir, program)
		if err != nil {
			return fmt.Errorf("make %s of %s executable: %w", program, z.file, err)
		}
		if !made {
			continue
		}
		fmt.Fprintf(w, "%s is not executable in %s; it is made so\n", program, z.file)
	}
	return nil
}

// explain says of a problem with the code of a function that the code is an archive's.
func (z *unzipped) explain(p function.Problem, d *function.Declared) function.Problem {
	if program, own := d.OwnProgram(); z != nil && own {
		p.Hint = fmt.Sprintf("%s has no such file", z.file)
		if _, err := os.Stat(filepath.Join(z.dir, program)); !errors.Is(err, os.ErrNotExist) {
			p.Hint = fmt.Sprintf("in %s it is no file that can be started", z.file)
		}
	}
	return p
}
