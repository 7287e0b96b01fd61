package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// bundle is a code directory packed into a file.
type bundle struct {
	file   string
	digest string // "" = there is no code, and nothing to send
	sent   bool
}

// bundles are the packed code directories of a manifest, by their path in it.
type bundles map[string]*bundle

func (bs bundles) remove() {
	for _, b := range bs {
		if b.file != "" {
			os.Remove(b.file)
		}
	}
}

// pack packs each code directory of a manifest once.
func (s *source) pack() (bundles, error) {
	bs := bundles{}
	for _, d := range s.manifest.Functions {
		if bs[d.CodePath] != nil {
			continue
		}
		if d.CodePath == "" {
			bs[""] = &bundle{sent: true}
			continue
		}
		f, err := os.CreateTemp("", "dalamb-code-*")
		if err != nil {
			return bs, fault.New(fault.Unavailable, "pack the code of %s: %w", d.Spec.Name, err).
				WithHint("set TMPDIR to a directory that can be written to")
		}
		b := &bundle{file: f.Name()}
		bs[d.CodePath] = b
		b.digest, err = image.Pack(s.codeDir(&d), f)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return bs, fmt.Errorf("pack %s, the code of %s: %w", s.codeName(&d), d.Spec.Name, err)
		}
	}
	return bs, nil
}

// upload sends the code where the node does not hold it.
func (b *bundle) upload(ctx context.Context, node *client.Client) error {
	if b.sent {
		return nil
	}
	if err := node.BringCode(ctx, b.digest, func() (io.ReadCloser, error) { return os.Open(b.file) }); err != nil {
		return err
	}
	b.sent = true
	return nil
}
