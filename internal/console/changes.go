package console

import (
	"cmp"
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
	Name     string // of what it is about, where that is no function; "" = the text has it
	Link     string // where Name stands
	By       string // who made it; "" = that is not known
	Text     string
	Detail   string
	Earlier  int // changes of the same circuit that were found before it, and are not shown
	Bad      bool
}

// controlEvent is an event of the control topic, as far as the pages speak of it.
type controlEvent struct {
	Type     string      `json:"type"`
	Time     time.Time   `json:"time"`
	AuthType string      `json:"authtype"`
	AuthID   string      `json:"authid"`
	Data     controlData `json:"data"`
}

// controlData is the data of all of them, and of the events of circuits; which fields are set depends on the type.
type controlData struct {
	Function string            `json:"function"` // or KIND/NAME of what is none
	Version  *function.Version `json:"version"`
	Drops    []int             `json:"drops"` // versions that are removed
	Alias    *function.Alias   `json:"alias"`
	Trigger  string            `json:"trigger"`
	Topic    string            `json:"topic"`
	Key      string            `json:"key"`
	Back     bool              `json:"back"`
	Route    string            `json:"route"`  // of a breaker's
	Before   string            `json:"before"` // of a breaker's
	Failures int               `json:"failures"`
	Replay   struct {
		Name string `json:"name"`
	} `json:"replay"`
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
	found, err := v.NewestEvents(ctx, client.NewestQuery{Filter: `{"type":[{"prefix":"dalamb.breaker."}]}`, Look: maxRows * 20, Limit: maxRows})
	if err != nil {
		return nil, unlessMissing(err)
	}
	var all []change
	newest := map[[2]string]int{} // of each circuit alone: one that goes to and fro leaves room for other changes
	for _, e := range found.Events {
		one, known := changeOf(e.Event, e.Time, e.Offset)
		if !known {
			continue
		}
		route := [2]string{one.Function, one.Name}
		if i, again := newest[route]; again {
			all[i].Earlier++
			continue
		}
		newest[route] = len(all)
		all = append(all, one)
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
	if e.AuthID != "" {
		c.By = (&function.Identity{Type: e.AuthType, ID: e.AuthID}).String()
	}
	if _, name, other := strings.Cut(c.Function, "/"); other {
		c.Function, c.Name = "", name
	}
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
	case "version":
		c.Kind, c.Text = "release", "version "+rest
		if len(d.Drops) > 0 {
			c.Text = fmt.Sprintf("version %d %s", d.Drops[0], rest)
		}
	case "breaker":
		c.Name, c.Link = d.Route, href("functions", c.Function)+"#triggers"
		c.Text, c.Bad = fmt.Sprintf("circuit of route %s is %s", d.Route, circuit(rest)), rest == "opened"
		if d.Failures > 0 {
			c.Detail = "after " + many(d.Failures, "failure")
		}
	case "trigger":
		c.Text = "trigger " + d.Trigger + " " + rest
	case "key":
		c.Text = fmt.Sprintf("key %q of trigger %s %s", cut(80, d.Key), d.Trigger, rest)
		if d.Trigger == "" { // of a key that is forgotten the log has a digest alone
			c.Text = "the events of a key are unreadable for good, in all sealed topics"
			if d.Topic != "" {
				c.Text = "the events of a key are unreadable for good, in topic " + d.Topic
			}
		}
	case "replay":
		c.Name, c.Link, c.Text = d.Replay.Name, href("replays", d.Replay.Name), "replay "+rest
	case "topic":
		c.Name = cmp.Or(c.Name, d.Topic)
		c.Link, c.Text = href("topics", c.Name), "topic "+rest
	case "copy", "token", "accesskey", "secret", "config", "hook", "alert", "quota":
		c.Link, c.Text = settingsOf(kind), kindWords(kind)+" "+rest
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

// settingsOf is where the settings have what is of a kind.
func settingsOf(kind string) string {
	at := map[string]string{"copy": "replays", "token": "tokens", "accesskey": "tokens", "secret": "secrets", "config": "config", "hook": "hooks", "alert": "alerts", "quota": "quotas"}
	return "/settings#" + at[kind]
}

func kindWords(kind string) string {
	switch kind {
	case "accesskey":
		return "access key"
	case "config":
		return "configuration value"
	}
	return kind
}

// circuit is how the circuit of a route stands after an event of it.
func circuit(what string) string {
	switch what {
	case "opened":
		return "open"
	case "half-opened":
		return "half-open"
	}
	return what
}
