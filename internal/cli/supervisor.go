package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/app"
)

// supervisor is who has started the node, where it waits for the node's word: systemd with Type=notify. sd_notify(3).
type supervisor struct {
	logger *slog.Logger
	served atomic.Bool // that it is ready was told
}

// tell says how the node is. Nobody may be there to hear it.
func (s *supervisor) tell(words ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(words, "\n")); err != nil {
		s.logger.Warn("the service manager cannot be told", "err", err)
	}
}

// ready says that the node serves, also after it has read its configuration again.
func (s *supervisor) ready() {
	s.served.Store(true)
	s.tell(daemon.SdNotifyReady, "STATUS=serving")
}

// waiting says why the node does not serve yet.
func (s *supervisor) waiting(err error) {
	s.tell("STATUS=waiting for the log: " + strings.ReplaceAll(err.Error(), "\n", " "))
}

// reload tells of what happens while the node reads its configuration again. One that is not ready yet is not so afterwards.
func (s *supervisor) reload(read func()) {
	if !s.served.Load() {
		read()
		return
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		s.tell(daemon.SdNotifyReloading, fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
	}
	read()
	s.ready()
}

// stopping says that the node will be gone after drain and what comes behind that.
func (s *supervisor) stopping(drain time.Duration) {
	s.tell(daemon.SdNotifyStopping, "STATUS=stopping", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (drain+time.Minute).Microseconds()))
}

// watch tells at half of the time that the manager asks for that the node is alive, for as long as it is, until ctx is done.
func (s *supervisor) watch(ctx context.Context, n *app.Node) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.logger.Warn("the service manager's watchdog cannot be told", "err", err)
	}
	if every <= 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		if n.Alive(every / 8) {
			s.tell(daemon.SdNotifyWatchdog)
		} else {
			s.logger.Error("the node does not answer itself; the service manager is not told that it lives")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
