package aws

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const standBus = "arn:aws:events:us-east-1:000000000000:event-bus/"

// archived is a stand whose default bus has an archive since a day, and so many rules.
func archived(t *testing.T, rules int) (*stand, map[string]any) {
	t.Helper()
	s := newStand(t)
	var names []string
	for i := range rules {
		names = append(names, fmt.Sprint("r", i))
	}
	s.aim(defaultBus, "pay", names...)
	s.done("CreateArchive", map[string]any{"ArchiveName": "all", "EventSourceArn": standBus + defaultBus})
	if err := keep(t.Context(), s.EventBridge, archiveNotes+"all", func(a *archive, _ bool) error { a.Created = a.Created.Add(-24 * time.Hour); return nil }); err != nil {
		t.Fatal(err)
	}
	return s, map[string]any{"ReplayName": "again", "EventSourceArn": "arn:aws:events:us-east-1:000000000000:archive/all", "EventStartTime": 1, "EventEndTime": unixSeconds(time.Now()),
		"Destination": map[string]any{"Arn": standBus + defaultBus}}
}

func TestAReplayStartsThoughItsFunctionChangesMeanwhile(t *testing.T) {
	s, ask := archived(t, 3)
	s.replays.conflicts = 2 * tries // as when each part that ends changes the function
	s.done("StartReplay", ask)
	if len(s.replays.order) != 3 {
		t.Errorf("started: %v, want three", s.replays.order)
	}
}

