package ship

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// Stream is a sink that is a stream of the process.
type Stream struct {
	to   io.Writer
	text bool
	turn chan struct{} // has a value while somebody writes

	under *writing // of who has the turn; nil = no write's end is open
}

// writing is a write to the stream, which cannot be broken off. The goroutine that writes is waited for by the next Send; at the end of the process it
// may hang still.
type writing struct {
	what []byte
	end  chan error // has room for the one error
}

// NewStream writes objects of JSON, or plain text, to a writer.
func NewStream(to io.Writer, text bool) *Stream {
	return &Stream{to: to, text: text, turn: make(chan struct{}, 1)}
}

// Send writes lines whole. Where nobody reads, it returns with ctx, and no other write begins until that one has ended. The same lines again are not
// written twice: a reader that is slow gets on nevertheless.
func (s *Stream) Send(ctx context.Context, lines []Line) error {
	b, err := written(lines, s.text)
	if err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	if s.under != nil {
		same := bytes.Equal(s.under.what, b)
		if ended, err := s.wait(ctx); !ended || same {
			return err
		}
	}
	w := &writing{what: b, end: make(chan error, 1)}
	s.under = w
	go func() {
		_, err := s.to.Write(w.what)
		w.end <- err
	}()
	_, err = s.wait(ctx)
	return err
}

// wait is for the end of the write that is under way. The caller has the turn.
func (s *Stream) wait(ctx context.Context) (ended bool, err error) {
	select {
	case err := <-s.under.end:
		s.under = nil
		if err != nil {
			return true, fmt.Errorf("write log lines: %w", err)
		}
		return true, nil
	case <-ctx.Done():
		return false, fmt.Errorf("write log lines, which nobody reads: %w", ctx.Err())
	}
}

func written(lines []Line, text bool) ([]byte, error) {
	if text {
		return toText(lines), nil
	}
	return toJSON(lines)
}

// Check finds nothing: a stream is there.
func (s *Stream) Check(context.Context) error { return nil }

// Close leaves the stream open, which is its process's.
func (s *Stream) Close() error { return nil }
