package gateway

import (
	"context"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/health"
)

func TestHealthIsGraded(t *testing.T) {
	var grade health.Report
	var broken error
	n := start(t, says(""), func(o *Options) {
		o.Health = func(context.Context) map[string]error { return map[string]error{"log": broken} }
		o.Grade = func() health.Report { return grade }
	})
	queue := func(g health.Grade) health.Report {
		return health.Report{Grade: g, Measures: []health.Measure{{Name: health.Store}, {Name: health.Queue, Grade: g, Average: 4711}}}
	}
	for _, c := range []struct {
		name, path string
		grade      health.Report
		broken     error
		status     int
		body       string
	}{
		{"healthy", "/_/health", queue(health.Healthy), nil, 200, `{"status":"ok","grade":"healthy","checks":{"log":"ok"},"measures":{"queue":"healthy","store":"healthy"}}`},
		{"degraded", "/_/health", queue(health.Degraded), nil, 200, `{"status":"ok","grade":"degraded","checks":{"log":"ok"},"reasons":{"queue":"many calls wait for an instance"},"measures":{"queue":"degraded","store":"healthy"}}`},
		{"unhealthy", "/_/health", queue(health.Unhealthy), nil, 503, `{"status":"ok","grade":"unhealthy","checks":{"log":"ok"},"reasons":{"queue":"many calls wait for an instance"},"measures":{"queue":"unhealthy","store":"healthy"}}`},
		{"a part is broken", "/_/health", queue(health.Healthy), fault.New(fault.Unavailable, "gone"), 503, `{"status":"failing","grade":"unhealthy","checks":{"log":"failing"},"reasons":{"log":"it cannot be reached"},"measures":{"queue":"healthy","store":"healthy"}}`},
		{"unhealthy, and ready", "/_/health/ready", queue(health.Unhealthy), nil, 200, `{"status":"ok","checks":{"log":"ok"}}`},
	} {
		grade, broken = c.grade, c.broken
		if g := n.send("GET", c.path, "", "Authorization", ""); g.status != c.status || g.body != c.body+"\n" {
			t.Errorf("%s: %d %s, want %d %s", c.name, g.status, g.body, c.status, c.body)
		}
	}
}
