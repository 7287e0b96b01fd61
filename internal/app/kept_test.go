package app

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Every topic of dalamb's own is in the table of docs/operations.md with what bounds it, and one that is kept for ever is bounded by its keys, but for the
// control topic, which is small.
func TestSystemTopicsAreBoundedAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, topic := range append(systemTopics(), sharedTopics()...) {
		if topic.Name == function.TopicEvents {
			continue // the users' own
		}
		kept, size, keys := "for ever", "any", "all"
		if topic.Retention != eventlog.Forever {
			kept = function.Duration(topic.Retention).String()
		}
		if topic.MaxBytes != eventlog.Forever {
			size = function.Bytes(topic.MaxBytes).String()
		}
		if topic.Compact {
			keys = "newest of each key"
		}
		if kept == "for ever" && size == "any" && !topic.Compact && topic.Name != function.TopicControl {
			t.Errorf("nothing bounds %s", topic.Name)
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s |", topic.Name, kept, size, keys)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/operations.md has no row %s", row)
		}
		rows[topic.Name] = true
	}
	for line := range strings.Lines(string(page)) {
		if name, ok := strings.CutPrefix(line, "| `_dalamb."); ok && !rows["_dalamb."+name[:strings.IndexByte(name, '`')]] {
			t.Errorf("docs/operations.md has a row of no topic: %s", line)
		}
	}
}
