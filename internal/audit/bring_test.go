package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// stuck is a place that gives no answer from some time on, as a disk on another machine that is gone: no context ends the call.
type stuck struct {
	Place
	mu      sync.Mutex
	on      bool
	entered chan struct{} // gets a token when a call hangs
	go_on   chan struct{} // closed when they end
	gone    bool          // with its node: what ends then brings nothing any more
}

func newStuck(p Place, on bool) *stuck {
	return &stuck{Place: p, on: on, entered: make(chan struct{}, 10), go_on: make(chan struct{})}
}

func (s *stuck) hang() error {
	s.mu.Lock()
	on := s.on
	s.mu.Unlock()
	if on {
		s.entered <- struct{}{}
		<-s.go_on
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errors.New("the node is gone")
	}
	return nil
}

func (s *stuck) Last(ctx context.Context, key note.Verifier) (*Signed, error) {
	if err := s.hang(); err != nil {
		return nil, err
	}
	return s.Place.Last(ctx, key)
}

// end is the end of the node that has this place: its calls hang on to the end of the test.
func (s *stuck) end(t *testing.T) {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	t.Cleanup(func() { close(s.go_on) })
}

func (s *stuck) set(on bool) {
	s.mu.Lock()
	s.on = on
	s.mu.Unlock()
}

// said is what a logger wrote.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// running is an audit that runs; stop ends it as a node that stops does.
func running(t *testing.T, k *Keeper) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := k.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

// soon waits for what a goroutine beside the test does.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !is() {
		select {
		case <-late:
			t.Fatalf("not within 20 s: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// A disk on another machine that hangs holds up nobody: neither who asks how far the audit is, nor what is signed, nor, for long, the stop.
func TestAPlaceThatHangsHoldsUpNobody(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	var place *stuck
	log := &said{}
	fresh := func(on bool) {
		r.again()
		place = newStuck(r.keep.Outside, on)
		r.keep.Outside, r.keep.Look, r.keep.Every = place, time.Millisecond, time.Millisecond
		r.keep.patience = 50 * time.Millisecond
		r.keep.Now = time.Now
		r.keep.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	fresh(false)
	r.emit("orders", 0, 3)
	stop := running(t, r.keep)
	soon(t, "the first checkpoint is outside", func() bool { s := r.keep.State(); return s.Checkpoint == 1 && s.Missing == 0 })
	place.set(true)
	r.emit("orders", 3, 3)
	<-place.entered
	r.emit("orders", 6, 3)
	soon(t, "it signs on", func() bool { return r.keep.State().Checkpoint >= 3 })
	if s := r.keep.State(); s.Missing < 1 || s.OutsideTrouble != "" {
		t.Errorf("State = %+v, want checkpoints that are missing outside, and no word of trouble after so short a time", s)
	}
	if _, why := r.keep.bringer.missing(9, time.Now().Add(answerWait)); !strings.HasPrefix(why, "there is no answer since 20") {
		t.Errorf("later it says %q, want that there is no answer", why)
	}
	stop()
	if text := log.String(); !strings.Contains(text, "checkpoints are not outside; they are in the log") || !strings.Contains(text, "there was no answer in time") {
		t.Errorf("the log says\n%s\nwant what was not brought", text)
	}

	place.end(t)

	// The next start hangs at its first look. Nothing is signed before it is known what is there; records are hashed.
	fresh(true)
	r.emit("orders", 9, 3)
	before := r.keep.State()
	stop = running(t, r.keep)
	<-place.entered
	soon(t, "the state of before is read", func() bool { return r.keep.State().Checkpoint >= 3 })
	at := r.keep.State().Checkpoint
	if _, err := r.keep.Prove(t.Context(), eventlog.Position{Topic: "orders", Offset: 10}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Prove before anybody knows what is outside = %v, want Unavailable", err)
	}
	if s := r.keep.State(); s.Checkpoint != at {
		t.Errorf("State = %+v after %+v, want nothing signed yet", s, before)
	}
	place.set(false)
	close(place.go_on)
	soon(t, "everything is outside", func() bool { s := r.keep.State(); return s.Checkpoint > at && s.Missing == 0 })
	stop()
	if report := r.clean(); report.Records < 12 || report.Unsigned > 1 {
		t.Errorf("report = %+v, want all records signed", report)
	}
	text, err := os.ReadFile(r.file)
	if n := int64(len(pieces(text))); err != nil || n != r.keep.State().Checkpoint {
		t.Errorf("%d checkpoints outside (%v), want each once", n, err)
	}
}

// What is taken away outside while the node runs comes back from the log; what says something else is not added to, and the node signs on.
func TestAFileOutsideThatIsChangedWhileTheNodeRuns(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	for i := range 3 {
		r.emit("orders", i, 1)
		r.sign()
	}
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	all := pieces(text)
	if err := os.WriteFile(r.file, all[0], 0o600); err != nil {
		t.Fatal(err)
	}
	r.emit("orders", 3, 1)
	r.sign()
	if text, err = os.ReadFile(r.file); err != nil || len(pieces(text)) != 4 {
		t.Errorf("%d checkpoints outside (%v), want all 4", len(pieces(text)), err)
	}
	r.clean()

	// A copy of the node has signed another checkpoint 5, and brought it.
	c := &checkpoint{seq: 5, time: r.now.Now(), prev: r.keep.state.last}
	raw, err := sign(c.text(), r.keep.key)
	if err != nil {
		t.Fatal(err)
	}
	forged := append(bytes.Clone(text), raw...)
	if err := os.WriteFile(r.file, forged, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r.emit("orders", 4+i, 1)
		r.sign()
	}
	s := r.keep.State()
	if s.Checkpoint != 6 || s.Missing != 2 || !strings.Contains(s.OutsideTrouble, "another checkpoint 5") {
		t.Errorf("State = %+v, want 6 checkpoints, 2 of them not outside, where another one is", s)
	}
	if now, err := os.ReadFile(r.file); err != nil || !bytes.Equal(now, forged) {
		t.Errorf("the file was added to (%v)", err)
	}
	r.found(r.verify(), rewritten, eventlog.Position{})
}

// counted counts what a place is given at a time.
type counted struct {
	Place
	given []int
}

func (c *counted) Add(ctx context.Context, key note.Verifier, add []*Signed) error {
	c.given = append(c.given, len(add))
	return c.Place.Add(ctx, key, add)
}

// Many checkpoints that wait are brought some at a time.
func TestCheckpointsAreBroughtInBatches(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	for i := range 4 {
		r.emit("orders", i, 1)
		r.sign()
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	r.again()
	place := &counted{Place: r.keep.Outside}
	r.keep.Outside = place
	r.keep.bringer.batch = 800 // a checkpoint or two
	r.sign()
	if report := r.clean(); report.Checkpoints != 4 || len(place.given) < 2 {
		t.Errorf("report = %+v, want 4 checkpoints in some batches, and not %v", report, place.given)
	}
}
