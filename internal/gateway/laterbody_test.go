package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// keptBodies are bodies that were stored, in memory.
type keptBodies struct {
	mu   sync.Mutex
	list []string
	full bool
}

func (k *keptBodies) Put(_ context.Context, body []byte) (*function.StoredBody, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.full {
		return nil, fault.New(fault.Unavailable, "the log has no room for a body of %d bytes", len(body))
	}
	k.list = append(k.list, string(body))
	return &function.StoredBody{Stored: function.Stored{ID: "it", Chunks: len(k.list), Bytes: int64(len(body))}, Digest: "sha256:x"}, nil
}

// asked are the requests that are in the log.
func (d *waitingDesk) asked() (requests []function.LateRequest) {
	d.t.Helper()
	rs, err := d.log.Read(d.t.Context(), eventlog.Partition{Topic: function.TopicInvoke}, 0, eventlog.ReadOptions{NoWait: true})
	if err != nil {
		d.t.Fatal(err)
	}
	for i := range rs {
		var r function.InvokeRequest
		if err := json.Unmarshal(rs[i].Value, &r); err != nil || r.Request == nil {
			d.t.Fatalf("what is in the log is no request: %s, %v", rs[i].Value, err)
		}
		requests = append(requests, *r.Request)
	}
	return requests
}

func TestABodyThatIsTooLongForAnEventIsStoredAheadOfIt(t *testing.T) {
	bodies := &keptBodies{}
	d := startWaitingDesk(t, func(o *Options) { o.Limits.Event, o.Limits.Request, o.Bodies = 4<<10, 64<<10, bodies })
	short, long, nearly := "x", strings.Repeat("y", 64<<10), strings.Repeat("z", 3<<10) // the last is too long with what stands around it
	for _, body := range []string{short, long, nearly} {
		d.ask("/orders/1", body)
	}
	if len(bodies.list) != 2 || bodies.list[0] != long || bodies.list[1] != nearly {
		t.Fatalf("%d bodies were stored, want the two long ones", len(bodies.list))
	}
	requests := d.asked()
	if len(requests) != 3 {
		t.Fatalf("%d requests in the log, want 3", len(requests))
	}
	for _, r := range requests {
		if inline := string(r.Body) == short && r.Stored == nil; !inline && (len(r.Body) > 0 || r.Stored == nil || r.Stored.Bytes != int64(len(bodies.list[r.Stored.Chunks-1]))) {
			t.Errorf("a request has %d bytes of body and %+v, want the one or the other", len(r.Body), r.Stored)
		}
	}

	if g := d.send("POST", "/orders/1", long+"y"); g.status != 413 {
		t.Errorf("a body over limits.request = %d, want 413", g.status)
	}
	if g := d.send("POST", "/orders/1", "x", "X-Large", strings.Repeat("h", 5<<10)); g.status != 413 || !strings.Contains(g.body, "its body left out") {
		t.Errorf("a header that is too large = %d %s, want 413", g.status, g.body)
	}
	bodies.full = true
	if g := d.send("POST", "/orders/1", long); g.status != 503 || g.header.Get("Location") != "" {
		t.Errorf("a body that there is no room for = %d %v, want 503 and no place", g.status, g.header)
	}
	if n := len(d.asked()); n != 3 {
		t.Errorf("%d requests in the log after others were refused, want 3", n)
	}
}
