package api

import (
	"context"
	"math"
	"net/http"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// Audit is what signs the log.
type Audit interface {
	State() wire.Audit
	// Prove makes the proof that a record is in what was signed. NotFound; Conflict where the record is not what was signed.
	Prove(ctx context.Context, at eventlog.Position) (*wire.AuditProof, error)
	// ProveGrowth makes the proof that what checkpoint from has signed is in what checkpoint to has, unchanged; of one topic where it is named. NotFound; Conflict
	// where what is kept is not what was signed.
	ProveGrowth(ctx context.Context, from, to int64, topic string) (*wire.AuditGrowth, error)
}

// auditRoutes are those about what is signed of the log.
func (a *API) auditRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/audit", Name: "getAudit", Summary: "What this node has signed of its log, and the public key.", Answer: wire.Audit{}, serve: a.getAudit},
		{Method: "GET", Path: "/v1/audit/proof", Name: "proveRecord", Summary: "The proof that an event is in what this node has signed; docs/audit.md says how it is checked.",
			Query: []param{
				{Name: "id", Type: "string", About: "of the event, of a run of it, or TOPIC/PARTITION@OFFSET"},
				{Name: "topic", Type: "string", About: "look in this topic alone"},
			},
			Answer: wire.AuditProof{}, Also: []int{409, 503}, serve: a.bounded(a.proveRecord)},
		{Method: "GET", Path: "/v1/audit/growth", Name: "proveGrowth", Summary: "The proof that what this node had signed by one checkpoint is in what it had signed by a later one, unchanged.",
			Query: []param{
				{Name: "from", Type: "integer", About: "the number of the earlier checkpoint"},
				{Name: "to", Type: "integer", About: "the number of the later one"},
				{Name: "topic", Type: "string", About: "prove it of this topic alone"},
			},
			Answer: wire.AuditGrowth{}, Also: []int{404, 409, 503}, serve: a.bounded(a.proveGrowth)},
	}
}

func (a *API) getAudit(*http.Request, query) (any, error) {
	if a.audit == nil {
		return wire.Audit{}, nil
	}
	return a.audit.State(), nil
}

func (a *API) proveRecord(r *http.Request, q query) (any, error) {
	if a.audit == nil {
		return nil, noAudit()
	}
	id := q.text("id")
	if id == "" {
		return nil, fault.New(fault.Invalid, "no id is given (query parameter \"id\")").WithHint("the id of an event, of a run of it, or TOPIC/PARTITION@OFFSET")
	}
	// A place may have been taken by retention; what was there can be proved nevertheless.
	if at, ok := placeOf(id); ok {
		return a.audit.Prove(r.Context(), at)
	}
	f, err := a.find(r.Context(), id, q.text("topic"))
	if err != nil {
		return nil, err
	}
	return a.audit.Prove(r.Context(), eventlog.Position{Topic: f.record.Topic, Partition: f.record.Partition, Offset: f.record.Offset})
}

func noAudit() error {
	return fault.New(fault.Unavailable, "this node signs nothing of its log").WithHint("start it with --audit FILE, or audit.checkpoints; docs/audit.md")
}

func (a *API) proveGrowth(r *http.Request, q query) (any, error) {
	if a.audit == nil {
		return nil, noAudit()
	}
	from, err := q.number("from", 0, 1, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	to, err := q.number("to", 0, 1, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	return a.audit.ProveGrowth(r.Context(), from, to, q.text("topic"))
}
