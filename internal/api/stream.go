package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// errEnding ends a stream that follows.
var errEnding = fault.New(fault.Unavailable, "the node is stopping").WithHint("follow again when it is back")

// follow runs a scan for one answer: until it ends, the client leaves, or the node stops.
func (a *API) follow(ctx context.Context, s *scan, each func(eventlog.Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-a.ending:
			cancel(errEnding)
		case <-ctx.Done():
		}
	})
	err := s.run(ctx, each)
	if errors.Is(context.Cause(ctx), errEnding) {
		err = errEnding
	}
	if gone := ended(ctx); gone != nil {
		err = gone
	}
	cancel(nil)
	wg.Wait()
	return err
}

// lines writes one JSON value a line. Until the first one nothing is sent, so an error before it has a status of its own.
type lines struct {
	w     http.ResponseWriter
	flush func() error
	said  func(error) error // what a client is told of an error
	begun bool
}

func (a *API) newLines(ctx context.Context, w http.ResponseWriter) *lines {
	return &lines{w: w, flush: http.NewResponseController(w).Flush, said: func(err error) error { return a.Discreet(ctx, err) }}
}

// begin sends the headers, so that a client which follows a quiet topic knows that it is connected.
func (l *lines) begin() error {
	if l.begun {
		return nil
	}
	l.begun = true
	l.w.Header().Set("Content-Type", ndjson)
	l.w.Header().Set("X-Accel-Buffering", "no") // a proxy in between shall not wait for more
	l.w.WriteHeader(http.StatusOK)
	return l.flush()
}

func (l *lines) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a line: %w", err)
	}
	if !l.begun {
		if err := l.begin(); err != nil {
			return err
		}
	}
	_, err = l.w.Write(append(b, '\n'))
	return err
}

// end closes the stream with what ended it: an error is the last line once lines have been sent, and before that the answer.
func (l *lines) end(err error) error {
	if err == nil {
		return l.begin()
	}
	if !l.begun {
		return err
	}
	_ = l.write(wire.ErrorOf(l.said(err))) // nobody may be there any more
	return nil
}
