package gateway

import (
	"errors"
	"io"
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
)

// bounded refuses a request whose body is longer than the route takes: at once where it says so, else as soon as it shows.
func bounded(most int64) policy {
	return func(x *exchange, c *Call, next handler) error {
		r := c.Request
		if r.ContentLength > most {
			return tooLarge("the request's body", most)
		}
		if r.ContentLength < 0 && r.Body != nil && r.Body != http.NoBody {
			c.Request = r.WithContext(r.Context()) // net/http looks at the body of its own when it answers
			c.Request.Body = &boundedBody{ReadCloser: r.Body, most: most, left: most}
		}
		return next(x, c)
	}
}

// boundedBody is a body of a length that nobody knows.
type boundedBody struct {
	io.ReadCloser
	most, left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge("the request's body", b.most)
	}
	return n, err
}

// unread says why a body could not be read, where it is not the client's time that was over.
func unread(err error) error {
	if _, is := errors.AsType[*fault.Error](err); is {
		return err
	}
	return fault.New(fault.Invalid, "read the request's body: %w", err)
}
