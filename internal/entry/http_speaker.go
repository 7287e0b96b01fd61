package entry

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// httpSpeaker carries requests to one instance: httpClient by HTTP/1.1, h2cClient by HTTP/2. Safe for concurrent use.
type httpSpeaker interface {
	// begin sends a request and reads the head of its answer; the whole exchange must be over by the time given. inform gets the interim
	// answers, from the goroutine of the call; nil = nobody does. An error is errDial where nothing was sent, errNotHTTP, errReset, a deadline's, or
	// says how the connection was lost.
	begin(req *http.Request, until time.Time, inform informing) (*answering, error)
	// close ends what is idle. It is called when the instance is gone.
	close()
}

// informing takes an interim answer.
type informing func(status int, fields http.Header)

// answering is an answer whose head has come. Its user reads the body and then calls end.
type answering struct {
	*http.Response
	httpTurn
}

// httpTurn is the exchange that an answer belongs to.
type httpTurn interface {
	// end is called once, when nobody reads the body any more; whole: it was read to its end.
	end(whole bool)
	// cut ends a Read of the body that waits, from any goroutine.
	cut()
	// reason makes of an error that the body gave what it means.
	reason(err error) error
}

var errAnswerTooLarge = errors.New("answer too large")

// ask sends a request and reads its whole answer, of most bytes, which must have come by the time given.
func ask(h httpSpeaker, req *http.Request, until time.Time, most int64) (*http.Response, []byte, error) {
	a, err := h.begin(req, until, nil)
	if err != nil {
		return nil, nil, err
	}
	body, err := a.collect(most)
	if err != nil {
		return nil, nil, err
	}
	return a.Response, body, nil
}

// collect reads the whole body, of most bytes, and ends.
func (a *answering) collect(most int64) ([]byte, error) {
	body, err := readAnswer(a.Response, most)
	a.end(err == nil)
	if err == errAnswerTooLarge {
		return nil, err
	}
	return body, a.reason(err)
}

func readAnswer(resp *http.Response, most int64) ([]byte, error) {
	n := resp.ContentLength
	switch {
	case resp.Request.Method == http.MethodHead:
		return nil, nil
	case n > most:
		return nil, errAnswerTooLarge
	case n >= 0:
		body := make([]byte, n)
		_, err := io.ReadFull(resp.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if int64(len(body)) > most {
		return nil, errAnswerTooLarge
	}
	return body, err
}
