package codeshare

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/dalamb/dalamb/internal/function"
)

// ShareContent puts content of an image into the log, as Share does with code, and returns where it stands; nil on a log that no other
// node has open.
func (s *Store) ShareContent(ctx context.Context, digest string, open func() (io.ReadCloser, error)) (*function.Stored, error) {
	if !s.shared() {
		return nil, nil
	}
	if at := s.versions.Stored(digest); at != nil {
		return at, nil
	}
	content, err := open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	at, err := s.chunks.Append(ctx, digest, content)
	if err != nil {
		return nil, fmt.Errorf("store content %s in the log: %w", digest, err)
	}
	return at, nil
}

// FetchContent gives put what stands in the log. put has to verify it.
func (s *Store) FetchContent(ctx context.Context, digest string, at function.Stored, put func(io.Reader) error) error {
	content, w := io.Pipe()
	var copying sync.WaitGroup
	copying.Go(func() { w.CloseWithError(s.copyChunks(ctx, digest, at, w)) })
	err := put(content)
	content.Close() // put may have seen enough
	copying.Wait()
	if err != nil {
		return fmt.Errorf("fetch content %s from the log: %w", digest, err)
	}
	return nil
}
