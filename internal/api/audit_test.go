package api

import (
	"context"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/wire"
)

// signer tells which place it was asked to prove.
type signer struct{ asked []eventlog.Position }

func (s *signer) State() wire.Audit { return wire.Audit{On: true, Key: "public", Checkpoint: 7} }

func (s *signer) Prove(_ context.Context, at eventlog.Position) (*wire.AuditProof, error) {
	s.asked = append(s.asked, at)
	return &wire.AuditProof{Form: wire.AuditProofForm, Topic: at.Topic, Partition: at.Partition, Offset: at.Offset}, nil
}

func (s *signer) ProveGrowth(_ context.Context, from, to int64, topic string) (*wire.AuditGrowth, error) {
	return &wire.AuditGrowth{Form: wire.AuditGrowthForm, From: from, To: to, Topic: topic}, nil
}

func TestGrowthIsProvedBetweenTwoCheckpoints(t *testing.T) {
	n := newNode(t)
	if a := n.do("GET", "/v1/audit/growth?from=1&to=2", ""); a.status != 503 || !strings.Contains(a.body, "--audit FILE") {
		t.Errorf("a proof by a node without an audit: %d %s", a.status, a.body)
	}
	n.api.audit = &signer{}
	if a := n.do("GET", "/v1/audit/growth?from=1&to=x", ""); a.status != 400 {
		t.Errorf("a proof up to no number: %d %s", a.status, a.body)
	}
	if a := n.do("GET", "/v1/audit/growth?from=3&to=7&topic=orders", ""); a.status != 200 || !strings.Contains(a.body, `"from":3,"to":7,"topic":"orders"`) {
		t.Errorf("the proof: %d %s", a.status, a.body)
	}
}

func TestAnEventIsProvedByItsIDOrItsPlace(t *testing.T) {
	n := newNode(t)
	if a := n.do("GET", "/v1/audit", ""); a.status != 200 || !strings.Contains(a.body, `"on":false`) {
		t.Errorf("the audit of a node without one: %d %s", a.status, a.body)
	}
	if a := n.do("GET", "/v1/audit/proof?id=events/0@0", ""); a.status != 503 || !strings.Contains(a.body, "--audit FILE") {
		t.Errorf("a proof by a node without an audit: %d %s", a.status, a.body)
	}
	s := &signer{}
	n.api.audit = s
	if a := n.do("GET", "/v1/audit", ""); !strings.Contains(a.body, `"checkpoint":7`) {
		t.Errorf("the audit: %d %s", a.status, a.body)
	}
	if a := n.do("GET", "/v1/audit/proof", ""); a.status != 400 {
		t.Errorf("a proof of nothing: %d %s", a.status, a.body)
	}
	if a := n.do("GET", "/v1/audit/proof?id=none", ""); a.status != 404 {
		t.Errorf("a proof of an event that is not there: %d %s", a.status, a.body)
	}
	at, err := n.log.Append(t.Context(), []eventlog.Record{{Topic: "events", Partition: 1, Headers: []eventlog.Header{
		{Name: "ce_specversion", Value: []byte("1.0")}, {Name: "ce_id", Value: []byte("o-1")}, {Name: "ce_source", Value: []byte("/t")}, {Name: "ce_type", Value: []byte("x")},
	}}})
	ok(t, err)
	for _, id := range []string{"o-1", "gone/3@17"} { // what retention has taken has a place, and no event that could be found
		if a := n.do("GET", "/v1/audit/proof?id="+id, ""); a.status != 200 {
			t.Errorf("the proof of %s: %d %s", id, a.status, a.body)
		}
	}
	if want := (eventlog.Position{Topic: "gone", Partition: 3, Offset: 17}); len(s.asked) != 2 || s.asked[0] != at[0] || s.asked[1] != want {
		t.Errorf("asked to prove %+v, want %+v and %+v", s.asked, at[0], want)
	}
}