func TestAReplayIsToldOfWhateverHappensWhileItStarts(t *testing.T) {
	s, ask := archived(t, 2)
	states := map[any]bool{}
	s.replays.start = func() error {
		states[s.done("DescribeReplay", map[string]any{"ReplayName": "again"})["State"]] = true
		if _, typ := s.do("CancelReplay", map[string]any{"ReplayName": "again"}); typ != "IllegalStatusException" {
			t.Errorf("CancelReplay: %s", typ)
		}
		if _, typ := s.do("StartReplay", ask); typ != alreadyThere {
			t.Errorf("the same replay beside it: %s", typ)
		}
		return nil
	}
	s.done("StartReplay", ask)
	if fmt.Sprint(states) != "map[STARTING:true]" {
		t.Errorf("states while it starts: %v", states)
	}
	if out := s.done("DescribeReplay", map[string]any{"ReplayName": "again"}); out["State"] != "RUNNING" {
		t.Errorf("DescribeReplay = %v", out)
	}

	// The second part does not start.
	s.replays.start = func() error {
		if len(s.replays.order) == 3 {
			return fault.New(fault.Unavailable, "the log is not there")
		}
		return nil
	}
	ask["ReplayName"] = "bad"
	if _, typ := s.do("StartReplay", ask); typ != "ServiceUnavailable" {
		t.Errorf("StartReplay: %s", typ)
	}
	if _, there := kept[bridgeReplay](s.EventBridge, replayNotes+"bad"); there || s.replays.all["bad"].State != function.ReplayCancelled {
		t.Errorf("kept %v, and its first part is %v", there, s.replays.all["bad"])
	}

	// The node ends between its parts.
	s.replays.start = nil
	if err := keep(t.Context(), s.EventBridge, replayNotes+"half", func(r *bridgeReplay, _ bool) error {
		*r = bridgeReplay{Name: "half", Archive: "all", Bus: defaultBus, Started: time.Now().Add(-startTime), Starting: true, Parts: []string{"half", "half-2"}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.replays.all["half"] = wire.Replay{State: wire.ReplayRunning}
	if out := s.done("DescribeReplay", map[string]any{"ReplayName": "half"}); out["State"] != "RUNNING" {
		t.Errorf("with one part: %v", out)
	}
	if out := s.done("CancelReplay", map[string]any{"ReplayName": "half"}); out["State"] != "FAILED" {
		t.Errorf("CancelReplay = %v", out)
	}
}

func TestAReplayThatMayHaveStartedIsNotLeftUnknown(t *testing.T) {
	s, ask := archived(t, 3)
	s.replays.lost = "again-2"
	if _, typ := s.do("StartReplay", ask); typ != "ServiceUnavailable" {
		t.Errorf("StartReplay: %s", typ)
	}
	_, there := kept[bridgeReplay](s.EventBridge, replayNotes+"again")
	if one, two := s.replays.all["again"].State, s.replays.all["again-2"].State; there || one != function.ReplayCancelled || two != function.ReplayCancelled {
		t.Errorf("kept %v, its parts are %q and %q", there, one, two)
	}

	// What could not be cancelled either can be later.
	ask["ReplayName"], s.replays.lost, s.replays.stuck = "stuck", "stuck-2", "stuck-2"
	if _, typ := s.do("StartReplay", ask); typ != "ServiceUnavailable" {
		t.Errorf("StartReplay: %s", typ)
	}
	if out := s.done("DescribeReplay", map[string]any{"ReplayName": "stuck"}); out["State"] != "RUNNING" {
		t.Errorf("with a part that goes on: %v", out)
	}
	s.replays.stuck = ""
	if out := s.done("CancelReplay", map[string]any{"ReplayName": "stuck"}); out["State"] != "CANCELLED" {
		t.Errorf("CancelReplay = %v", out)
	}

	// Somebody else's of that name goes on.
	ask["ReplayName"] = "other"
	s.replays.start = func() error {
		if len(s.replays.order) == 5 {
			s.replays.all["other-2"] = wire.Replay{State: wire.ReplayRunning}
			return fault.New(fault.Conflict, "other-2 is there already")
		}
		return nil
	}
	if _, typ := s.do("StartReplay", ask); typ != alreadyThere {
		t.Errorf("StartReplay: %s", typ)
	}
	if one, two := s.replays.all["other"].State, s.replays.all["other-2"].State; one != function.ReplayCancelled || two != wire.ReplayRunning {
		t.Errorf("its part is %q, and the other one %q", one, two)
	}
}

func TestAReplayStartsThoughWhoAskedIsGone(t *testing.T) {
	s, ask := archived(t, 3)
	ctx, leave := context.WithCancel(t.Context())
	s.asker, s.replays.start = ctx, func() error { leave(); return nil }
	s.do("StartReplay", ask)
	s.asker = nil
	if out := s.done("DescribeReplay", map[string]any{"ReplayName": "again"}); out["State"] != "RUNNING" || len(s.replays.order) != 3 {
		t.Errorf("DescribeReplay = %v, started %v", out, s.replays.order)
	}
}

func TestAReplayOfTooManyTriggersStartsNone(t *testing.T) {
	s, ask := archived(t, catalog.MaxReplays+1)
	out, typ := s.do("StartReplay", ask)
	if message, _ := out["message"].(string); typ != "LimitExceededException" || len(s.replays.order) != 0 || !strings.Contains(message, "17 triggers") {
		t.Errorf("StartReplay = %v, and %v were started", out, s.replays.order)
	}
	var rules []string
	for i := range 2 * maxReplayRules {
		rules = append(rules, function.RuleARN(function.AWSRegion, "", fmt.Sprint("r", i%2)))
	}
	ask["Destination"] = map[string]any{"Arn": standBus + defaultBus, "FilterArns": rules}
	s.done("StartReplay", ask)
	if r, _ := kept[bridgeReplay](s.EventBridge, replayNotes+"again"); len(s.replays.order) != 2 || len(r.FilterArns) != 2 {
		t.Errorf("of two rules that were named again and again %v was started, and %d are kept", s.replays.order, len(r.FilterArns))
	}
	for i := range rules {
		rules[i] = fmt.Sprint("arn:", i)
	}
	ask["ReplayName"] = "more"
	if _, typ := s.do("StartReplay", ask); typ != "ValidationException" {
		t.Errorf("of %d rules: %s", len(rules), typ)
	}
}

func TestHowAReplayEndedIsToldWhenItsPartsAreForgotten(t *testing.T) {
	s, ask := archived(t, 2)
	for _, name := range []string{"described", "unseen"} {
		ask["ReplayName"] = name
		s.done("StartReplay", ask)
	}
	for _, name := range s.replays.order {
		if _, err := s.replays.end(name, function.ReplayFinished); err != nil {
			t.Fatal(err)
		}
	}
	before := s.done("DescribeReplay", map[string]any{"ReplayName": "described"})
	ask["ReplayName"] = "next"
	s.done("StartReplay", ask)
	maps.DeleteFunc(s.replays.all, func(name string, _ wire.Replay) bool { return !strings.HasPrefix(name, "next") })
	if after := s.done("DescribeReplay", map[string]any{"ReplayName": "described"}); before["State"] != "COMPLETED" || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("DescribeReplay = %v, before that %v", after, before)
	}
	if out := s.done("DescribeReplay", map[string]any{"ReplayName": "unseen"}); out["State"] != "COMPLETED" {
		t.Errorf("of what nobody asked about: %v", out)
	}
}

func TestANewBusHasNoneOfTheRulesAndArchivesOfTheOneBefore(t *testing.T) {
	s := newStand(t)
	on := map[string]any{"EventBusName": "shop"}
	s.done("CreateEventBus", map[string]any{"Name": "shop"})
	s.done("PutRule", map[string]any{"Name": "paid", "EventBusName": "shop", "EventPattern": `{"source":["shop"]}`})
	s.done("PutRule", map[string]any{"Name": "left", "EventBusName": "shop", "EventPattern": `{"source":["shop"]}`})
	s.done("CreateArchive", map[string]any{"ArchiveName": "all", "EventSourceArn": standBus + "shop"})
	s.done("CreateArchive", map[string]any{"ArchiveName": "left", "EventSourceArn": standBus + "shop"})
	if err := s.topics.DeleteTopic(t.Context(), "shop"); err != nil { // not as a bus
		t.Fatal(err)
	}
	s.done("DeleteRule", map[string]any{"Name": "left", "EventBusName": "shop"})
	s.done("DeleteArchive", map[string]any{"ArchiveName": "left"})
	if _, typ := s.do("DeleteRule", map[string]any{"Name": "left", "EventBusName": "shop"}); typ != noSuchThing {
		t.Errorf("a rule that is gone, of a bus that is gone: %s", typ)
	}

	s.topics.ids["shop"] = "another"
	if list := s.done("ListRules", on)["Rules"]; fmt.Sprint(list) != "[]" {
		t.Errorf("rules = %v", list)
	}
	if list := s.done("ListArchives", nil)["Archives"]; fmt.Sprint(list) != "[]" {
		t.Errorf("archives = %v", list)
	}
	for _, op := range []string{"DescribeRule", "EnableRule"} {
		if _, typ := s.do(op, map[string]any{"Name": "paid", "EventBusName": "shop"}); typ != noSuchThing {
			t.Errorf("%s: %s", op, typ)
		}
	}
	if _, typ := s.do("DescribeArchive", map[string]any{"ArchiveName": "all"}); typ != noSuchThing {
		t.Errorf("DescribeArchive: %s", typ)
	}
	s.done("PutRule", map[string]any{"Name": "paid", "EventBusName": "shop", "EventPattern": `{"source":["till"]}`})
	s.done("CreateArchive", map[string]any{"ArchiveName": "all", "EventSourceArn": standBus + "shop"})
	if _, typ := s.do("CreateArchive", map[string]any{"ArchiveName": "all", "EventSourceArn": standBus + "shop"}); typ != alreadyThere {
		t.Errorf("the archive once more: %s", typ)
	}
	if list, _ := s.done("ListRules", on)["Rules"].([]any); len(list) != 1 {
		t.Errorf("rules = %v", list)
	}
	if _, typ := s.do("DeleteEventBus", map[string]any{"Name": "shop"}); typ != "ValidationException" {
		t.Errorf("DeleteEventBus: %s", typ)
	}
	s.done("DeleteRule", map[string]any{"Name": "paid", "EventBusName": "shop"})
	s.done("DeleteArchive", map[string]any{"ArchiveName": "all"})
	s.done("PutRule", map[string]any{"Name": "old", "EventBusName": "shop", "EventPattern": `{"source":["till"]}`})
	s.topics.ids["shop"] = "a third"
	s.done("DeleteEventBus", map[string]any{"Name": "shop"})
	if _, there := s.topics.ids["shop"]; there {
		t.Error("a rule of a bus that is gone keeps another one from being deleted")
	}
}
