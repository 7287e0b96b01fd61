package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func share(version int, percent ...int) wire.Share {
	s := wire.Share{Version: version}
	if len(percent) == 1 {
		s.Percent = &percent[0]
	}
	return s
}

func TestThePrimaryIsWhoHasTheRestOrStaysOrHasMost(t *testing.T) {
	for _, tc := range []struct {
		was     int
		shares  []wire.Share
		primary int
		weights map[int]int
		err     string
	}{
		{3, []wire.Share{share(4)}, 4, nil, ""},
		{3, []wire.Share{share(4, 100)}, 4, nil, ""},
		{3, []wire.Share{share(3), share(4, 10)}, 3, map[int]int{4: 10}, ""},
		{3, []wire.Share{share(4), share(3, 10)}, 4, map[int]int{3: 10}, ""},
		{3, []wire.Share{share(4, 90), share(3, 10)}, 3, map[int]int{4: 90}, ""},
		{2, []wire.Share{share(4, 90), share(3, 10)}, 4, map[int]int{3: 10}, ""},
		{0, []wire.Share{share(4, 50), share(3, 50)}, 4, map[int]int{3: 50}, ""},
		{3, []wire.Share{share(3), share(4, 0)}, 3, map[int]int{4: 0}, ""},
		{3, []wire.Share{share(3), share(4, 60), share(5, 40)}, 3, map[int]int{4: 60, 5: 40}, ""},
		{3, nil, 0, nil, "no version is named"},
		{3, []wire.Share{share(0)}, 0, nil, "0 is no version"},
		{3, []wire.Share{share(3), share(3, 10)}, 0, nil, "named twice"},
		{3, []wire.Share{share(3, 10), share(3, 90)}, 0, nil, "named twice"},
		{3, []wire.Share{share(3), share(4)}, 0, nil, "have no share"},
		{3, []wire.Share{share(3, -1), share(4)}, 0, nil, "not from 0 to 100"},
		{3, []wire.Share{share(3), share(4, 60), share(5, 41)}, 0, nil, "more than 100"},
		{3, []wire.Share{share(3, 50), share(4, 40)}, 0, nil, "the shares sum to 90"},
	} {
		got, err := aliasFor(function.Alias{Name: "live", Primary: tc.was}, tc.shares)
		if tc.err != "" {
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%+v: %v, want invalid with %q", tc.shares, err, tc.err)
			}
			continue
		}
		if err != nil || got.Name != "live" || got.Primary != tc.primary || !maps.Equal(got.Weights, tc.weights) {
			t.Errorf("at %d, %+v = %+v, %v, want primary %d and %v", tc.was, tc.shares, got, err, tc.primary, tc.weights)
		}
	}
}

// several deploys so many versions of pay.
func (n *node) several(count int) {
	n.Helper()
	for i := range count {
		n.deploy(payManifest, fmt.Sprint("content ", i))
	}
}

func TestARollbackToWhatIsGoneChangesNothing(t *testing.T) {
	n := newNode(t)
	n.several(3)
	list, err := n.client.Versions(t.Context(), "pay")
	ok(t, err)
	if len(list.Versions) != 3 || list.Versions[0].Number != 3 || list.Versions[0].Bytes == 0 || list.Keep != function.DefaultKeep {
		t.Fatalf("Versions = %+v", list)
	}
	dir, err := n.code.Dir(list.Versions[1].Code)
	ok(t, err)
	ok(t, os.RemoveAll(dir))
	_, err = n.client.Rollback(t.Context(), "pay", wire.RollbackRequest{})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "version 2 of pay cannot be run any more, its code is gone") {
		t.Errorf("Rollback = %v, want that the code is gone", err)
	}
	for _, req := range []wire.RollbackRequest{{To: 3}, {To: 9}, {Alias: "lvie"}} {
		if _, err := n.client.Rollback(t.Context(), "pay", req); fault.KindOf(err) != fault.Conflict && fault.KindOf(err) != fault.NotFound {
			t.Errorf("Rollback(%+v) = %v", req, err)
		}
	}
	aliases, err := n.client.Aliases(t.Context(), "pay")
	ok(t, err)
	if len(aliases.Aliases) != 1 || aliases.Aliases[0].Primary != 3 || aliases.Aliases[0].Before != 2 {
		t.Errorf("Aliases = %+v, want live at 3 and 2 before", aliases)
	}
	back, err := n.client.Rollback(t.Context(), "pay", wire.RollbackRequest{To: 1})
	ok(t, err)
	if !back.Done || back.To[0].Version != 1 || back.From[0].Version != 3 {
		t.Errorf("Rollback to 1 = %+v", back)
	}
	list, err = n.client.Versions(t.Context(), "pay")
	ok(t, err)
	if !strings.Contains(list.Versions[1].Error, "there is no code") {
		t.Errorf("version 2 = %+v, want that its code is not there", list.Versions[1])
	}
}

