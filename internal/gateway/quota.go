package gateway

import (
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/quota"
)

// quotas hold each token to what a topic allows it. Each node counts for itself.
type quotas struct {
	mu    sync.Mutex
	spent map[quotaKey]*purse
}

type quotaKey struct{ topic, sender string }

// purse is what a sender has left: at most what a second gives. What is larger than that is taken when the purse is full, and then owed.
type purse struct {
	at            time.Time
	events, bytes float64
}

// maxPurses bounds the memory: senders and topics are few, and one that is forgotten begins with a full purse.
const maxPurses = 10_000

// take spends what a request costs, or nothing of it.
func (q *quotas) take(k quotaKey, r function.TopicRules, events int, bytes int64, now time.Time) error {
	if r.Events == 0 && r.Bytes == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.spent[k]
	if p == nil {
		if q.spent == nil || len(q.spent) >= maxPurses {
			q.spent = map[quotaKey]*purse{}
		}
		p = &purse{at: now, events: r.Events, bytes: float64(r.Bytes)}
		q.spent[k] = p
	}
	passed := max(0, now.Sub(p.at).Seconds())
	p.at = now
	p.events = min(r.Events, p.events+passed*r.Events)
	p.bytes = min(float64(r.Bytes), p.bytes+passed*float64(r.Bytes))
	wait := max(lacks(p.events, float64(events), r.Events), lacks(p.bytes, float64(bytes), float64(r.Bytes)))
	if wait > 0 {
		d := time.Duration(wait * float64(time.Second))
		return &quota.Over{Fault: fault.New(fault.Exhausted, "token %q has used up its quota of topic %q", k.sender, k.topic).
			WithHint("it is %s; try again in %s", quotaText(r), d.Round(time.Millisecond)), Wait: d}
	}
	p.events -= float64(events)
	p.bytes -= float64(bytes)
	return nil
}

// lacks is how many seconds it takes until a cost can be paid. rate is also the most that there can be; 0 = no bound.
func lacks(have, cost, rate float64) float64 {
	if rate == 0 {
		return 0
	}
	need := min(cost, rate)
	if have >= need-1e-9 {
		return 0
	}
	return math.Min((need-have)/rate, 3600)
}

func quotaText(r function.TopicRules) string {
	text := ""
	if r.Events > 0 {
		text = strconv.FormatFloat(r.Events, 'g', -1, 64) + " events a second"
	}
	if r.Bytes > 0 {
		if text != "" {
			text += " and "
		}
		text += r.Bytes.String() + " bytes a second"
	}
	return text
}
