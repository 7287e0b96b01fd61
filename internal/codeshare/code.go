package codeshare

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// Share puts the code of a digest, which is here, into the log, and returns where it stands. On a log that no other node has open it
// does nothing and returns nil. Code that a version of the catalog has stored is not stored again.
func (s *Store) Share(ctx context.Context, digest string) (*function.Stored, error) {
	if !s.shared() {
		return nil, nil
	}
	if at := s.versions.Stored(digest); at != nil {
		return at, nil
	}
	dir, err := s.Local.Dir(digest)
	if err != nil {
		return nil, err
	}
	archive, w := io.Pipe()
	var at *function.Stored
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_, err := image.Pack(dir, w)
		w.CloseWithError(err)
		return err
	})
	g.Go(func() (err error) {
		at, err = s.chunks.Append(ctx, digest, archive)
		archive.CloseWithError(err)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("store code %s in the log: %w", digest, err)
	}
	return at, nil
}

// copyChunks writes what a version has in the log.
func (s *Store) copyChunks(ctx context.Context, digest string, at function.Stored, w io.Writer) error {
	err := s.chunks.Copy(ctx, digest, at, w)
	if fault.KindOf(err) == fault.NotFound {
		return fault.New(fault.NotFound, "%w", err).WithHint("deploy the function again")
	}
	return err
}
