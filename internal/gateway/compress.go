package gateway

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// compressLeast is what an answer has at least that is worth it, in bytes.
const compressLeast = 1024

// compressed passes answers on by zstd or gzip, where the client takes it and they are not compressed already.
func compressed() policy {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(compressLeast), gzhttp.SetContentType(false))
	if err != nil {
		panic(err) // the options are constants
	}
	return func(x *exchange, c *Call, next handler) (err error) {
		x.varies = append(x.varies, "Accept-Encoding")
		if c.Request.Method == http.MethodHead || upgrade(c.Request) != "" {
			return next(x, c)
		}
		client := x.ResponseWriter
		defer func() { x.ResponseWriter = client }() // for a refusal, which goes out as it is
		wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			x.ResponseWriter = w
			err = next(x, c)
		})).ServeHTTP(&weakening{ResponseWriter: client}, c.Request)
		return err
	}
}

// weakening says of what was compressed here that its entity tag is that of the bytes before. RFC 9110, section 8.8.1.
type weakening struct{ http.ResponseWriter }

func (w *weakening) WriteHeader(status int) {
	h := w.Header()
	tag := h.Get("Etag")
	if coded := h.Get("Content-Encoding"); (coded == "gzip" || coded == "zstd") && h["Content-Length"] == nil && strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Flush is what gzhttp asks for.
func (w *weakening) Flush() {
	_ = http.NewResponseController(w.ResponseWriter).Flush() // what cannot be written is told by the next write
}

// Unwrap is for http.ResponseController.
func (w *weakening) Unwrap() http.ResponseWriter { return w.ResponseWriter }
