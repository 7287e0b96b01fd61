package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/wire"
)

func TestWhatWasLiveAtATime(t *testing.T) {
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	changes := []string{
		`"dalamb.function.deployed.v1","data":{"function":"a","version":{"number":1,"spec":{}},"alias":{"name":"live","primary":1}}`,
		`"dalamb.function.deployed.v1","data":{"function":"b","version":{"number":1,"spec":{}},"alias":{"name":"live","primary":1}}`,
		`"dalamb.function.deployed.v1","data":{"function":"a","version":{"number":2,"spec":{}}}`,
		`"dalamb.rollout.stepped.v1","data":{"function":"a","alias":{"name":"live","primary":1,"weights":{"2":10}},"rollout":{}}`,
		`"dalamb.alias.shifted.v1","data":{"function":"b","alias":{"name":"preview","primary":1}}`,
		`"dalamb.rollout.finished.v1","data":{"function":"a","alias":{"name":"live","primary":2},"rollout":{"state":"succeeded"}}`,
		`"dalamb.alias.removed.v1","data":{"function":"b","alias":{"name":"preview","primary":1}}`,
		`"dalamb.function.removed.v1","data":{"function":"b"}`,
	}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/events" || !strings.Contains(r.URL.Query().Get("filter"), "dalamb.alias.shifted.v1") {
			_, _ = w.Write([]byte("{}"))
			return
		}
		for i, c := range changes { // a minute apart
			_ = json.NewEncoder(w).Encode(wire.EventAt{Offset: int64(i), Time: begin.Add(time.Duration(i) * time.Minute), Event: json.RawMessage(`{"type":` + c + `}`)})
		}
	})
	v := signedIn(t, api)
	for minute, want := range map[int][]string{
		-1: {"Nothing was deployed then."},
		0:  {"a live version 1"},
		3:  {"a live version 1 90%, version 2 10%", "b live version 1"},
		4:  {"a live version 1 90%, version 2 10%", "b live version 1", "b preview version 1"},
		5:  {"a live version 2", "b live version 1", "b preview version 1"},
		6:  {"a live version 2", "b live version 1"},
		9:  {"a live version 2"},
	} {
		at := begin.Add(time.Duration(minute)*time.Minute + 30*time.Second)
		page := v.get("/releases?at=" + at.Format(time.RFC3339)).Body.String()
		_, section, _ := strings.Cut(page, "<h2>Live ")
		section, _, _ = strings.Cut(section, "</section>")
		var got []string
		for row := range strings.SplitSeq(section, "<tr><td>") {
			if _, row, ok := strings.Cut(row, `<a href="/functions/`); ok {
				cells := strings.Split(row, "<td>")
				got = append(got, fmt.Sprintf("%s %s %s", row[:1], text(cells[1]), text(cells[2])))
			}
		}
		if minute < 0 && strings.Contains(section, want[0]) {
			continue
		}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("after %d minutes %q was live, want %q", minute, got, want)
		}
	}
}

// text is what a cell says.
func text(cell string) string {
	cell, _, _ = strings.Cut(cell, "<")
	return cell
}
