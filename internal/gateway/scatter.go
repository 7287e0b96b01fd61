package gateway

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/scatter"
	"github.com/dalamb/dalamb/internal/wire"
)

// missingHeader names the parts that an answer lacks.
const missingHeader = "Dalamb-Missing"

// maxParts bounds what is held of one answer's parts: as much as one function may answer. Each has an equal share of it, so that what one says takes
// nothing from the others.
const maxParts = 6 << 20

// scattering has several functions, or one for each shard, answer requests together.
type scattering struct {
	g      *Gateway
	rule   *function.Scatter
	leaves []asked
}

// asked is a leaf: what is asked, and what is known of how long it takes.
type asked struct {
	name, function, shard string
	number                int      // of the shard
	hedge                 *hedging // nil = never a second time
}

func newScattering(g *Gateway, t *catalog.Trigger) *scattering {
	rule := t.Route.Scatter
	s := &scattering{g: g, rule: rule}
	env := function.Environment(t.Function)
	for _, name := range rule.Functions {
		s.leaves = append(s.leaves, asked{name: function.Plain(env, name), function: name})
	}
	for i := range rule.Shards {
		number := strconv.Itoa(i)
		s.leaves = append(s.leaves, asked{name: number, function: cmp.Or(rule.Function, t.Function), shard: number + "/" + strconv.Itoa(rule.Shards), number: i})
	}
	if rule.Hedge != nil {
		for i := range s.leaves {
			s.leaves[i].hedge = newHedging(g, rule.Hedge)
		}
	}
	return s
}

// answer is the handler of the route.
func (s *scattering) answer(x *exchange, c *Call) error {
	free, err := s.g.gather(x, c)
	defer free()
	if err != nil {
		return err
	}
	keys, err := s.rule.By.Keys(c.Request, c.Body)
	if err != nil {
		return err
	}
	c.name(x)
	whom, q := s.whom(keys), s.question(c)
	own, err := s.split(keys, whom, q)
	defer own.free()
	if err != nil {
		return err
	}
	leaves := make([]scatter.Leaf, len(whom))
	for i, l := range whom {
		leaves[i] = s.leaf(l, own.questions[i], maxParts/len(whom))
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.rule.Patience())
	defer cancel()
	parts := scatter.All(ctx, leaves, func(ask func()) {
		c.held.keep()
		own.keep()
		s.g.background.Go(func() {
			defer c.held.free()
			defer own.free()
			ask()
		})
	})
	if err := c.Request.Context().Err(); err != nil {
		return fault.New(fault.Unavailable, "wait for parts of an answer: %w", err)
	}
	for _, p := range parts {
		s.g.metrics.parts.WithLabelValues(partLabel(p)).Inc()
	}
	return s.merged(x, c, q, parts)
}

// question is the call that each leaf gets a copy of. Its answer is one part of several: it has to be there, whole and as it is.
func (s *scattering) question(c *Call) *Call {
	q := c.first()
	q.Chain.Cause = cmp.Or(c.Run, c.ID)
	q.Chain.Correlation = cmp.Or(c.Chain.Correlation, q.Chain.Cause)
	q.Run, q.Attempt, q.made = "", 0, nil
	q.record = c.recorded()
	q.Trigger, q.Responder = nil, nil
	if c.Trigger != nil {
		q.Key = c.Trigger.Route.Sticky.Key(c.Request)
	}
	r := q.Request
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	h := r.Header
	h.Del(function.ShadowHeader) // a client may not pretend
	s.g.dropOwn(h)
	tellIdentity(h, c.Identity)
	for _, name := range []string{"Accept-Encoding", "Range", "If-Range", "If-None-Match", "If-Modified-Since", "Upgrade", "Connection"} {
		delete(h, name)
	}
	return q
}

// leaf asks one of them; its answer may have so many bytes.
func (s *scattering) leaf(l asked, q *Call, most int) scatter.Leaf {
	first := q.first()
	first.ID, first.Function, first.made = event.NewID(), l.function, nil // a run of its own
	first.most = int64(most)
	if l.shard != "" {
		first.Request.Header[function.HeaderShard] = []string{l.shard}
	}
	again := first.first() // a copy that the first attempt does not change
	leaf := scatter.Leaf{Name: l.name}
	leaf.Ask = func(ctx context.Context, attempt int) scatter.Part {
		call := first
		if attempt > 1 {
			call = again.again()
		}
		begin := time.Now()
		p := s.part(ctx, *call)
		if l.hedge != nil && p.Missing == "" {
			l.hedge.usual.add(time.Since(begin))
		}
		return p
	}
	if h := l.hedge; h != nil && function.SafeMethod(q.Request.Method) {
		h.budget.request(s.g.now())
		leaf.After, _ = h.after()
		leaf.Again = h.may
	}
	return leaf
}

