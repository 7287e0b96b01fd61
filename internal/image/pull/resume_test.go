package pull

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/dalamb/dalamb/internal/fault"
)

// cutting breaks the connection after so many bytes of an answer.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

func TestFetchGoesOnWhereTheConnectionWasLost(t *testing.T) {
	layer, err := random.Layer(300_000, "application/vnd.oci.image.layer.v1.tar")
	if err != nil {
		t.Fatal(err)
	}
	open, err := layer.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(open)
	if err != nil {
		t.Fatal(err)
	}
	digest := digestOf(t, layer)
	for name, tt := range map[string]struct {
		cuts   int  // answers that are cut off
		ranges bool // the registry knows parts
		asked  []string
		kind   fault.Kind // 0 = it comes whole
	}{
		"twice":           {2, true, []string{"", "bytes=100000-", "bytes=200000-"}, 0},
		"without parts":   {1, false, []string{"", "bytes=100000-"}, fault.Unavailable},
		"not cut off":     {0, true, []string{""}, 0},
		"again and again": {100, true, []string{"", "bytes=100000-", "bytes=200000-", "bytes=300000-"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			r := serve(t, &remoteRegistry{before: func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/blobs/") || r.Method != http.MethodGet {
					return false
				}
				asked = append(asked, r.Header.Get("Range"))
				if !tt.ranges {
					r.Header.Del("Range")
				}
				if len(asked) <= tt.cuts {
					w = &cutting{w, 100_000}
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
				return true
			}})
			p, blobs := newPuller(t, Options{})
			err := p.Fetch(t.Context(), Content{Reference: r.host + "/shop/pay:1", Digest: digest, Bytes: int64(len(content))})
			if tt.kind == 0 && err != nil || tt.kind != 0 && fault.KindOf(err) != tt.kind {
				t.Errorf("Fetch = %v, want the kind %v", err, tt.kind)
			}
			if _, ok := blobs.Has(digest); ok != (tt.kind == 0) {
				t.Errorf("the content is here: %v", ok)
			}
			if strings.Join(asked, " ") != strings.Join(tt.asked, " ") {
				t.Errorf("the registry was asked for %q, want %q", asked, tt.asked)
			}
		})
	}
}

// script is a transport that gives one answer after another.
type script struct {
	answers []func() (*http.Response, error)
}

func (s *script) RoundTrip(*http.Request) (*http.Response, error) {
	next := s.answers[0]
	s.answers = s.answers[1:]
	return next()
}

var errLost = errors.New("connection lost")

// part is an answer that has so many bytes before it is lost.
func part(status int, contentRange, body string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, ContentLength: 10, Body: io.NopCloser(io.MultiReader(strings.NewReader(body), lost{}))}
		resp.Header.Set("Content-Range", contentRange)
		return resp, nil
	}
}

type lost struct{}

func (lost) Read([]byte) (int, error) { return 0, errLost }

func unreachable() (*http.Response, error) { return nil, errLost }

func TestWhatIsGoneOnWith(t *testing.T) {
	first := part(http.StatusOK, "", "01234")
	rest := part(http.StatusPartialContent, "bytes 5-9/10", "56789")
	for name, tt := range map[string]struct {
		answers []func() (*http.Response, error)
		want    string // "" = it ends with the first error
		left    int    // answers that nobody asked for
	}{
		"at once":              {[]func() (*http.Response, error){first, rest}, "0123456789", 0},
		"when it is back":      {[]func() (*http.Response, error){first, unreachable, part(http.StatusBadGateway, "", ""), rest}, "0123456789", 0},
		"never":                {[]func() (*http.Response, error){first, unreachable, unreachable, unreachable, unreachable, unreachable, rest}, "", 1},
		"all of it again":      {[]func() (*http.Response, error){first, part(http.StatusOK, "", "0123456789"), rest}, "", 1},
		"another part":         {[]func() (*http.Response, error){first, part(http.StatusPartialContent, "bytes 0-4/10", "01234"), rest}, "", 1},
		"of something larger":  {[]func() (*http.Response, error){first, part(http.StatusPartialContent, "bytes 5-9/11", "56789"), rest}, "", 1},
		"deleted meanwhile":    {[]func() (*http.Response, error){first, part(http.StatusNotFound, "", ""), rest}, "", 1},
		"wants fewer requests": {[]func() (*http.Response, error){first, part(http.StatusTooManyRequests, "", ""), rest}, "0123456789", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{tt.answers}
				resp, err := resuming{s}.RoundTrip(httptest.NewRequestWithContext(t.Context(), "GET", "/x", nil))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(io.LimitReader(resp.Body, 10))
				if tt.want == "" && !errors.Is(err, errLost) || tt.want != "" && (err != nil || string(got) != tt.want) {
					t.Errorf("read %q, %v, want %q", got, err, tt.want)
				}
				if len(s.answers) != tt.left {
					t.Errorf("%d answers were not asked for, want %d", len(s.answers), tt.left)
				}
			})
		})
	}
}
