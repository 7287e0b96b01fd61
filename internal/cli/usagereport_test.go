package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// A function may be called total: what it used is its own, and the total is told from it.
func TestUsageOfAFunctionThatIsCalledTotal(t *testing.T) {
	r, err := sumUp([]wire.UsageSum{{Name: "total", Used: function.Used{Invocations: 1}}, {Name: "web", Used: function.Used{Invocations: 2}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Usage []struct {
			Name        string
			Invocations int
		}
		Total struct {
			Name        string
			Invocations int
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Usage) != 2 || got.Usage[0].Name != "total" || got.Usage[0].Invocations != 1 || got.Total.Invocations != 3 || got.Total.Name != "" {
		t.Errorf("as JSON it is %s, want 1 of total, 2 of web and 3 in all", text)
	}
	var out bytes.Buffer
	if err := reportCSV(&out, r.Usage, "function"); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "total,1,") {
		t.Errorf("as CSV it is %q, want a head and two lines", lines)
	}
	out.Reset()
	table(&out, reportHead("function", nil), r.rows())
	if lines := strings.Split(out.String(), "\n"); !strings.HasPrefix(lines[1], "total     1 ") || !strings.HasPrefix(lines[3], "(total)   3 ") {
		t.Errorf("as text it is\n%s", out.String())
	}
}
