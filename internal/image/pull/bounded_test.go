package pull

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// slow sends a byte after each pause, then nothing more until its context ends.
type slow struct {
	ctx    context.Context
	pauses []time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.pauses) == 0 {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	select {
	case <-time.After(s.pauses[0]):
		s.pauses = s.pauses[1:]
		return copy(p, "x"), nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

func TestARegistryThatSendsNothingIsNotWaitedForWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, pause, done := watch(t.Context(), "sha256:1")
		defer done()
		begun := time.Now()
		from := &slow{ctx: ctx, pauses: []time.Duration{stall - time.Second, stall - time.Second}}
		got, err := io.ReadAll(&bounded{from: from, size: 100, pause: pause, ended: func() error { return context.Cause(ctx) }})
		if string(got) != "xx" || fault.KindOf(err) != fault.Timeout {
			t.Errorf("read %q, %v, want what came slowly and then a time-out", got, err)
		}
		if took := time.Since(begun); took != 3*stall-2*time.Second {
			t.Errorf("took %s, want the time-out %s after the last byte", took, stall)
		}
	})
}

func TestContentIsNoLongerThanItsManifestSays(t *testing.T) {
	ctx, pause, done := watch(t.Context(), "sha256:1")
	defer done()
	read := func(size int64) error {
		_, err := io.ReadAll(&bounded{from: strings.NewReader("12345"), size: size, pause: pause, ended: ctx.Err})
		return err
	}
	if err := read(5); err != nil {
		t.Errorf("read of 5 bytes = %v", err)
	}
	var f *fault.Error
	if err := read(4); !errors.As(err, &f) || f.Kind != fault.Invalid {
		t.Errorf("read of 5 bytes where the manifest says 4 = %v, want invalid", err)
	}
	for _, size := range []int64{-1, 1 << 40} {
		if err := sensible("sha256:1", size); fault.KindOf(err) != fault.TooLarge {
			t.Errorf("sensible(%d) = %v, want too large", size, err)
		}
	}
}
