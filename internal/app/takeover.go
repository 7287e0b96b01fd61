package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// A node that was killed has its lock and its ports until the kernel has ended it, which takes the longer the more memory it had. One that is
// started at once waits for that, not for long: the last node may as well be alive.
const (
	takeoverMost   = 3 * time.Second
	takeoverGlance = 20 * time.Millisecond
)

// takeover takes what the last node on a data directory may still have.
type takeover struct {
	data   string
	until  time.Time // zero = there was none, or it has stopped by itself
	logger *slog.Logger
	told   bool
}

func newTakeover(data string, logger *slog.Logger) *takeover {
	t := &takeover{data: data, logger: logger}
	if _, err := os.Stat(filepath.Join(data, NodeFile)); err == nil {
		t.until = time.Now().Add(takeoverMost)
	}
	return t
}

// taken is what take returns, as soon as it is not refused because somebody else has it, or that has lasted too long.
func taken[T any](ctx context.Context, t *takeover, take func() (T, error)) (T, error) {
	for {
		v, err := take()
		if err == nil || fault.KindOf(err) != fault.Conflict && !errors.Is(err, syscall.EADDRINUSE) || !time.Now().Before(t.until) {
			return v, err
		}
		if !t.told {
			t.told = true
			t.logger.Info(heldBy(err), "data", t.data, "err", err)
		}
		select {
		case <-time.After(takeoverGlance):
		case <-ctx.Done():
			return v, err
		}
	}
}

// heldBy says who may have what could not be taken: a lock only a node has, a port anybody.
func heldBy(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return "the port is taken, by the last node, which has not ended yet, or by another program"
	}
	return "the last node has not ended yet"
}
