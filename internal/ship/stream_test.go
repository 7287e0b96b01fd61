package ship

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStreamThatNobodyReadsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, writer := io.Pipe()
		s := NewStream(writer, true)
		for range 2 { // the second finds the first's write, and begins no other
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := s.Send(ctx, some("one")); !errors.Is(err, context.DeadlineExceeded) || refused(err) {
				t.Errorf("Send = %v, want that nobody reads", err)
			}
			cancel()
		}
		lines := make(chan string, 3)
		go func() {
			defer close(lines)
			for all := bufio.NewScanner(reader); all.Scan(); {
				lines <- all.Text()
			}
		}()
		for _, text := range []string{"one", "two"} {
			if err := s.Send(t.Context(), some(text)); err != nil {
				t.Errorf("Send = %v", err)
			}
		}
		writer.Close()
		var got []string
		for line := range lines {
			got = append(got, line[strings.LastIndex(line, " ")+1:])
		}
		if strings.Join(got, " ") != "one two" {
			t.Errorf("the reader has %q, want each line once", got)
		}
	})
}
