package pull

import (
	"context"
	"io"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// stall is how long a registry may send nothing in the middle of content.
const stall = time.Minute

// bounded reads content that a manifest gives a size: a registry cannot send more than that, nor hold the deploy up for ever by
// sending nothing.
type bounded struct {
	from  io.Reader
	size  int64
	read  int64
	pause *time.Timer
	ended func() error // what the context ended with, nil = it has not
	came  func(n int)  // nil = nobody is told
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.pause.Reset(stall)
	if b.read += int64(n); b.read > b.size {
		return 0, fault.New(fault.Invalid, "the registry sends more than the %d bytes that the manifest says", b.size).
			WithHint("push the image again")
	}
	if b.came != nil {
		b.came(n)
	}
	if err != nil && err != io.EOF {
		if cause := b.ended(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// watch gives a context that ends when its timer has not been reset for the time of stall.
func watch(ctx context.Context, digest string) (_ context.Context, pause *time.Timer, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	pause = time.AfterFunc(stall, func() {
		cancel(fault.New(fault.Timeout, "the registry sent nothing of content %s for %s", digest, stall).WithHint("try again when the registry works"))
	})
	return ctx, pause, func() {
		pause.Stop()
		cancel(nil)
	}
}

// sensible refuses a size that no content of an image has.
func sensible(digest string, size int64) error {
	if size < 0 || size > image.MaxLayerBytes {
		return fault.New(fault.TooLarge, "content %s has %d bytes by the manifest; a layer has at most %d", digest, size, int64(image.MaxLayerBytes)).
			WithHint("make the image smaller")
	}
	return nil
}
