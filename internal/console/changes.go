package console

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	recently     = 15 * time.Minute
	latelyShown  = 15
	controlTopic = function.TopicControl
)

// change is one line of what was changed in the installation: an event of the control topic, in words.
type change struct {
	At       time.Time
	Offset   int64
	Kind     string // release, rollout, trigger, topic, secret, ...: what it is about
	Function string // "" = it is about none
	Text     string
	Detail   string
	Bad      bool
}

// controlEvent is an event of the control topic, as far as the pages speak of it.
type controlEvent struct {
	Type    string      `json:"type"`
	Subject string      `json:"subject"`
	Time    time.Time   `json:"time"`
	Data    controlData `json:"data"`
}

// controlData is the data of all of them, and of the events of circuits; which fields are set depends on the type.
type controlData struct {
	Function string            `json:"function"`
	Version  *function.Version `json:"version"`
	Alias    *function.Alias   `json:"alias"`
	Trigger  string            `json:"trigger"`
	Topic    string            `json:"topic"`
	Token    string            `json:"token"`
	Key      string            `json:"key"`
	Back     bool              `json:"back"`
	Route    string            `json:"route"`  // of a breaker's
	Before   string            `json:"before"` // of a breaker's
	Failures int               `json:"failures"`
	Replay   struct {
		Name string `json:"name"`
	} `json:"replay"`
	Copy struct {
		Name string `json:"name"`
	} `json:"copy"`
	Value struct {
		Name string `json:"name"`
	} `json:"value"`
	Hook struct {
		Name string `json:"name"`
	} `json:"hook"`
	Alert struct {
		Name string `json:"name"`
	} `json:"alert"`
	Access struct {
		Name string `json:"name"`
	} `json:"access"`
	Rollout struct {
		To     int    `json:"to"`
		Step   int    `json:"step"`
		State  string `json:"state"`
		Gate   string `json:"gate"`
		Reason string `json:"reason"`
	} `json:"rollout"`
}

// lately are the newest changes, and what became of the circuits of routes, the newest first.
func lately(ctx context.Context, v *visit) ([]change, error) {
	all, _, err := changesBefore(ctx, v, -1, latelyShown, "")
	if err != nil {
		return nil, err
	}
	breakers, err := breakersLately(ctx, v)
	if err != nil {
		return nil, err
	}
	all = append(all, breakers...)
	slices.SortStableFunc(all, func(a, b change) int { return b.At.Compare(a.At) })
	return all[:min(len(all), latelyShown)], nil
}

// changesBefore are so many changes below an offset of the control topic, -1 = its end, the newest first, and the offset to go on below; 0 = there are no more.
// With a function only what is about it, as far as that is found within maxLooked events.
func changesBefore(ctx context.Context, v *visit, before int64, most int, about string) ([]change, int64, error) {
	t, err := v.Client.Topic(ctx, controlTopic)
	if err != nil || len(t.Bounds) == 0 {
		return nil, 0, err
	}
	b := t.Bounds[0]
	if before < 0 || before > b.End {
		before = b.End
	}
	var all []change
	stretch := int64(most)
	if about != "" {
		stretch = maxRows
	}
	for looked := int64(0); before > b.Start && len(all) < most && looked < maxLooked; {
		from := max(b.Start, before-stretch)
		var part []change
		for e, err := range v.Client.Events(ctx, client.EventQuery{Topic: controlTopic, Partition: &b.ID, From: strconv.FormatInt(from, 10), Limit: before - from}) {
			if err != nil {
				return nil, 0, err
			}
			if e.Offset >= before {
				break
			}
			if one, known := changeOf(e.Event, e.Time, e.Offset); known && (about == "" || one.Function == about) {
				part = append(part, one)
			}
		}
		slices.Reverse(part)
		all = append(all, part...)
		looked += before - from
		before = from
	}
	if len(all) > most {
		all = all[:most]
		before = all[most-1].Offset
	}
	if before <= b.Start {
		before = 0
	}
	return all, before, nil
}

// maxLooked bounds how many events one page goes through.
const maxLooked = 5000

