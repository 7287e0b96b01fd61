package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/dalamb/dalamb/internal/wire"
)

// progressGlance is how often a person is shown how far something is.
const progressGlance = 200 * time.Millisecond

// progress is a line on a terminal that is written again and again; zero = there is no terminal, and nothing is written.
type progress struct{ w io.Writer }

// progressOn is one on w where that is a terminal.
func progressOn(w io.Writer) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return progress{w}
	}
	return progress{}
}

func (p progress) show(format string, args ...any) {
	if p.w != nil {
		fmt.Fprintf(p.w, "\r\x1b[K"+format, args...) // ECMA-48, erase in line
	}
}

// pulls shows how far the node is with an image, while do runs.
func (p progress) pulls(ctx context.Context, fn, ref string, list func(context.Context) (wire.ImagePullList, error), do func() error) error {
	if p.w == nil || ref == "" {
		return do()
	}
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(progressGlance)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			all, err := list(ctx)
			if err != nil {
				continue // do says what is wrong
			}
			for _, one := range all.Pulls {
				if one.Reference == ref {
					p.show("%s: %d of %s, %s", fn, one.Done, count(int64(one.Layers), "layer"), portion(one.Came, one.Bytes))
					break
				}
			}
		}
	})
	err := do()
	cancel()
	watch.Wait()
	p.show("")
	return err
}

// sending shows how far an image is sent.
func (p progress) sending(fn string) func(done, total int64) {
	if p.w == nil {
		return nil
	}
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); done == total || now.Sub(last) >= progressGlance {
			last = now
			p.show("%s: sending its image, %s", fn, portion(done, total))
		}
	}
}

// portion is so many bytes of so many.
func portion(done, total int64) string {
	return bytesText(done) + " of " + bytesText(total)
}
