package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func (n *node) say(fn, run string, texts ...string) {
	n.Helper()
	var rs []eventlog.Record
	for _, text := range texts {
		rs = append(rs, eventlog.FromEvent(function.TopicLogs, fact(event.TypeLogWritten, fn, function.LogLine{Function: fn, Run: run, Stream: "stdout", Text: text})))
	}
	_, err := n.log.Append(n.Context(), rs)
	ok(n, err)
}

func (n *node) logs(q client.LogQuery) string {
	n.Helper()
	var got []string
	for line, err := range n.client.Logs(n.Context(), q) {
		ok(n, err)
		got = append(got, line.Text)
	}
	return strings.Join(got, " ")
}

func TestLogsGiveTheLastLines(t *testing.T) {
	n := newNode(t)
	n.say("pay", "r1", "a", "b")
	n.say("ship", "r2", "c")
	n.say("pay", "r3", "d")
	for _, c := range []struct {
		name string
		q    client.LogQuery
		want string
	}{
		{"function", client.LogQuery{Function: "pay"}, "a b d"},
		{"run", client.LogQuery{Function: "pay", Run: "r3"}, "d"},
		{"run alone", client.LogQuery{Run: "r2"}, "c"},
		{"limit", client.LogQuery{Function: "pay", Limit: 2}, "b d"},
		{"more than there are", client.LogQuery{Function: "pay", Limit: 50}, "a b d"},
	} {
		if got := n.logs(c.q); got != c.want {
			t.Errorf("%s: logs = %q, want %q", c.name, got, c.want)
		}
	}
	if got := strings.Fields(n.logs(client.LogQuery{})); len(got) != 4 {
		t.Errorf("all logs = %q, want four lines", got)
	}
}

func TestLogsAreChosen(t *testing.T) {
	n := newNode(t)
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for i, l := range []function.LogLine{
		{Version: 1, Text: "plain"},
		{Version: 1, Text: `{"level":"warn","msg":"Flour"}`},
		{Version: 2, Text: "ERROR-flour"},
		{Version: 2, Text: "[error] none"},
	} {
		l.Function, l.Stream, l.Time = "pay", "stdout", at.Add(time.Duration(i)*time.Minute)
		_, err := n.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicLogs, fact(event.TypeLogWritten, "pay", l))})
		ok(t, err)
	}
	for _, c := range []struct {
		name string
		q    client.LogQuery
		want string
	}{
		{"version", client.LogQuery{Version: 2}, "ERROR-flour [error] none"},
		{"level", client.LogQuery{Level: "warn"}, `{"level":"warn","msg":"Flour"} [error] none`},
		{"level error", client.LogQuery{Level: "error"}, "[error] none"},
		{"text", client.LogQuery{Text: "flour"}, `{"level":"warn","msg":"Flour"} ERROR-flour`},
		{"since", client.LogQuery{Since: "2026-01-02T03:02:00Z"}, "ERROR-flour [error] none"},
		{"until", client.LogQuery{Until: "2026-01-02T03:01:00Z"}, "plain"},
		{"all of it", client.LogQuery{Function: "pay", Version: 1, Level: "warn", Text: "FLOUR", Since: "2026-01-02T03:01:00Z", Until: "2026-01-02T03:02:00Z"}, `{"level":"warn","msg":"Flour"}`},
	} {
		if got := n.logs(c.q); got != c.want {
			t.Errorf("%s: logs = %q, want %q", c.name, got, c.want)
		}
	}
	for _, bad := range []client.LogQuery{{Level: "loud"}, {Since: "yesterday"}, {Version: -1}, {Follow: true, Until: "1m"}} {
		for _, err := range n.client.Logs(t.Context(), bad) {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%+v: %v, want Invalid", bad, err)
			}
		}
	}
}

// The lines of a quiet function lie far behind those of a loud one in the same partition.
func TestLogsOfAQuietFunctionAreFound(t *testing.T) {
	n := newNode(t)
	loud := ""
	for i := 0; loud == ""; i++ {
		name := fmt.Sprint("loud-", i)
		if eventlog.PartitionFor([]byte(name), 2) == eventlog.PartitionFor([]byte("quiet"), 2) {
			loud = name
		}
	}
	n.say("quiet", "", "one", "two", "three")
	noise := make([]string, 3000)
	for i := range noise {
		noise[i] = "noise"
	}
	n.say(loud, "", noise...)
	if got := n.logs(client.LogQuery{Function: "quiet", Limit: 2}); got != "two three" {
		t.Errorf("logs = %q, want the last two", got)
	}
}

func TestLogsAreFollowed(t *testing.T) {
	n := newNode(t)
	n.say("pay", "r", "before")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := n.open(ctx, "/v1/logs?function=pay&follow=true")
	if line := s.line(); !strings.Contains(line, `"before"`) {
		t.Errorf("first line = %s", line)
	}
	n.say("ship", "r", "not mine")
	n.say("pay", "r", "after")
	if line := s.line(); !strings.Contains(line, `"after"`) {
		t.Errorf("second line = %s, want the next of this function", line)
	}
	cancel()
	s.end()
}
