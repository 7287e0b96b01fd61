package app

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

// lettingGo calls free as soon as something is logged.
type lettingGo struct {
	free func()
	said bytes.Buffer
}

func (l *lettingGo) Write(b []byte) (int, error) {
	l.free()
	return l.said.Write(b)
}

func TestANodeWaitsForTheOneThatWasKilled(t *testing.T) {
	for name, test := range map[string]struct {
		says string
		hold func(t *testing.T, dir string) (io.Closer, func() (io.Closer, error))
	}{
		"its lock": {"the last node has not ended yet", func(t *testing.T, dir string) (io.Closer, func() (io.Closer, error)) {
			held, err := lockData(dir)
			if err != nil {
				t.Fatal(err)
			}
			return held, func() (io.Closer, error) { return lockData(dir) }
		}},
		"its port": {"by the last node, which has not ended yet, or by another program", func(t *testing.T, _ string) (io.Closer, func() (io.Closer, error)) {
			held, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return held, func() (io.Closer, error) { return listen("gateway", held.Addr().String()) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			held, take := test.hold(t, dir)
			said := &lettingGo{free: func() { held.Close() }}
			logger := slog.New(slog.NewTextHandler(said, nil))

			if _, err := taken(t.Context(), newTakeover(dir, logger), take); err == nil || said.said.Len() > 0 {
				t.Fatalf("where no node was killed: %v, after it said %q; want to be refused at once", err, said.said.String())
			}
			if err := os.WriteFile(filepath.Join(dir, NodeFile), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
			mine, err := taken(t.Context(), newTakeover(dir, logger), take)
			if err != nil {
				t.Fatalf("after the killed one has ended: %v", err)
			}
			defer mine.Close()
			if text := said.said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, test.says) || !strings.Contains(text, dir) {
				t.Errorf("it said %q, want once for what it waits", text)
			}
		})
	}
}

func TestANodeDoesNotWaitForOneThatLives(t *testing.T) {
	dir := t.TempDir()
	held, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	over := &takeover{data: dir, logger: slog.New(slog.DiscardHandler)} // its time is over
	if _, err := taken(t.Context(), over, func() (io.Closer, error) { return lockData(dir) }); fault.KindOf(err) != fault.Conflict {
		t.Errorf("taken = %v, want a conflict", err)
	}
}
