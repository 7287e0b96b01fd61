package build

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// unread is of a client that reads nothing until it is released.
type unread struct {
	got      bytes.Buffer
	begun    chan struct{} // closed with the first line
	released chan struct{}
}

func (u *unread) Write(p []byte) (int, error) {
	if u.got.Len() == 0 {
		close(u.begun)
	}
	<-u.released
	return u.got.Write(p)
}

func TestABuildWhoseOutputNobodyReadsHoldsNoPlace(t *testing.T) {
	b := newBench(t, Options{Parallel: 1})
	dir := source(t, map[string]string{"main.txt": "source"})
	client := &unread{begun: make(chan struct{}), released: make(chan struct{})}
	first := make(chan error, 1)
	go func() {
		_, err := b.Run(t.Context(), Request{Dir: dir, Build: shell("seq 5000"), Function: "loud", Scope: "a", Out: client})
		first <- err
	}()
	select {
	case <-client.begun:
	case err := <-first:
		t.Fatalf("the build whose output nobody reads ended: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := b.Run(ctx, Request{Dir: dir, Build: shell("true"), Function: "quiet", Scope: "b"})
	close(client.released)
	if err != nil {
		t.Errorf("a build beside one whose output nobody reads: %v", err)
	}
	if err := <-first; err != nil {
		t.Errorf("the build whose output was read late: %v", err)
	}
	if said := client.got.String(); !strings.Contains(said, "\n5000\n") || !strings.Contains(said, "built in ") {
		t.Errorf("who read late got %d bytes, and not all: ... %q", len(said), said[max(0, len(said)-100):])
	}
}

func TestTheRoomOfTheDiskIsWatchedOftenWhateverIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, looks := errors.New("the disk is full"), 0
		b := &Builds{room: func() error {
			if looks++; looks < 4 {
				return nil
			}
			return full
		}}
		begun := time.Now()
		if err := b.watchRoom(t.Context()); !errors.Is(err, full) {
			t.Errorf("watchRoom = %v, want %v", err, full)
		}
		if took := time.Since(begun); took != 4*watchEvery {
			t.Errorf("the fourth look was after %s, want %s", took, 4*watchEvery)
		}
	})
}
