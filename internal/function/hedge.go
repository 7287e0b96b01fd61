package function

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hedge gives a request that waits for long to a second instance: the first good answer is the client's.
type Hedge struct {
	After  HedgeAfter `json:"after"`
	Budget Percent    `json:"budget"` // of the route's requests, at most
}

// HedgeAfter is when the second attempt begins: a time, or as long as so many of a hundred answers took of late. Its text form is 200ms or p95.
type HedgeAfter struct {
	Percentile int
	Time       Duration
}

// String is the text form.
func (a HedgeAfter) String() string {
	if a.Percentile != 0 {
		return "p" + strconv.Itoa(a.Percentile)
	}
	return a.Time.String()
}

// MarshalText implements encoding.TextMarshaler.
func (a HedgeAfter) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *HedgeAfter) UnmarshalText(b []byte) error {
	*a = HedgeAfter{}
	if p, is := strings.CutPrefix(string(b), "p"); is {
		n, err := strconv.Atoi(p)
		if err != nil || n < 50 || n > 99 {
			return fmt.Errorf("%q is no percentile from p50 to p99", clip(string(b)))
		}
		a.Percentile = n
		return nil
	}
	return a.Time.UnmarshalText(b)
}

// SafeMethod says whether a request of a method asks for nothing but an answer, so that two of it are as good as one. RFC 9110, section 9.2.1;
// RFC 3253, 4918, 5323; QUERY is of draft-ietf-httpbis-safe-method-w-body.
func SafeMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY", "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}

// IdempotentMethod says whether a request of a method may be sent again. RFC 9110, section 9.2.2; RFC 4918, section 9.
func IdempotentMethod(method string) bool {
	return SafeMethod(method) || slices.Contains([]string{http.MethodPut, http.MethodDelete, "PROPPATCH", "COPY", "MOVE", "UNLOCK"}, method)
}

func defaultHedge() Hedge { return Hedge{Budget: 10} }

func hedgeValue() value[Hedge] {
	return object([]string{"after"},
		field("after", "When the second attempt begins: a time, or p95: as long as 95 of 100 answers took of late.", unit[HedgeAfter]("p95 or a duration", "p95", "200ms"), func(h *Hedge) *HedgeAfter { return &h.After }),
		field("budget", "How many of the route's requests in the last 10s may have a second attempt; 10 always may. Default: 10%.", percent(), func(h *Hedge) *Percent { return &h.Budget }),
	)
}

// hedge checks a Hedge of requests with a method; "" = any.
func (c *checker) hedge(at string, h *Hedge, method string) {
	if h == nil {
		return
	}
	if h.After.Percentile == 0 {
		between(c.at(at+".after"), h.After.Time, Duration(time.Millisecond), maxRouteTime)
	}
	between(c.at(at+".budget"), float64(h.Budget), 0.1, 100)
	if method != "" && !SafeMethod(method) {
		c.add(at, "remove it; retry repeats a request that has failed, with an Idempotency-Key also a POST", "a %s changes something, and two at a time would do so twice", method)
	}
}
