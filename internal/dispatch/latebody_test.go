package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// bodies are what was stored, by digest.
type bodies struct {
	mu   sync.Mutex
	of   map[string]string
	err  error // what is wrong with the log just now
	out  int   // given and not freed
	gets int
}

func (b *bodies) Get(_ context.Context, _ string, at *function.StoredBody) ([]byte, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gets++
	if err := b.err; err != nil {
		b.err = nil
		return nil, nil, err
	}
	body, ok := b.of[at.Digest]
	if !ok {
		return nil, nil, fault.New(fault.NotFound, "the request's body is gone")
	}
	b.out++
	return []byte(body), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.out--
	}, nil
}

// askStored appends a request whose body stands elsewhere.
func (w *world) askStored(id, digest string, length int) {
	w.t.Helper()
	data, err := json.Marshal(function.InvokeRequest{Function: "desk", ID: id, Request: &function.LateRequest{
		Route: "orders", Method: "POST", Target: "/orders/7", Stored: &function.StoredBody{Stored: function.Stored{ID: "it", Chunks: 1, Bytes: int64(length)}, Digest: digest},
	}})
	if err != nil {
		w.t.Fatalf("encode: %v", err)
	}
	w.append(function.TopicInvoke, &event.Event{ID: id, Source: "/test", Type: event.TypeInvokeRequested, Subject: "desk", DataContentType: "application/json", Data: data})
}

func TestABodyThatStandsElsewhereIsGivenAtEachAttemptAndRedrive(t *testing.T) {
	long := strings.Repeat("order", 1000)
	b := &bodies{of: map[string]string{"sha256:a": long}, err: errors.New("the log is away for a moment")}
	w := newWorld(t, setting{options: Options{Bodies: b}})
	defer w.close()
	w.deployRoutes()
	var mu sync.Mutex
	var seen []string
	well := false
	n := w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		body, err := io.ReadAll(c.Invocation.Request.Body)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(body))
		if !well {
			return answered(503, "later"), nil
		}
		return answered(200, "fine"), nil
	}))
	w.askStored("one", "sha256:a", len(long))
	w.awaitFinished(1)
	mu.Lock()
	attempts := len(seen)
	well = true
	mu.Unlock()
	for _, letter := range w.dead() {
		if strings.Contains(string(letter.Event), long) || !strings.Contains(string(letter.Event), "sha256:a") {
			t.Errorf("the dead letter has %s, want where the body stands and not the body", letter.Event)
		}
	}
	if attempts < 2 {
		t.Errorf("%d attempts, want several", attempts)
	}
	if _, err := n.d.Redrive(t.Context(), RedriveRequest{Function: "desk"}); err != nil {
		t.Fatal(err)
	}
	w.awaitFinished(2)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != attempts+1 {
		t.Errorf("%d attempts after the redrive, want one more than %d", len(seen), attempts)
	}
	for _, body := range seen {
		if body != long {
			t.Errorf("an attempt was given %d bytes, want the body", len(body))
		}
	}
	if b.out != 0 {
		t.Errorf("%d bodies were not freed", b.out)
	}
}

func TestALostBodyIsADeadLetterAndNeverAnEmptyBody(t *testing.T) {
	b := &bodies{of: map[string]string{"sha256:short": "less than was announced"}}
	w := newWorld(t, setting{options: Options{Bodies: b}})
	defer w.close()
	w.deployRoutes()
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		t.Errorf("the function was called for %s", c.Invocation.ID)
		return answered(200, "fine"), nil
	}))
	w.askStored("gone", "sha256:gone", 100)
	w.askStored("short", "sha256:short", 100)
	reasons := map[string]string{"gone": "the request's body is gone", "short": "its body has 23 of 100 bytes"}
	for _, run := range w.awaitFinished(2) {
		if run.State != function.RunDead || !strings.Contains(run.Reason, reasons[run.Event.ID]) {
			t.Errorf("run of %s = %s: %s, want dead: %s", run.Event.ID, run.State, run.Reason, reasons[run.Event.ID])
		}
	}
	if n := len(w.dead()); n != 2 {
		t.Errorf("%d dead letters, want 2", n)
	}
}
