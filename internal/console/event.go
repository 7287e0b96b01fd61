package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// eventPage is one event.
type eventPage struct {
	wire.EventAt
	Head     eventHead
	Problems []string
	Runs     []function.Run
	MoreRuns bool
	Story    *wire.Explanation // nil = it could not be told
	Tree     *cause
	Cut      bool // the tree is larger
}

func (c *Console) event(v *visit) (frame, error) {
	partition, err := strconv.ParseInt(v.r.PathValue("partition"), 10, 32)
	offset, err2 := strconv.ParseInt(v.r.PathValue("offset"), 10, 64)
	if err = cmp.Or(err, err2); err != nil {
		return frame{}, fault.New(fault.NotFound, "no event stands at %s", v.r.URL.Path).WithHint("the address is /events/TOPIC/PARTITION/OFFSET")
	}
	ctx := v.r.Context()
	at, err := v.Client.Event(ctx, v.r.PathValue("topic"), int32(partition), offset)
	if err != nil {
		return frame{}, err
	}
	p := eventPage{EventAt: at}
	f := frame{Page: "event", Title: "Record", Nav: "events"}
	if at.Event != nil && json.Unmarshal(at.Event, &p.Head) == nil {
		f.Title = "Event " + p.Head.ID
		all := together{}
		all.ask("runs", func() error {
			page, err := v.Client.Runs(ctx, client.RunQuery{Event: p.Head.ID, Limit: maxRows})
			p.Runs, p.MoreRuns = page.Runs, page.Next != ""
			return err
		})
		all.ask("what it led to", func() (err error) { p.Tree, p.Cut, err = causes(ctx, v, &at, &p.Head); return err })
		all.ask("who wanted it", func() error {
			place := fmt.Sprintf("%s/%d@%d", at.Topic, at.Partition, at.Offset)
			story, err := v.Explanation(ctx, place, "")
			if err == nil {
				p.Story = &story
			}
			return err
		})
		if p.Problems, err = all.wait(); err != nil {
			return frame{}, err
		}
	}
	f.Body = p
	return f, nil
}
