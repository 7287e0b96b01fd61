package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// unpacked is what an answer's body says.
func (g got) unpacked(t *testing.T) string {
	t.Helper()
	var r io.Reader = strings.NewReader(g.body)
	var err error
	switch g.header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(r)
		r = z
		defer z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCompressedAnswers(t *testing.T) {
	long := strings.Repeat("all work and no play ", 200)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, long) // a buffer takes everything
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	answers := map[string]function.Result{
		"/long":   {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}, "Etag": {`"v1"`}, "Vary": {"Cookie"}}, Body: []byte(long)},
		"/weak":   {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}, "Etag": {`W/"v1"`}}, Body: []byte(long)},
		"/short":  {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}, "Etag": {`"v1"`}}, Body: []byte("short")},
		"/packed": {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {"gzip"}}, Body: packed.Bytes()},
		"/image":  {Status: 200, Header: http.Header{"Content-Type": {"image/jpeg"}}, Body: []byte(long)},
		"/as-is":  {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}, "Etag": {`"v1"`}, "Cache-Control": {"max-age=60, No-Transform"}}, Body: []byte(long)},
		"/failed": {Status: 500, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(long)},
	}
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		res, ok := answers[c.Invocation.Request.URL.Path]
		if !ok {
			return nil, errSlow
		}
		res.Outcome = function.Succeeded
		return &res, nil
	}))
	web := route("web", "", "/{path...}")
	web.Route.Compress = true
	n.deploy("f", web)
	for _, c := range []struct {
		path, accept, encoding, tag string
	}{
		{"/long", "gzip", "gzip", `W/"v1"`},
		{"/long", "zstd, gzip", "zstd", `W/"v1"`},
		{"/long", "zstd;q=0, gzip;q=0.5", "gzip", `W/"v1"`},
		{"/long", "gzip;q=0", "", `"v1"`},
		{"/long", "br", "", `"v1"`},
		{"/long", "identity", "", `"v1"`},
		{"/weak", "gzip", "gzip", `W/"v1"`},
		{"/short", "gzip", "", `"v1"`},
		{"/packed", "gzip", "gzip", ""},
		{"/image", "gzip", "", ""},
		{"/as-is", "gzip", "", `"v1"`},
		{"/long", "*", "zstd", `W/"v1"`},
		{"/long", "GZIP; Q=0.1, zstd;q=x", "gzip", `W/"v1"`},
		{"/long", "zstd;q=0, *;q=0.5", "gzip", `W/"v1"`},
		{"/failed", "gzip", "gzip", ""},
	} {
		g := n.send("GET", c.path, "", "Accept-Encoding", c.accept)
		want := answers[c.path]
		text := string(want.Body)
		if c.path == "/packed" {
			text = long
		}
		if g.status != want.Status || g.header.Get("Content-Encoding") != c.encoding || g.header.Get("Etag") != c.tag || g.unpacked(t) != text {
			t.Errorf("%s for %q = %d, %d bytes, %v; want it by %q with the tag %s", c.path, c.accept, g.status, len(g.body), g.header, c.encoding, c.tag)
		}
		if vary := strings.Join(g.header.Values("Vary"), ","); !strings.Contains(vary, "Accept-Encoding") || c.path == "/long" && !strings.Contains(vary, "Cookie") {
			t.Errorf("%s: Vary = %q", c.path, vary)
		}
	}
	if g := n.send("GET", "/refused", "", "Accept-Encoding", "gzip"); g.status != 408 || g.header.Get("Content-Encoding") != "" || g.fault(t).Kind != "timeout" {
		t.Errorf("a refusal = %d %v, want it as it is", g.status, g.header)
	}
	if g := n.send("GET", "/long", "", "Accept-Encoding", "gzip", "Cache-Control", "no-transform"); g.header.Get("Content-Encoding") != "" || g.header.Get("Etag") != `"v1"` || g.body != long {
		t.Errorf("who wants it as it is got %v", g.header)
	}
	if g := n.send("HEAD", "/long", "", "Accept-Encoding", "gzip"); g.status != 200 || g.header.Get("Content-Encoding") != "" {
		t.Errorf("HEAD = %d %v", g.status, g.header)
	}
}

