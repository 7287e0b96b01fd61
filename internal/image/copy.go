package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Copy makes the directory to, with what Pack would take of the directory from in it, and returns the digest of that. It is on no disk for sure: a copy is for
// who will not need it after a crash. What cannot be part of code is an error as of Pack.
func Copy(ctx context.Context, to, from string) (digest string, err error) {
	if err := os.Mkdir(to, 0o755); err != nil {
		return "", fmt.Errorf("make room for a copy: %w", err)
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return "", fmt.Errorf("open room for a copy: %w", err)
	}
	defer root.Close()
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		var err error
		digest, err = Pack(from, w)
		w.CloseWithError(err)
		packed <- err
	}()
	err = extract(ctx, root, r)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // what follows the end of an archive
	}
	r.Close()
	packErr := <-packed
	switch {
	case err == nil:
		return digest, packErr
	case packErr != nil && !errors.Is(packErr, io.ErrClosedPipe):
		return "", packErr // why extract saw no whole archive
	}
	return "", err
}
