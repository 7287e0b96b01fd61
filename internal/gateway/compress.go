package gateway

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzhttp/writer/gzkp"
	"github.com/klauspost/compress/gzhttp/writer/zstdkp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressLeast is what an answer has at least that is worth it, in bytes.
const compressLeast = 1024

// compressed passes answers on by zstd or gzip, where the client takes it and they are not compressed already.
func compressed() policy {
	return func(x *exchange, c *Call, next handler) error {
		x.varies = append(x.varies, "Accept-Encoding")
		r := c.Request
		coding := codingFor(r.Header["Accept-Encoding"])
		if coding == "" || r.Method == http.MethodHead || upgrade(r) != "" || noTransform(r.Header) {
			return next(x, c)
		}
		client := x.ResponseWriter
		defer func() { x.ResponseWriter = client }() // for a refusal, which goes out as it is
		w := &compressing{ResponseWriter: client, coding: coding}
		x.ResponseWriter = w
		if err := next(x, c); err != nil || w.to == nil {
			return err
		}
		_ = w.to.Close() // a client that is gone cannot be told
		return nil
	}
}

// Codings that answers are compressed by.
const (
	codingGzip = "gzip"
	codingZstd = "zstd"
)

// codingFor is the coding that a client likes best; "" = none. Of two that it likes alike it is zstd. RFC 9110, section 12.5.3.
func codingFor(fields []string) string {
	likes := map[string]float64{}
	for _, field := range fields {
		for one := range strings.SplitSeq(field, ",") {
			coding, parameter, _ := strings.Cut(one, ";")
			quality := 1.0
			if name, value, _ := strings.Cut(parameter, "="); strings.EqualFold(strings.TrimSpace(name), "q") {
				var err error
				if quality, err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil {
					quality = 0
				}
			}
			likes[strings.ToLower(strings.TrimSpace(coding))] = quality
		}
	}
	best, most := "", 0.0
	for _, coding := range []string{codingZstd, codingGzip} {
		quality, named := likes[coding]
		if !named {
			quality = likes["*"]
		}
		if quality > most {
			best, most = coding, quality
		}
	}
	return best
}

// noTransform says whether a message is to be passed on as it is. RFC 9110, section 7.7.
func noTransform(h http.Header) bool {
	return slices.ContainsFunc(h["Cache-Control"], func(field string) bool {
		for directive := range strings.SplitSeq(field, ",") {
			if strings.EqualFold(strings.TrimSpace(directive), "no-transform") {
				return true
			}
		}
		return false
	})
}

// encoder compresses what is written to it. What it holds back a Flush gives away.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// compressing is an answer to a client that takes it compressed. Its head says whether it is, and goes out as soon as the function gives it.
type compressing struct {
	http.ResponseWriter
	coding string
	headed bool
	to     encoder // nil = the answer goes out as it is
	begun  bool    // the encoder has got something
}

// WriteHeader implements http.ResponseWriter.
func (w *compressing) WriteHeader(status int) {
	if status >= http.StatusOK && !w.headed {
		w.headed = true
		if h := w.Header(); worthCompressing(status, h) {
			w.compress(h)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// worthCompressing is asked when all of the head is known. An answer whose length is not is a stream.
func worthCompressing(status int, h http.Header) bool {
	switch {
	case status == http.StatusNoContent || status == http.StatusNotModified || status == http.StatusPartialContent, // of several ranges it has no Content-Range
		h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "",
		noTransform(h),
		!gzhttp.DefaultContentTypeFilter(h.Get("Content-Type")):
		return false
	}
	n, err := strconv.Atoi(h.Get("Content-Length"))
	return err != nil || n >= compressLeast
}

func (w *compressing) compress(h http.Header) {
	h.Set("Content-Encoding", w.coding)
	h.Del("Content-Length")
	h.Del("Accept-Ranges")
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag) // it is that of the bytes before: RFC 9110, section 8.8.1
	}
	if w.coding == codingZstd {
		w.to = zstdkp.NewWriter(w.ResponseWriter, int(zstd.SpeedFastest))
	} else {
		w.to = gzkp.NewWriter(w.ResponseWriter, gzip.DefaultCompression)
	}
}

func (w *compressing) Write(p []byte) (int, error) {
	if !w.headed {
		w.WriteHeader(http.StatusOK)
	}
	if w.to == nil {
		return w.ResponseWriter.Write(p)
	}
	w.begun = true
	return w.to.Write(p)
}

// FlushError is for http.ResponseController.
func (w *compressing) FlushError() error {
	if w.begun {
		if err := w.to.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *compressing) Unwrap() http.ResponseWriter { return w.ResponseWriter }