// TestAStreamIsCompressedPieceByPiece: each piece is the client's before the next one is written.
func TestAStreamIsCompressedPieceByPiece(t *testing.T) {
	next := make(chan string)
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		w, err := c.Invocation.Responder.Respond(function.Head{Status: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Length: -1})
		if err != nil {
			return nil, err
		}
		for piece := range next {
			if _, err := io.WriteString(w, piece); err != nil {
				return nil, err
			}
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200}, nil
	}))
	web := route("web", "", "/x")
	web.Route.Compress = true
	n.deploy("f", web)
	req, err := http.NewRequest("GET", n.url+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	go func() { next <- "data: one\n\n" }()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := gzip.NewReader(resp.Body)
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, %v; want gzip", resp.Header, err)
	}
	for i, piece := range []string{"data: one\n\n", "data: two\n\n"} {
		if i > 0 {
			next <- piece
		}
		b := make([]byte, len(piece))
		if _, err := io.ReadFull(body, b); err != nil || string(b) != piece {
			t.Fatalf("piece %d = %q, %v, want %q", i, b, err, piece)
		}
	}
	close(next)
	if rest, err := io.ReadAll(body); err != nil || len(rest) != 0 {
		t.Errorf("the end = %q, %v", rest, err)
	}
}

// TestTheHeadOfAStreamDoesNotWaitForItsFirstPiece: a client of server-sent events knows that it is connected, whenever the first event comes.
func TestTheHeadOfAStreamDoesNotWaitForItsFirstPiece(t *testing.T) {
	for _, own := range []string{"", "gzip"} { // the function has compressed it itself
		more := make(chan struct{})
		n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
			h := http.Header{"Content-Type": {"text/event-stream"}, "Etag": {`"v1"`}}
			if own != "" {
				h["Content-Encoding"] = []string{own}
			}
			w, err := c.Invocation.Responder.Respond(function.Head{Status: 200, Header: h, Length: -1})
			if err != nil {
				return nil, err
			}
			<-more
			_, err = io.WriteString(w, "data: one\n\n")
			return &function.Result{Outcome: function.Succeeded, Status: 200}, err
		}))
		web := route("web", "", "/x")
		web.Route.Compress = true
		n.deploy("f", web)
		req, err := http.NewRequest("GET", n.url+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		late := time.AfterFunc(10*time.Second, func() { close(more) }) // a head that waits for it would wait for ever
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if !late.Stop() {
			t.Fatal("the head came with the first piece")
		}
		close(more)
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		tag, text := `"v1"`, string(b)
		if own == "" {
			tag = `W/"v1"`
			text = got{header: resp.Header, body: text}.unpacked(t)
		}
		if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Etag") != tag || text != "data: one\n\n" {
			t.Errorf("compressed by the function: %v; %v %q, want the tag %s", own != "", resp.Header, text, tag)
		}
	}
}

// TestAStreamThatBreaksOffIsNotWholeWhenItIsUnpacked: its coding must not end as if that were all.
func TestAStreamThatBreaksOffIsNotWholeWhenItIsUnpacked(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		w, err := c.Invocation.Responder.Respond(function.Head{Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Length: -1})
		if err == nil {
			_, err = io.WriteString(w, "half")
		}
		return &function.Result{Outcome: function.Crashed, Failure: &function.Failure{}}, err
	}))
	web := route("web", "", "/x")
	web.Route.Compress = true
	n.deploy("f", web)
	req, err := http.NewRequest("GET", n.url+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	packed, err := io.ReadAll(resp.Body)
	if err == nil {
		t.Error("the answer seems to be whole")
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err == nil || string(text) != "half" {
		t.Errorf("it unpacks to %q, %v; want an error behind what has come", text, err)
	}
}

func TestAnErrorThatIsShortIsNotCompressed(t *testing.T) {
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Crashed, Failure: &function.Failure{}}, nil
	}))
	web := route("web", "", "/x")
	web.Route.Compress = true
	n.deploy("f", web)
	if g := n.send("GET", "/x", "", "Accept-Encoding", "gzip"); g.status != 502 || g.header.Get("Content-Encoding") != "" || g.fault(t).Message == "" {
		t.Errorf("answer = %d %v", g.status, g.header)
	}
}

// TestPartsOfAnAnswerAreNotCompressed: several ranges have no Content-Range, but one within each part.
func TestPartsOfAnAnswerAreNotCompressed(t *testing.T) {
	if worthCompressing(http.StatusPartialContent, http.Header{"Content-Type": {"multipart/byteranges; boundary=b"}}) {
		t.Error("an answer of several ranges is compressed")
	}
}
