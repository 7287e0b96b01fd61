package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// glance is how often a command that follows looks whether somebody still reads.
const glance = 200 * time.Millisecond

// follow is the context of a command that streams. When the command follows and its standard output is a pipe that nobody reads
// any more, as in dalamb events -f | head -1, the context ends: a quiet topic would give no write that could fail. stop waits.
func follow(c *cobra.Command, on bool) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	out, ok := c.OutOrStdout().(*os.File)
	if !on || !ok {
		return ctx, cancel
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(glance); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			fds := []unix.PollFd{{Fd: int32(out.Fd())}} // no events asked for: what is wrong is always told
			if n, err := unix.Poll(fds, 0); err == nil && n > 0 {
				cancel()
			}
		}
	}()
	return ctx, func() { cancel(); <-done }
}

// ended is the error of a command that streams: the end of one that follows is no failure.
func ended(ctx context.Context, on bool, err error) error {
	if on && ctx.Err() != nil {
		return nil
	}
	return err
}
