package declare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// Code gives code by its digest, as a tar archive.
type Code interface {
	Code(ctx context.Context, digest string) (io.ReadCloser, error)
}

// Write writes a State into a directory: a new or empty one, or one that was written before, of which the installation's file and all below
// functions/ and environments/ are replaced. Everything is whole before anything is replaced.
func Write(ctx context.Context, dir string, s *State, code Code) error {
	if err := mayWrite(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if err := sweep(dir); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, aside)
	if err != nil {
		return fmt.Errorf("write into %s: %w", dir, err)
	}
	defer os.RemoveAll(tmp)
	if err := s.writeAll(ctx, tmp, code); err != nil {
		return err
	}
	for _, name := range []string{functionsDir, environmentsDir} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("replace %s in %s: %w", name, dir, err)
		}
	}
	names := []string{functionsDir, environmentsDir, InstallationFile}
	if _, err := os.Stat(filepath.Join(tmp, environmentsDir)); errors.Is(err, fs.ErrNotExist) {
		names = []string{functionsDir, InstallationFile}
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(tmp, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("replace %s in %s: %w", name, dir, err)
		}
	}
	return nil
}

// aside begins the name of the directory in which an export is until all of it is there.
const aside = ".export-"

func isAside(e fs.DirEntry) bool { return e.IsDir() && strings.HasPrefix(e.Name(), aside) }

// sweep removes what an export left that was killed.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look into %s: %w", dir, err)
	}
	for _, e := range entries {
		if !isAside(e) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove what an export left in %s: %w", dir, err)
		}
	}
	return nil
}

// mayWrite refuses a directory with other things in it.
func mayWrite(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !isAside(e) }) {
		return nil
	}
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, InstallationFile))
	}
	if err != nil {
		return fault.New(fault.Conflict, "%s is there, and was not written by an export: %w", dir, err).WithHint("choose a new directory, or an empty one")
	}
	return nil
}

// writeAll writes production, and a directory for each other environment.
func (s *State) writeAll(ctx context.Context, dir string, code Code) error {
	if err := s.Plain("").writeTo(ctx, dir, code); err != nil {
		return err
	}
	for _, env := range s.Environments() {
		if err := function.CheckEnvironment(env); err != nil { // a part of the path
			return err
		}
		at := filepath.Join(dir, environmentsDir, env)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := s.Plain(env).writeTo(ctx, at, code); err != nil {
			return fmt.Errorf("environment %s: %w", env, err)
		}
	}
	return nil
}

func (s *State) writeTo(ctx context.Context, dir string, code Code) error {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(function.Installation{Topics: s.Topics, Config: s.Config, Secrets: s.Secrets, Paused: s.Paused, Hooks: s.Hooks}); err != nil {
		return fmt.Errorf("write %s: %w", InstallationFile, err)
	}
	if err := os.WriteFile(filepath.Join(dir, InstallationFile), b.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, functionsDir), 0o755); err != nil {
		return err
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		if err := f.writeTo(ctx, filepath.Join(dir, functionsDir, f.dirName()), code); err != nil {
			return fmt.Errorf("export function %s: %w", f.key(), err)
		}
	}
	return nil
}

func (f *Function) writeTo(ctx context.Context, dir string, code Code) error {
	if err := function.CheckAlias(f.Alias); err != nil { // a part of the path; the manifest's name is checked below
		return err
	}
	at := ""
	if f.Code != "" {
		at = codeDir
	}
	text, err := Manifest(&f.Spec, at)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, manifestFile), text, 0o644); err != nil {
		return err
	}
	if f.Code == "" {
		return nil
	}
	archive, err := code.Code(ctx, f.Code)
	if err != nil {
		return err
	}
	defer archive.Close()
	digest, err := image.Unpack(ctx, filepath.Join(dir, codeDir), archive)
	if err == nil && digest != f.Code {
		err = fmt.Errorf("the node sent code %s, not %s", digest, f.Code)
	}
	return err
}
