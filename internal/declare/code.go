package declare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

func (f *Function) request() wire.DeployRequest {
	return wire.DeployRequest{Spec: f.Spec, Code: f.Code, Alias: f.Alias, Build: f.build, ImageDigest: f.image}
}

// alone is a function without all that a plan may have to make first.
func alone(s function.Spec) function.Spec {
	s.Triggers, s.Async, s.Config = nil, nil, nil
	return s
}

// builtAs says whether code was built of the same source in the same way.
func (f *Function) builtAs(b *function.Built) bool {
	return b != nil && b.Source == f.Source && reflect.DeepEqual(b.How, f.Build)
}

// bring has the code of a function on the node.
func (f *Function) bring(ctx context.Context, node *client.Client, say func(function, line string)) error {
	if f.Dir == "" {
		return nil
	}
	digest := f.Code
	if f.Build != nil {
		digest = f.Source
	}
	if err := node.BringCode(ctx, digest, func() (io.ReadCloser, error) { return packed(f.Dir, digest) }); err != nil {
		return fmt.Errorf("upload the code of %s: %w", f.key(), err)
	}
	if f.Build == nil {
		return nil
	}
	made, err := node.BuildAll(ctx, wire.BuildOf(f.Spec.Name, f.Declared, f.Source, *f.Build), func(line string) { say(f.key(), line) })
	if err != nil {
		return fmt.Errorf("build %s: %w", f.key(), err)
	}
	f.Code, f.build = made.Code, made.Built.ID
	if made.Image != "" {
		f.Spec.Image = made.Image
	}
	return nil
}

// packed is a directory's archive, in a file that goes when it is closed. The directory is to have that digest.
func packed(dir, digest string) (io.ReadCloser, error) {
	f, err := os.CreateTemp("", "dalamb-code-*")
	if err != nil {
		return nil, err
	}
	archive := passing{f}
	now, err := image.Pack(dir, f)
	if err == nil && now != digest {
		err = fmt.Errorf("%s has changed since it was looked at", dir)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		archive.Close()
		return nil, err
	}
	return archive, nil
}

// passing is a file that is removed when it is closed.
type passing struct{ *os.File }

// Close implements io.Closer.
func (p passing) Close() error { return errors.Join(p.File.Close(), os.Remove(p.Name())) }
