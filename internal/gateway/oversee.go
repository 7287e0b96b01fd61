package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/openapi"
)

// Bounds of what answers that are held against a document cost.
const (
	maxOverheard = 1 << 20 // bytes of one: a longer one is not looked at
	overseenTold = rate.Limit(1.0 / 60)
)

// What came of an answer that was to be held against a document.
const (
	answerValid   = "valid"
	answerInvalid = "invalid"
	answerSkipped = "skipped" // too long, encoded, broken off, or one too many at a time
)

// overseer holds some answers of a route against its document when the client has them.
type overseer struct {
	g               *Gateway
	function, route string
	part            float64 // of the answers
	seen            atomic.Uint64
	busy            chan struct{} // holds a value while an answer is looked at
	logged          *rate.Limiter
	news            *rate.Limiter // of events
	untold          atomic.Int64
}

func newOverseer(g *Gateway, t *catalog.Trigger) *overseer {
	return &overseer{
		g: g, function: t.Function, route: t.Name, part: float64(t.Route.Validate.Responses) / 100, busy: make(chan struct{}, 1),
		logged: rate.NewLimiter(overseenTold, 1), news: rate.NewLimiter(newsEvery, newsAtOnce),
	}
}

// wants says whether the answer to a request is one of those that are looked at: with a part of 5% it is every twentieth.
func (o *overseer) wants(r *http.Request) bool {
	if o.part == 0 || upgrade(r) != "" {
		return false
	}
	n := float64(o.seen.Add(1))
	return uint64(n*o.part) > uint64((n-1)*o.part)
}

// watch runs next, and looks at its answer when the client has it.
func (o *overseer) watch(x *exchange, c *Call, m *openapi.Match, next handler) error {
	heard := &overheard{ResponseWriter: x.ResponseWriter, budget: &o.g.held}
	x.ResponseWriter = heard
	whole := false
	defer func() { // also of an answer that breaks off
		x.ResponseWriter = heard.ResponseWriter
		if !whole {
			heard.give()
		}
	}()
	err := next(x, c)
	if err != nil || x.substitute || x.own || x.outcome != "" && x.outcome != function.Succeeded && x.outcome != function.Failed || heard.status == 0 {
		return err // it is not the function's
	}
	header := heard.header
	if heard.tooMuch || header.Get("Content-Encoding") != "" || c.Request.Method == http.MethodHead || !o.begin() {
		o.count(answerSkipped)
		return nil
	}
	whole = true
	o.g.background.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				o.g.panicked(p)
				o.count(answerSkipped)
			}
			heard.give()
			<-o.busy
		}()
		o.judge(m, heard, header)
	})
	return nil
}

// begin says whether no other answer is looked at.
func (o *overseer) begin() bool {
	select {
	case o.busy <- struct{}{}:
		return true
	default:
		return false
	}
}

func (o *overseer) count(result string) {
	o.g.metrics.answers.WithLabelValues(o.g.metrics.names.Of(o.function, o.route, result)...).Inc()
}

func (o *overseer) judge(m *openapi.Match, heard *overheard, header http.Header) {
	faults := m.CheckAnswer(heard.status, header, heard.body)
	if len(faults) == 0 {
		o.count(answerValid)
		return
	}
	o.count(answerInvalid)
	told := function.AnswerInvalid{Function: o.function, Route: o.route, Operation: m.Method + " " + m.Path, Status: heard.status}
	for _, f := range faults {
		told.Problems = append(told.Problems, f.String())
	}
	now := o.g.now()
	if o.logged.AllowN(now, 1) {
		o.g.logger.Warn("answer is not as its document says", "function", o.function, "trigger", o.route, "operation", told.Operation, "status", heard.status, "problem", told.Problems[0])
	}
	if !o.news.AllowN(now, 1) {
		o.untold.Add(1)
		return
	}
	told.Untold = int(o.untold.Swap(0))
	if !o.g.news.offer(o.event(&told)) {
		o.untold.Add(int64(told.Untold) + 1)
	}
}

func (o *overseer) event(told *function.AnswerInvalid) *event.Event {
	data, err := json.Marshal(told)
	if err != nil { // it is text and numbers
		panic(fmt.Sprintf("encode %T: %v", told, err))
	}
	return &event.Event{
		ID: event.NewID(), Source: "/dalamb/gateway", Type: event.TypeResponseInvalid, Subject: o.function, Time: o.g.now(),
		DataContentType: "application/json", Data: data, Extensions: map[string]any{event.ExtPartitionKey: o.function},
	}
}

// overheard is an answer on its way, and a copy of it.
type overheard struct {
	http.ResponseWriter
	budget  *budget
	status  int
	header  http.Header // as the function's answer has it: what is below may encode it
	body    []byte
	held    int64
	tooMuch bool
}

// WriteHeader implements http.ResponseWriter.
func (o *overheard) WriteHeader(status int) {
	if o.status == 0 && status >= http.StatusOK {
		o.status, o.header = status, o.Header().Clone()
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (o *overheard) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status, o.header = http.StatusOK, o.Header().Clone()
	}
	n, err := o.ResponseWriter.Write(p)
	switch {
	case o.tooMuch:
	case err != nil || len(o.body)+n > maxOverheard || !o.budget.take(int64(n)):
		o.tooMuch = true
		o.give()
	default:
		o.held += int64(n)
		o.body = append(o.body, p[:n]...)
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (o *overheard) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func (o *overheard) give() {
	o.budget.give(o.held)
	o.held, o.body = 0, nil
}
