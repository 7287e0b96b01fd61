package console

import (
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// settingsPage is what the installation has beside functions. Of secrets and tokens it has the names; nobody can be told more.
type settingsPage struct {
	Problems     []string
	Node         wire.Node
	Machine      []wire.Finding
	Topics       []wire.Topic
	Own          []wire.Topic // dalamb's
	Tokens       wire.TokenList
	Secrets      wire.SecretList
	Config       []wire.ConfigValue
	Alerts       []wire.Alert
	Hooks        []wire.Hook
	Repositories []wire.Repository
	Environments []wire.Environment
	Quotas       []wire.Quota
	Services     []wire.ServiceSummary
	Schedules    []wire.Schedule
	Replays      []wire.Replay
	Copies       []wire.Copy
	Delayed      wire.DelayedList
	Upstreams    []wire.Upstream
}

func (c *Console) settings(v *visit) (frame, error) {
	var p settingsPage
	ctx := v.r.Context()
	all := together{}
	all.ask("the node", func() (err error) { p.Node, err = v.Node(ctx); return err })
	all.ask("topics", func() error {
		list, err := v.Client.Topics(ctx)
		for _, t := range list {
			if t.System {
				p.Own = append(p.Own, t)
			} else {
				p.Topics = append(p.Topics, t)
			}
		}
		p.Topics = first(p.Topics)
		return err
	})
	all.ask("secrets", func() (err error) { p.Secrets, err = v.Secrets(ctx); return err })
	all.ask("configuration values", func() (err error) { p.Config, err = v.Config(ctx); return err })
	all.ask("environments", func() (err error) { p.Environments, err = v.Environments(ctx); return err })
	all.ask("quotas", func() (err error) { p.Quotas, err = v.Quotas(ctx); return err })
	all.ask("schedules", func() (err error) { p.Schedules, err = v.Schedules(ctx); return err })
	all.ask("replays", func() (err error) { p.Replays, err = v.Replays(ctx); return err })
	all.ask("delayed events", func() (err error) { p.Delayed, err = v.Delayed(ctx, 20); return err })
	all.ask("upstreams", func() (err error) { p.Upstreams, err = v.Upstreams(ctx, ""); return err })
	if v.who.Environment == "" { // of the whole installation, and nothing for who is there for one environment
		all.ask("the machine", func() (err error) { p.Machine, err = v.Machine(ctx); return err })
		all.ask("tokens", func() (err error) { p.Tokens, err = v.Tokens(ctx); return err })
		all.ask("alerts", func() (err error) { p.Alerts, err = v.Alerts(ctx); return err })
		all.ask("hooks", func() (err error) { p.Hooks, err = v.Hooks(ctx); return err })
		all.ask("repositories", func() error { list, err := v.Repositories(ctx); p.Repositories = list.Repositories; return err })
		all.ask("services", func() (err error) { p.Services, err = v.Services(ctx); return err })
		all.ask("copies", func() (err error) { p.Copies, err = v.Copies(ctx); return err })
	}
	var err error
	if p.Problems, err = all.wait(); err != nil {
		return frame{}, err
	}
	p.Tokens.Tokens, p.Tokens.AccessKeys = first(p.Tokens.Tokens), first(p.Tokens.AccessKeys)
	p.Secrets.Secrets, p.Config = first(p.Secrets.Secrets), first(p.Config)
	p.Alerts = first(p.Alerts)
	p.Hooks, p.Repositories, p.Environments = first(p.Hooks), first(p.Repositories), first(p.Environments)
	p.Quotas = first(p.Quotas)
	p.Services, p.Schedules, p.Replays = first(p.Services), first(p.Schedules), first(p.Replays)
	p.Copies, p.Upstreams = first(p.Copies), first(p.Upstreams)
	return frame{Page: "settings", Title: "Settings", Nav: "settings", Body: p}, nil
}

// first is as much of a list as a page has; the commands have all of it.
func first[T any](list []T) []T { return list[:min(len(list), maxRows)] }

// topicPage is one topic and who listens to it.
type topicPage struct {
	wire.Topic
	Problems  []string
	Held      int64
	Listeners []wire.FunctionTrigger
	Events    bool // it holds events for people to look at
}

func (c *Console) topic(v *visit) (frame, error) {
	ctx := v.r.Context()
	t, err := v.Client.Topic(ctx, v.r.PathValue("topic"))
	if err != nil {
		return frame{}, err
	}
	p := topicPage{Topic: t, Events: !function.SystemTopic(t.Name)}
	for _, b := range t.Bounds {
		p.Held += b.End - b.Start
	}
	triggers, err := v.Triggers(ctx, t.Name)
	if err != nil {
		p.Problems = append(p.Problems, "triggers: "+err.Error())
	}
	p.Listeners, p.Bounds = first(triggers), first(p.Bounds)
	return frame{Page: "topic", Title: "Topic " + t.Name, Nav: "settings", Live: true, Body: p}, nil
}
