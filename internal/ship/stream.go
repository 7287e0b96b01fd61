package ship

import (
	"context"
	"fmt"
	"io"
)

// Stream is a sink that is a stream of the process.
type Stream struct {
	to   io.Writer
	text bool
	turn chan struct{} // has a value while somebody writes
}

// NewStream writes objects of JSON, or plain text, to a writer.
func NewStream(to io.Writer, text bool) *Stream {
	return &Stream{to: to, text: text, turn: make(chan struct{}, 1)}
}

// Send writes lines whole.
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
	if _, err := s.to.Write(b); err != nil {
		return fmt.Errorf("write log lines: %w", err)
	}
	return nil
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
