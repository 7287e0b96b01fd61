package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/health"
)

// graded is a health in which functions were called whose names begin with c.
type graded struct{}

func (graded) Node() health.Report {
	return health.Report{Grade: health.Degraded, Measures: []health.Measure{{Name: health.Store, Grade: health.Degraded, Average: .75, Samples: 12, Limit: health.Limit{Degraded: .5, Unhealthy: 5}}}}
}

func (graded) Function(name string) health.Report {
	r := health.Report{Measures: []health.Measure{{Name: health.Errors}}}
	if strings.HasPrefix(name, "c") {
		r.Measures[0].Samples = 3
	}
	return r
}

func TestHealthHasItsFigures(t *testing.T) {
	n := newNode(t)
	for _, name := range []string{"called", "quiet"} {
		n.deploy("name: "+name+"\ncode: .\nentry: {type: lambda, command: [x]}\n", "x")
	}
	h, err := n.client.Health(t.Context())
	ok(t, err)
	if h.Grade != "degraded" || len(h.Measures) != 1 || h.Measures[0].Average != .75 || h.Measures[0].Degraded != .5 || h.Measures[0].Samples != 12 {
		t.Errorf("Health = %+v", h)
	}
	n.script.lagTrouble = errors.New("no broker answers")
	if ill, err := n.client.Health(t.Context()); err != nil || h.LagTrouble != "" || ill.LagTrouble != "no broker answers" {
		t.Errorf("Health has the trouble %q, and %q (%v) where lags cannot be asked for", h.LagTrouble, ill.LagTrouble, err)
	}
	if len(h.Functions) != 1 || h.Functions[0].Function != "called" {
		t.Errorf("Health has functions %+v, want the one that was called", h.Functions)
	}
	if f, err := n.client.FunctionHealth(t.Context(), "quiet"); err != nil || f.Function != "quiet" || f.Grade != "healthy" {
		t.Errorf("FunctionHealth = %+v, %v", f, err)
	}
	if _, err := n.client.FunctionHealth(t.Context(), "cald"); err == nil || !strings.Contains(err.Error(), `no function "cald"`) {
		t.Errorf("FunctionHealth of nothing = %v", err)
	}
}
