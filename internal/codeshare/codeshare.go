// Package codeshare brings the code of functions to every node of a log that several nodes have open: whoever takes a deploy puts the
// code into the log, the others take it from there. It does not unpack or check code; image does, and a node alone needs none of this.
//
// Content of images that no registry has for the other nodes goes the same way.
//
// Code stands in function.TopicCode as chunks. Where they begin is part of the version (function.Stored), so that a node finds them without a search.
package codeshare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/dalamb/dalamb/internal/chunk"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Local is the node's own store, which image.Store is.
type Local interface {
	Put(ctx context.Context, archive io.Reader) (digest string, err error)
	Has(digest string) bool
	Dir(digest string) (string, error)
	Size(digest string) (int64, error)
}

// Versions are the functions' versions, as the catalog has them.
type Versions interface {
	// Wanted lists the versions that may be run, and a channel that is closed when that changes.
	Wanted() (versions []*function.Version, changed <-chan struct{})
	// Stored is where the code, or the image's layer, of a digest stands in the log; nil when no version says so.
	Stored(digest string) *function.Stored
}

// Options of New. All are required.
type Options struct {
	Log      eventlog.Log
	Local    Local
	Versions Versions
	Logger   *slog.Logger
}

// Store is a node's code store with the log behind it. Safe for concurrent use.
type Store struct {
	Local
	log      eventlog.Log
	chunks   chunk.Store
	versions Versions
	logger   *slog.Logger
	fetches  singleflight.Group // by digest
}

// New checks the options.
func New(o Options) (*Store, error) {
	if o.Log == nil || o.Local == nil || o.Versions == nil || o.Logger == nil {
		return nil, errors.New("codeshare needs a log, a local store, the versions and a logger")
	}
	return &Store{Local: o.Local, log: o.Log, chunks: chunk.Store{Log: o.Log, Topic: function.TopicCode}, versions: o.Versions, logger: o.Logger}, nil
}

// shared says whether other nodes may read this log.
func (s *Store) shared() bool {
	l, ok := s.log.(eventlog.Sharer)
	return ok && l.Shared()
}

// Dir returns the directory of a digest, after it was taken from the log if it is not here yet. It blocks for at most a minute.
func (s *Store) Dir(digest string) (string, error) {
	dir, err := s.Local.Dir(digest)
	if fault.KindOf(err) != fault.NotFound {
		return dir, err
	}
	at := s.versions.Stored(digest)
	if at == nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.fetch(ctx, digest, *at); err != nil {
		return "", err
	}
	return s.Local.Dir(digest)
}

// Run takes the code of every version that may be run from the log, as soon as the catalog names it, so that no invocation has to wait
// for it. It blocks until ctx is done.
func (s *Store) Run(ctx context.Context) error {
	return Follow(ctx, s.versions.Wanted, func(v *function.Version) bool {
		if v.Stored == nil || s.Has(v.Code) {
			return true
		}
		err := s.fetch(ctx, v.Code, *v.Stored)
		if err != nil && ctx.Err() == nil {
			s.logger.Warn("fetch code from the log", "function", v.Function(), "version", v.Number, "code", v.Code, "err", err)
		}
		return err == nil
	})
}

// fetch takes code from the log into the local store; several who want the same wait for one.
func (s *Store) fetch(ctx context.Context, digest string, at function.Stored) error {
	_, err, _ := s.fetches.Do(digest, func() (any, error) {
		if s.Has(digest) {
			return nil, nil
		}
		archive, w := io.Pipe()
		var copying sync.WaitGroup
		copying.Go(func() { w.CloseWithError(s.copyChunks(ctx, digest, at, w)) })
		got, err := s.Put(ctx, archive)
		archive.Close() // Put may have seen enough
		copying.Wait()
		if err == nil && got != digest {
			err = fault.New(fault.Internal, "the log has %s where %s should be", got, digest).WithHint("deploy the function again")
		}
		return nil, err
	})
	if err != nil {
		return fmt.Errorf("fetch code %s: %w", digest, err)
	}
	return nil
}