// part makes the call of a leaf, and says what its answer is as a part.
func (s *scattering) part(ctx context.Context, call Call) (p scatter.Part) {
	defer func() {
		if cause := recover(); cause != nil {
			s.g.panicked(cause)
			p = scatter.Part{Missing: scatter.Failed}
		}
	}()
	a, err := s.g.caller.Do(ctx, call)
	switch res := a.Result; {
	case fault.KindOf(err) == fault.Timeout:
		return scatter.Part{Missing: scatter.Timeout}
	case err != nil:
		return scatter.Part{Missing: scatter.Unavailable}
	case res.Outcome == function.TimedOut:
		return scatter.Part{Missing: scatter.Timeout}
	case res.Outcome == function.InitError:
		return scatter.Part{Missing: scatter.Unavailable}
	case res.Outcome == function.BadAnswer && res.Failure.Type == function.AnswerTooLarge: // nobody has read it to its end
		return scatter.Part{Missing: scatter.TooLarge}
	case !answered(res) || res.Status != 0 && !passable(res.Status):
		return scatter.Part{Missing: scatter.Failed}
	case res.Status >= 300:
		return scatter.Part{Missing: strconv.Itoa(res.Status)}
	case res.Status == http.StatusNoContent:
		return scatter.Part{Body: []byte("null")}
	case int64(len(res.Body)) > call.most: // a lambda's, which was encoded in less
		return scatter.Part{Missing: scatter.TooLarge}
	case !validJSON(res.Body):
		return scatter.Part{Missing: scatter.NotJSON}
	default:
		return scatter.Part{Body: bytes.TrimSpace(res.Body)}
	}
}

// merged answers with what has come.
func (s *scattering) merged(x *exchange, c, q *Call, parts []scatter.Part) error {
	h := x.Header()
	if missing := scatter.Missing(parts); missing != "" {
		h.Set(missingHeader, missing)
		h.Set("Cache-Control", "no-store") // the next one may be whole
	}
	if enough := s.rule.Enough(len(parts)); scatter.Here(parts) < enough {
		s.tooFew(x, parts, enough)
		return nil
	}
	if name := s.rule.Merge.Function; name != "" {
		return s.g.serveCall(x, *merging(c, q, name, scatter.Document(parts)), false)
	}
	x.outcome = function.Succeeded
	body := scatter.Object(parts)
	switch s.rule.Form() {
	case function.MergeArray:
		body = scatter.Array(parts)
	case function.MergeConcat:
		body = scatter.Concat(parts)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(http.StatusOK)
	if c.Request.Method != http.MethodHead {
		_, _ = x.Write(body) // a client that is gone cannot be told
	}
	return nil
}

// merging is the call of the function that makes one answer of parts: the client's own, with another body.
func merging(c, q *Call, name string, parts []byte) *Call {
	m := c.first()
	m.Function, m.Trigger, m.record, m.Key = name, nil, q.record, q.Key
	m.Body, m.whole = parts, true
	r := m.Request
	r.Method, r.Header = http.MethodPost, q.Request.Header.Clone()
	r.Header.Set("Content-Type", "application/json")
	delete(r.Header, "Content-Encoding")
	r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = newMemory(parts), int64(len(parts)), nil, nil
	return m
}

// tooFew tells the fate of each. Where all have refused the request with one status, it is the request that is at fault.
func (s *scattering) tooFew(x *exchange, parts []scatter.Part, enough int) {
	status, kind := http.StatusBadGateway, fault.Unavailable
	x.outcome = function.Failed
	same, late, untaken := true, false, true
	for _, p := range parts {
		same = same && p.Missing == parts[0].Missing
		late = late || p.Missing == scatter.Timeout
		untaken = untaken && p.Missing == scatter.Unavailable
	}
	refused, _ := strconv.Atoi(parts[0].Missing)
	switch {
	case same && refused >= 400 && refused < 500:
		status, kind = refused, wire.KindOf(refused)
	case late:
		status, kind, x.outcome = http.StatusGatewayTimeout, fault.Timeout, function.TimedOut
	case untaken:
		x.outcome = function.InitError
	}
	writeJSON(x, status, wire.ErrorOf(fault.New(kind, "%d of %d parts of the answer came in time, and the route wants %d: %s", scatter.Here(parts), len(parts), enough, scatter.Fates(parts)).
		WithHint("the header %s names this request for the one who runs the functions", runHeader)))
}

// partLabel is what a metric says of a part.
func partLabel(p scatter.Part) string {
	switch _, err := strconv.Atoi(p.Missing); {
	case p.Missing == "":
		return "here"
	case err == nil:
		return "status"
	}
	return p.Missing
}