func TestAShiftThatSomebodyElseCameBeforeIsAConflict(t *testing.T) {
	n := newNode(t)
	n.several(2)
	would, err := n.client.Shift(t.Context(), "pay", "preview/x", wire.ShiftRequest{Shares: []wire.Share{share(1)}, DryRun: true})
	ok(t, err)
	if would.Done || would.From != nil {
		t.Errorf("dry run = %+v", would)
	}
	_, err = n.client.Rollback(t.Context(), "pay", wire.RollbackRequest{})
	ok(t, err)
	_, err = n.client.Shift(t.Context(), "pay", "preview/x", wire.ShiftRequest{Shares: []wire.Share{share(1)}, Expects: &would.Expects})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "was changed by somebody else") {
		t.Errorf("Shift = %v, want a conflict", err)
	}
	done, err := n.client.Shift(t.Context(), "pay", "preview/x", wire.ShiftRequest{Shares: []wire.Share{share(1)}})
	ok(t, err)
	if !done.Done {
		t.Errorf("Shift = %+v", done)
	}
	gone, err := n.client.RemoveAlias(t.Context(), "pay", "preview/x")
	ok(t, err)
	if gone.Alias.Primary != 1 {
		t.Errorf("RemoveAlias = %+v", gone)
	}
	if _, err := n.client.RemoveAlias(t.Context(), "pay", "live"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("RemoveAlias(live) = %v, want invalid", err)
	}
}

func TestADeadLetterKeepsItsVersion(t *testing.T) {
	n := newNode(t)
	manifest := payManifest + "keep: 1\n"
	n.deploy(manifest, "content 0")
	n.died("d1", 1)
	for i := range 3 {
		n.deploy(manifest, fmt.Sprint("next ", i))
	}
	want := func(what string, numbers ...int) {
		t.Helper()
		list, err := n.client.Versions(t.Context(), "pay")
		ok(t, err)
		var got []int
		for _, v := range list.Versions {
			got = append(got, v.Number)
		}
		if fmt.Sprint(got) != fmt.Sprint(numbers) {
			t.Errorf("%s: versions %v, want %v", what, got, numbers)
		}
	}
	want("with a dead letter of version 1", 4, 3, 1)
	gone := eventlog.Record{Topic: function.TopicDead, Partition: eventlog.AnyPartition, Key: []byte("d1")}
	_, err := n.log.Append(t.Context(), []eventlog.Record{gone})
	ok(t, err)
	n.deploy(manifest, "the last")
	want("when it is resolved", 5, 4)
	_, err = n.client.Rollback(t.Context(), "pay", wire.RollbackRequest{To: 1})
	if fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "version 1 of pay was let go") {
		t.Errorf("Rollback to 1 = %v, want that it was let go", err)
	}
}

// died puts a dead letter of pay into the log, whose last attempt a version had.
func (n *node) died(id string, version int) {
	n.Helper()
	letter := function.DeadLetter{Event: []byte(`{}`), Run: function.Run{
		ID: id, Function: "pay", Trigger: "on-order", State: function.RunDead, Attempts: []function.Attempt{{Number: 1, Version: version}},
	}}
	data, err := json.Marshal(letter)
	ok(n, err)
	e := &event.Event{ID: id + "-dead", Source: "/dalamb/dispatch", Type: event.TypeDeadLetterCreated, Subject: id, Time: n.api.now(), DataContentType: "application/json", Data: data}
	r := eventlog.FromEvent(function.TopicDead, e)
	r.Partition = eventlog.AnyPartition
	_, err = n.log.Append(n.Context(), []eventlog.Record{r})
	ok(n, err)
}

func TestACallsKeyGoesAlong(t *testing.T) {
	n := newNode(t)
	n.several(1)
	n.script.result = &function.Result{Outcome: function.Succeeded, Body: []byte(`{}`)}
	long := strings.Repeat("k", maxKey+1)
	for key, status := range map[string]int{"customer-1": http.StatusOK, long: http.StatusBadRequest} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+"/2015-03-31/functions/pay/invocations", strings.NewReader("{}"))
		ok(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Dalamb-Key", key)
		resp, err := http.DefaultClient.Do(r)
		ok(t, err)
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("status with a key of %d bytes = %d, want %d", len(key), resp.StatusCode, status)
		}
	}
	if len(n.script.calls) != 1 || n.script.calls[0].Key != "customer-1" {
		t.Errorf("calls = %+v, want one with its key", n.script.calls)
	}
}