// breakersLately are the newest changes of circuits. They stand among the events of the functions, of which the newest are looked through:
// so the page comes at once however many there are.
func breakersLately(ctx context.Context, v *visit) ([]change, error) {
	found, err := v.NewestEvents(ctx, client.NewestQuery{Filter: `{"type":[{"prefix":"dalamb.breaker."}]}`, Look: maxRows * 20, Limit: latelyShown})
	if err != nil {
		return nil, unlessMissing(err)
	}
	var all []change
	for _, e := range found.Events {
		if one, known := changeOf(e.Event, e.Time, e.Offset); known {
			all = append(all, one)
		}
	}
	return all, nil
}

// changeOf puts an event into words. Of notes nobody is told: what they hold is no change of what runs.
func changeOf(doc json.RawMessage, at time.Time, offset int64) (change, bool) {
	var e controlEvent
	if json.Unmarshal(doc, &e) != nil {
		return change{}, false
	}
	c := change{At: at, Offset: offset, Function: e.Data.Function}
	kind, rest, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(e.Type, "dalamb."), ".v1"), ".")
	c.Kind = kind
	d := &e.Data
	switch kind {
	case "function":
		return c, c.ofFunction(rest, &e)
	case "alias":
		c.Kind = "release"
		c.Text = "alias " + d.aliasName() + " " + rest
		if d.Alias != nil && rest == "shifted" {
			c.Text = fmt.Sprintf("alias %s points at %s", d.Alias.Name, shares(d.Alias))
			if d.Back {
				c.Text = fmt.Sprintf("alias %s rolled back to %s", d.Alias.Name, shares(d.Alias))
				c.Bad = true
			}
		}
	case "rollout":
		c.ofRollout(rest, &e)
	case "breaker":
		c.Text, c.Bad = fmt.Sprintf("circuit of route %s is %s", d.Route, rest), rest == "opened"
		if d.Failures > 0 {
			c.Detail = fmt.Sprintf("after %d failures", d.Failures)
		}
	case "trigger", "key":
		c.Text = kind + " " + rest
		if d.Trigger != "" {
			c.Text = "trigger " + d.Trigger + " " + rest
		}
		if kind == "key" {
			c.Text = fmt.Sprintf("key %q of trigger %s %s", cut(80, d.Key), d.Trigger, rest)
		}
	case "topic", "token", "accesskey", "secret", "config", "hook", "alert", "replay", "copy":
		c.Text = strings.TrimSpace(kind + " " + cut(120, d.named()) + " " + rest)
	default:
		return c, false
	}
	return c, true
}

func (c *change) ofFunction(what string, e *controlEvent) bool {
	c.Kind = "release"
	switch v := e.Data.Version; {
	case what == "noted":
		return false
	case what == "deployed" && v != nil:
		c.Text = fmt.Sprintf("version %d deployed", v.Number)
		if a := e.Data.Alias; a != nil {
			c.Text += ", " + a.Name + " points at it"
		}
		if v.Origin != nil {
			c.Detail = v.Origin.String()
		}
	default:
		c.Text, c.Bad = "function "+what, what == "removed"
	}
	return true
}

func (c *change) ofRollout(what string, e *controlEvent) {
	r := e.Data.Rollout
	switch what {
	case "started":
		c.Text = fmt.Sprintf("roll-out of version %d started", r.To)
	case "stepped":
		c.Text = "roll-out took a step"
		if a := e.Data.Alias; a != nil {
			c.Text += ": " + shares(a)
		}
	case "failed":
		c.Text, c.Bad = "roll-out failed, gate "+r.Gate, true
	case "finished":
		c.Text, c.Bad = "roll-out "+r.State, r.State != string(function.RolloutSucceeded)
	default:
		c.Text = "roll-out " + what
	}
	c.Detail = cut(300, r.Reason)
}

// shares says which versions an alias points at.
func shares(a *function.Alias) string {
	ns := a.Versions()
	if len(ns) == 1 {
		return fmt.Sprintf("version %d", ns[0])
	}
	slices.Sort(ns[1:])
	words := make([]string, len(ns))
	for i, n := range ns {
		words[i] = fmt.Sprintf("version %d %d%%", n, a.Share(n))
	}
	return strings.Join(words, ", ")
}

func (d *controlData) aliasName() string {
	if d.Alias == nil {
		return ""
	}
	return d.Alias.Name
}

// named is the name of what an event is about that is no function.
func (d *controlData) named() string {
	for _, name := range []string{d.Topic, d.Token, d.Access.Name, d.Value.Name, d.Hook.Name, d.Alert.Name, d.Replay.Name, d.Copy.Name} {
		if name != "" {
			return name
		}
	}
	return ""
}
