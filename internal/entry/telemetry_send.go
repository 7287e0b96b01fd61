package entry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	sendTime  = 2 * time.Second        // for one delivery
	sendTries = 3                      // of one batch; then it is dropped and counted
	flushTime = 500 * time.Millisecond // at an instance's end
)

// subscription is what one extension gets, and how. Its goroutine is run.
type subscription struct {
	owner   string // id of the extension
	old     bool   // by the Logs API
	kinds   map[kind]bool
	limits  buffering
	deliver func(ctx context.Context, records [][]byte) error
	dropped func(records, size int) []byte // the record that tells of them
	done    <-chan struct{}                // closed by end
	end     func()

	mu        sync.Mutex
	records   [][]byte
	size      int
	lost      int // records
	lostBytes int
	flushing  bool
	changed   chan struct{} // of capacity 1: something came, or a flush was asked for
	empty     chan struct{} // closed when nothing is left to send, and made anew
}

// buffering is in the API's own words and units.
type buffering struct {
	Items   int `json:"maxItems"`
	Bytes   int `json:"maxBytes"`
	Timeout int `json:"timeoutMs"`
}

// add never blocks: what an extension is too slow to take is lost, and counted.
func (s *subscription) add(f fact) {
	b := f.telemetry
	if s.old {
		b = f.logs
	}
	if b == nil || !s.kinds[f.kind] {
		return
	}
	s.mu.Lock()
	if len(s.records) >= 2*s.limits.Items || s.size+len(b) > 2*s.limits.Bytes {
		s.lost++
		s.lostBytes += len(b)
	} else {
		s.records = append(s.records, b)
		s.size += len(b)
	}
	s.mu.Unlock()
	s.wake()
}

func (s *subscription) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// flush blocks until all is delivered, for flushTime at most.
func (s *subscription) flush() {
	s.mu.Lock()
	if len(s.records) == 0 {
		s.mu.Unlock()
		return
	}
	s.flushing = true
	empty := s.empty
	s.mu.Unlock()
	s.wake()
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	select {
	case <-empty:
	case <-timer.C:
	case <-s.done:
	}
}

// run delivers until the subscription ends.
func (s *subscription) run(ctx context.Context) {
	for s.gather() {
		batch, size := s.take()
		if !s.send(ctx, batch) {
			s.mu.Lock()
			s.lost += len(batch)
			s.lostBytes += size
			s.mu.Unlock()
		}
		s.mu.Lock()
		if len(s.records) == 0 {
			s.flushing = false
			close(s.empty)
			s.empty = make(chan struct{})
		}
		s.mu.Unlock()
	}
}

// gather waits until there is a batch to send: one that is full, or whose first record has waited long enough. It says false at the end.
func (s *subscription) gather() bool {
	var timer <-chan time.Time
	for {
		s.mu.Lock()
		some := len(s.records) > 0
		full := len(s.records) >= s.limits.Items || s.size >= s.limits.Bytes || some && s.flushing
		s.mu.Unlock()
		if full {
			return true
		}
		if some && timer == nil {
			t := time.NewTimer(time.Duration(s.limits.Timeout) * time.Millisecond)
			defer t.Stop()
			timer = t.C
		}
		select {
		case <-s.changed:
		case <-timer:
			return true
		case <-s.done:
			return false
		}
	}
}

// take cuts a batch off.
func (s *subscription) take() (batch [][]byte, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 {
		batch = append(batch, s.dropped(s.lost, s.lostBytes))
		s.lost, s.lostBytes = 0, 0
	}
	n := 0
	for n < len(s.records) && n < s.limits.Items && (n == 0 || size+len(s.records[n]) <= s.limits.Bytes) {
		size += len(s.records[n])
		n++
	}
	batch = append(batch, s.records[:n]...)
	s.records = append([][]byte(nil), s.records[n:]...)
	s.size -= size
	return batch, size
}

func (s *subscription) send(ctx context.Context, batch [][]byte) bool {
	for try := range sendTries {
		within, cancel := context.WithTimeout(ctx, sendTime)
		err := s.deliver(within, batch)
		cancel()
		if err == nil {
			return true
		}
		timer := time.NewTimer(100 * time.Millisecond << try)
		select {
		case <-timer.C:
		case <-s.done:
			timer.Stop()
			return false
		}
	}
	return false
}

// byHTTP delivers a batch as the array of a POST.
func byHTTP(url string, dial func(context.Context) (net.Conn, error)) func(context.Context, [][]byte) error {
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableKeepAlives:      true, // batches are rare, and an extension's connection is not worth keeping
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, records [][]byte) error {
		body := append([]byte{'['}, bytes.Join(records, []byte{','})...)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(append(body, ']')))
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("post telemetry: %w", err)
		}
		defer resp.Body.Close()
		if _, err := io.CopyN(io.Discard, resp.Body, maxExtensionBody); err != nil && err != io.EOF {
			return fmt.Errorf("read answer: %w", err)
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("post telemetry: status %d", resp.StatusCode)
		}
		return nil
	}
}

// byTCP delivers a batch as lines.
func byTCP(dial func(context.Context) (net.Conn, error)) func(context.Context, [][]byte) error {
	return func(ctx context.Context, records [][]byte) error {
		nc, err := dial(ctx)
		if err != nil {
			return fmt.Errorf("dial telemetry: %w", err)
		}
		defer nc.Close()
		if until, ok := ctx.Deadline(); ok {
			if err := nc.SetDeadline(until); err != nil {
				return fmt.Errorf("dial telemetry: %w", err)
			}
		}
		if _, err := nc.Write(append(bytes.Join(records, []byte{'\n'}), '\n')); err != nil {
			return fmt.Errorf("write telemetry: %w", err)
		}
		return nil
	}
}
