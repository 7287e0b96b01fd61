package pull

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// Content that is cut off on its way is gone on with: so often for one answer, after waits each three times the one before.
const (
	maxResumes  = 5
	firstResume = 200 * time.Millisecond
)

// resuming is a transport whose answers go on where the connection was lost, by requests for the rest (RFC 9110, section 14.2). Digests
// are for who reads.
type resuming struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t resuming) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || resp.StatusCode != http.StatusOK || resp.ContentLength <= 0 {
		return resp, err
	}
	resp.Body = &resumed{from: resp.Body, request: r, next: t.next, size: resp.ContentLength, wait: firstResume}
	return resp, nil
}

// resumed is the body of an answer.
type resumed struct {
	from    io.ReadCloser
	request *http.Request
	next    http.RoundTripper
	size    int64
	at      int64 // bytes read
	tries   int
	wait    time.Duration
}

func (b *resumed) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.at += int64(n)
	if err == nil || err == io.EOF || b.at >= b.size {
		return n, err
	}
	for b.tries < maxResumes && b.pause() {
		if b.resume() {
			return n, nil
		}
	}
	return n, err
}

// pause waits for the next try, and says whether somebody is still there.
func (b *resumed) pause() bool {
	b.tries++
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	b.wait *= 3
	select {
	case <-timer.C:
		return true
	case <-b.request.Context().Done():
		return false
	}
}

// resume asks for what is missing. An answer that is something else ends the tries: the registry does not know how, or it has
// other content now.
func (b *resumed) resume() bool {
	r := b.request.Clone(b.request.Context())
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.at))
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return false
	}
	if resp.StatusCode == http.StatusPartialContent && resp.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", b.at, b.size-1, b.size) {
		b.from.Close()
		b.from = resp.Body
		return true
	}
	resp.Body.Close()
	if resp.StatusCode < http.StatusInternalServerError && resp.StatusCode != http.StatusTooManyRequests {
		b.tries = maxResumes
	}
	return false
}

func (b *resumed) Close() error { return b.from.Close() }
