package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Step is one change of the platform, for people: a control event without what only the fold needs. It holds no value of a secret or
// of the configuration.
type Step struct {
	Offset int64 // in the control topic
	Time   time.Time
	Type   string
	About  Entity
	What   string             // in words
	Origin *function.Origin   // of a deploy, where that is known
	By     *function.Identity // who caused it; nil = not known
}

// stepOf reads a control event of any age.
func stepOf(r eventlog.Record) (Step, error) {
	one, err := readPart(r)
	if err != nil {
		return Step{}, err
	}
	kind, name, ok := strings.Cut(one.payload.Function, "/")
	if !ok {
		kind, name = "", one.payload.Function
	}
	s := Step{Offset: r.Offset, Time: r.Time, Type: one.typ, About: Entity{Kind: kind, Name: name}, What: one.payload.words(one.typ), By: one.by}
	if v := one.payload.Version; v != nil {
		s.Origin = v.Origin
	}
	return s, nil
}

// words says what a control event has changed. One of a newer binary is told by its type.
func (p *payload) words(typ string) string {
	switch {
	case typ == event.TypeFunctionDeployed && p.Version != nil:
		return p.deployed()
	case typ == event.TypeAliasShifted && p.Alias != nil && p.Back:
		return "rolled back: " + aliasWords(p.Alias)
	case typ == event.TypeAliasShifted && p.Alias != nil:
		return aliasWords(p.Alias)
	case typ == event.TypeAliasRemoved && p.Alias != nil:
		return fmt.Sprintf("alias %s removed", p.Alias.Name)
	case typ == event.TypeVersionRemoved && len(p.Drops) == 1:
		return fmt.Sprintf("version %d removed", p.Drops[0])
	case typ == event.TypeKeyPaused:
		return fmt.Sprintf("key %q of trigger %s paused", p.Key, p.Trigger)
	case typ == event.TypeKeyResumed:
		return fmt.Sprintf("key %q of trigger %s goes on", p.Key, p.Trigger)
	case typ == event.TypeReplayStarted && p.Replay != nil:
		return fmt.Sprintf("replay %s of trigger %s started", p.Replay.Name, p.Replay.Trigger)
	case typ == event.TypeReplayEnded && p.Replay != nil:
		return fmt.Sprintf("replay %s ended: %s", p.Replay.Name, p.Replay.State)
	case typ == event.TypeCopyEnded && p.Copy != nil:
		return "copy ended: " + p.Copy.State
	case typ == event.TypeKeyForgotten && p.Topic != "":
		return "forgotten in topic " + p.Topic
	case typ == event.TypeFunctionNoted && p.Note != nil:
		return "note " + p.Note.Key
	case p.Rollout != nil:
		return p.Rollout.words(typ, p.Alias)
	}
	if fixed := plainWords()[typ]; fixed != "" {
		return strings.TrimSpace(fmt.Sprintf("%s %s", fixed, p.Trigger))
	}
	return typ
}

// plainWords are those of changes whose type says it all, but for the trigger's name.
func plainWords() map[string]string {
	return map[string]string{
		event.TypeFunctionRemoved: "removed", event.TypeTopicChanged: "rules changed",
		event.TypeTokenCreated: "made", event.TypeTokenRemoved: "removed", event.TypeAccessKeyCreated: "access key made", event.TypeTenantKeyCreated: "access key for one environment made",
		event.TypeTriggerPaused: "paused: trigger", event.TypeTriggerResumed: "goes on: trigger", event.TypeTriggerSought: "sought: trigger",
		event.TypeCopyStarted: "copy started", event.TypeNoteChanged: "changed", event.TypeKeyForgotten: "forgotten in all sealed topics", event.TypeSecretChanged: "set", event.TypeSecretRemoved: "removed",
		event.TypeConfigChanged: "set", event.TypeConfigRemoved: "removed", event.TypeHookChanged: "set", event.TypeHookRemoved: "removed",
		event.TypeAlertChanged: "set", event.TypeAlertRemoved: "removed",
		event.TypeQuotaChanged: "set",
	}
}

func (p *payload) deployed() string {
	if p.Alias == nil {
		return fmt.Sprintf("version %d made, at no alias yet", p.Version.Number)
	}
	return fmt.Sprintf("version %d deployed: %s", p.Version.Number, aliasWords(p.Alias))
}

// aliasWords says where an alias points.
func aliasWords(a *function.Alias) string {
	text := fmt.Sprintf("%s is at version %d", a.Name, a.Primary)
	for _, n := range slices.Sorted(maps.Keys(a.Weights)) {
		if n != a.Primary {
			text += fmt.Sprintf(", %d%% at version %d", a.Weights[n], n)
		}
	}
	return text
}

func (r *rolloutPayload) words(typ string, a *function.Alias) string {
	which := "the roll-out"
	if a != nil {
		which += " at " + a.Name
	}
	switch typ {
	case event.TypeRolloutStarted:
		text := fmt.Sprintf("%s to version %d started", which, r.To)
		if r.Rules != nil {
			text += fmt.Sprintf(" (%s)", r.Rules.Strategy)
		}
		return text
	case event.TypeRolloutStepped:
		return fmt.Sprintf("%s took a step after step %d", which, r.Step)
	case event.TypeRolloutPaused:
		return which + " paused"
	case event.TypeRolloutResumed:
		return which + " goes on"
	case event.TypeRolloutFailed:
		return strings.TrimSuffix(fmt.Sprintf("%s failed and went back: %s", which, cmp.Or(r.Reason, string(r.Gate))), ": ")
	case event.TypeRolloutFinished:
		return strings.TrimSuffix(fmt.Sprintf("%s ended: %s, %s", which, r.State, r.Reason), ", ")
	}
	return typ
}
