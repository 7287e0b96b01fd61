package replay

import (
	"fmt"
	"net/http"
	"regexp"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// Answer is what an invocation came to.
type Answer struct {
	Result *function.Result
	Body   []byte // of the result; of one that was streamed, the beginning
	Size   int64  // of the whole body
	Asked  bool   // by a request: then the status is a part of the answer, and one below 500 is no failure
}

// Failed says whether the function is at fault. That a client is, or went away, is not its failure.
func (a *Answer) Failed() bool {
	failed := a.Result.Outcome != function.Succeeded
	if !a.Asked {
		return failed
	}
	s := a.Result.Status
	return s >= http.StatusInternalServerError || failed && s < http.StatusBadRequest
}

func (a *Answer) error() any {
	if !a.Failed() || a.Result.Failure == nil {
		return none{}
	}
	return a.Result.Failure.Type + ": " + a.Result.Failure.Message
}

// value is the body as a JSON value; text where it is something else, or not whole.
func (a *Answer) value(most int) any {
	body := a.Body[:min(len(a.Body), most)]
	if v, ok := event.Value(body); ok && int64(len(body)) == a.Size {
		return v
	}
	if a.Size == 0 {
		return none{}
	}
	return map[string]any{"text": string(body), "size": a.Size}
}

// Compare holds the second answer to an input against the first, as a replayed run is held against its original: kind is one of a
// ReplayDifference, "" = they are the same. ignore names places that may differ, by their path with [] for any index.
func Compare(first, second Answer, ignore []string) (kind string, changes []function.ReplayChange) {
	d := differ{ignore: map[string]bool{}}
	for _, place := range ignore {
		d.ignore[anywhere(place)] = true
	}
	failed, fails := first.Failed(), second.Failed()
	if first.Asked {
		d.compare("status", first.Result.Status, second.Result.Status)
	}
	if failed || fails {
		d.compare("state", state(failed), state(fails))
		d.compare("error", first.error(), second.error())
	}
	if !failed && !fails {
		d.answers(&first, &second)
	}
	switch {
	case fails && !failed:
		kind = function.ReplayNewlyFailing
	case failed && !fails:
		kind = function.ReplayNewlyPassing
	case len(d.changes) > 0:
		kind = function.ReplayDifferent
	}
	return kind, d.changes
}

func state(failed bool) string {
	if failed {
		return "failed"
	}
	return string(function.Succeeded)
}

// answers compares what two functions gave who did not fail. Events that were emitted are the result.
func (d *differ) answers(first, second *Answer) {
	a, b := first.Result.Events, second.Result.Events
	if len(a) == 0 && len(b) == 0 {
		most := max(len(first.Body), len(second.Body))
		if cut := min(len(first.Body), len(second.Body)); first.Size > int64(len(first.Body)) || second.Size > int64(len(second.Body)) {
			most = cut
		}
		d.compare("result", first.value(most), second.value(most))
		return
	}
	for i := range max(len(a), len(b)) {
		d.compare(fmt.Sprintf("emitted[%d]", i), emittedAt(a, i), emittedAt(b, i))
	}
}

func emittedAt(events []*event.Event, i int) any {
	if i >= len(events) {
		return none{}
	}
	return contentOf(events[i])
}

// contentOf is an event's content, all of it as JSON has it.
func contentOf(e *event.Event) map[string]any {
	content := e.Content()
	if raw, ok := content["data_base64"].([]byte); ok {
		content["data_base64"] = string(raw)
	}
	return content
}

var index = regexp.MustCompile(`\[[0-9*]*\]`)

// anywhere is a path with [] in the place of each index.
func anywhere(path string) string { return index.ReplaceAllString(path, "[]") }
