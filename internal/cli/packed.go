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

// packedCode is a code directory packed into a file.
type packedCode struct {
	file   string
	digest string // "" = there is no code, and nothing to send
	sent   bool
}

// packed are the packed code directories of a manifest, by their path in it.
type packed map[string]*packedCode

func (bs packed) remove() {
	for _, b := range bs {
		if b.file != "" {
			os.Remove(b.file)
		}
	}
}

// pack packs each code directory of a manifest once.
func (s *source) pack() (packed, error) {
	bs := packed{}
	for _, d := range s.manifest.Functions {
		if bs[d.CodePath] != nil {
			continue
		}
		if d.CodePath == "" {
			bs[""] = &packedCode{sent: true}
			continue
		}
		f, err := os.CreateTemp("", "dalamb-code-*")
		if err != nil {
			return bs, fault.New(fault.Unavailable, "pack the code of %s: %w", d.Spec.Name, err).
				WithHint("set TMPDIR to a directory that can be written to")
		}
		b := &packedCode{file: f.Name()}
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
func (b *packedCode) upload(ctx context.Context, node *client.Client) error {
	if b.sent {
		return nil
	}
	if err := node.BringCode(ctx, b.digest, func() (io.ReadCloser, error) { return os.Open(b.file) }); err != nil {
		return err
	}
	b.sent = true
	return nil
}
