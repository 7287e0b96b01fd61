package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/config"
)

// hangups hears SIGHUP. It stands for two things: that a node shall read its configuration again, and that the terminal of a node in the foreground was
// closed.
type hangups struct {
	heard    chan os.Signal
	terminal *os.File // nil = the process has none
}

func hearHangups() *hangups {
	h := &hangups{heard: make(chan os.Signal, 1)}
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if term.IsTerminal(int(f.Fd())) {
			h.terminal = f
		}
	}
	signal.Notify(h.heard, syscall.SIGHUP)
	return h
}

// follow lets the node read its configuration again at each hang-up. The context that it returns ends with the one that it is given, or with the
// terminal; end waits until nothing of this is under way.
func (h *hangups) follow(ctx context.Context, n *app.Node, read func() (*config.Finding, error), manager *supervisor) (until context.Context, end func()) {
	until, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-until.Done():
				return
			case <-h.heard:
			}
			if h.terminal != nil && !term.IsTerminal(int(h.terminal.Fd())) { // a terminal that was closed answers nothing any longer
				manager.logger.Info("the terminal was closed")
				cancel()
				return
			}
			manager.reload(func() {
				found, err := read()
				if err == nil {
					err = n.Reload(found.Node)
				}
				if err != nil {
					manager.logger.Error("configuration not taken; all stays as it was", "err", err)
				}
			})
		}
	}()
	return until, func() {
		signal.Stop(h.heard)
		cancel()
		<-done
	}
}
