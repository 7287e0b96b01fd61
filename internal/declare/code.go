package declare

import (
	"context"
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
	if err := upload(ctx, node, f.Dir, digest); err != nil {
		return fmt.Errorf("upload the code of %s: %w", f.key(), err)
	}
	if f.Build == nil {
		return nil
	}
	b := wire.BuildRequest{Function: f.Spec.Name, Source: f.Source, Build: *f.Build}
	if program, own := f.Declared.OwnProgram(); own {
		b.Programs = []string{program}
	}
	made, err := node.BuildAll(ctx, b, func(line string) { say(f.key(), line) })
	if err != nil {
		return fmt.Errorf("build %s: %w", f.key(), err)
	}
	f.Code, f.build = made.Code, made.Built.ID
	if made.Image != "" {
		f.Spec.Image = made.Image
	}
	return nil
}

// upload sends a directory where the node does not hold it.
func upload(ctx context.Context, node *client.Client, dir, digest string) error {
	there, err := node.HasCode(ctx, digest)
	if err != nil || there {
		return err
	}
	archive, err := os.CreateTemp("", "dalamb-code-*")
	if err != nil {
		return err
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	now, err := image.Pack(dir, archive)
	if err == nil && now != digest {
		err = fmt.Errorf("%s has changed since it was looked at", dir)
	}
	if err == nil {
		_, err = archive.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	return node.PutCode(ctx, digest, archive)
}
