package copier

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Start checks a copy, of which the names, the address and Follow are set, makes the topic that is copied to where it is not there,
// and starts the copy. It returns when the catalog has it.
func (c *Copier) Start(ctx context.Context, one function.Copy) (*catalog.Copy, error) {
	if one.Log != "" {
		address, err := c.logs.Address(one.Log)
		if err != nil {
			return nil, err
		}
		one.Log = address
	}
	from, err := findTopic(ctx, c.log, one.From)
	if err != nil {
		return nil, err
	}
	target, release, err := c.reach(one.Log)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := apart(ctx, target, from, one); err != nil {
		return nil, there(one.Log, err)
	}
	to, err := c.ready(ctx, target, from, one)
	if err != nil {
		return nil, there(one.Log, err)
	}
	one.FromID, one.ToID = from.ID, to.ID
	change := catalog.StartCopy{Copy: one}
	if !one.Follow {
		if change.End, err = c.ends(ctx, from); err != nil {
			return nil, err
		}
	}
	view, err := c.catalog.Submit(ctx, change)
	if err != nil {
		return nil, err
	}
	return view.Copy(one.Name)
}

// apart refuses another log that is the node's own: what is written to it by its address is not sealed.
func apart(ctx context.Context, target eventlog.Log, from eventlog.Topic, one function.Copy) error {
	if one.Log == "" {
		return nil
	}
	same, err := findTopic(ctx, target, from.Name)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil
	case err != nil:
		return err
	case same.ID == from.ID:
		return fault.New(fault.Invalid, "topic %q is there itself: that log is the node's own", from.Name).WithHint("leave --to-log out, so that what is to be sealed is")
	}
	return nil
}

// there says of an error at which log it was.
func there(address string, err error) error {
	if address == "" || fault.KindOf(err) == fault.Internal {
		return err
	}
	hint := fault.HintOf(err)
	if fault.KindOf(err) == fault.Unavailable {
		hint = "start that cluster, or correct the address" // the log's own hint is for a node that waits
	}
	return fault.New(fault.KindOf(err), "%s: %w", address, err).WithHint("%s", hint)
}

// ready finds the topic to copy to, or makes it like the one that is copied, and the topic of how far copies are.
func (c *Copier) ready(ctx context.Context, target eventlog.Log, from eventlog.Topic, one function.Copy) (eventlog.Topic, error) {
	to, err := fit(ctx, target, from, one.To)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return to, err
	}
	if err := makeTopic(ctx, target, eventlog.Topic{Name: function.TopicCopies, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true}); err != nil {
		return to, err
	}
	if to.ID != "" {
		return to, nil
	}
	if err := eventlog.Widen(ctx, target, function.AsWide(), from.Partitions); err != nil {
		return to, err
	}
	sealed, err := c.sealLike(ctx, one)
	if err != nil {
		return to, err
	}
	like := from
	like.Name, like.ID = one.To, ""
	if err := makeTopic(ctx, target, like); err != nil {
		if sealed != nil && !fault.Retryable(err) { // after one that may pass the topic may come yet, and is better sealed
			c.unseal(ctx, one.To, sealed)
		}
		return to, err
	}
	return fit(ctx, target, from, one.To) // which somebody else may have made at the same time
}

// fit finds the topic to copy to, and checks that the other one can be copied to it. NotFound where it is not there.
func fit(ctx context.Context, target eventlog.Log, from eventlog.Topic, name string) (eventlog.Topic, error) {
	to, err := findTopic(ctx, target, name)
	switch {
	case err != nil:
		return to, err
	case to.ID == from.ID:
		return to, fault.New(fault.Invalid, "topic %q cannot be copied to itself", name).WithHint("name another topic, or another log with --to-log")
	case to.Partitions != from.Partitions:
		return to, fault.New(fault.Conflict, "topic %q there has %d partitions, and topic %q has %d; the same number is needed, so that order is kept", name, to.Partitions, from.Name, from.Partitions).
			WithHint("copy to a topic that is not there, and it is made; or let the smaller one grow with dalamb topic alter --partitions")
	}
	return to, nil
}

// sealLike has the topic that is about to be made sealed, where the one that is copied is: no event comes to it before. The seals of another log are not known here.
// It gives the view by which unseal can take that back; nil where there is nothing to take back.
func (c *Copier) sealLike(ctx context.Context, one function.Copy) (*catalog.View, error) {
	if one.Log != "" {
		return nil, nil
	}
	// By an older view a topic that another node has just sealed would be copied in the clear.
	if err := c.catalog.CatchUp(ctx); err != nil {
		return nil, err
	}
	view := c.catalog.View()
	if !view.Rules(one.From).Seal {
		return nil, nil
	}
	bare := view.Rules(one.To).None()
	view, err := c.catalog.Submit(ctx, catalog.SetTopic{Topic: one.To, Change: &function.TopicRulesChange{Seal: new(true)}})
	if err != nil {
		return nil, fmt.Errorf("seal topic %s: %w", one.To, err)
	}
	if !bare {
		return nil, nil
	}
	return view, nil
}

// unseal takes the rule back of a topic that could not be made, unless it is there all the same, or somebody has set rules since.
func (c *Copier) unseal(ctx context.Context, name string, seen *catalog.View) {
	if _, err := findTopic(ctx, c.log, name); fault.KindOf(err) != fault.NotFound {
		return
	}
	if _, err := c.catalog.Submit(ctx, catalog.DropTopic{Topic: name, Seen: seen}); err != nil && fault.KindOf(err) != fault.Conflict {
		c.logger.Warn("the rules of a topic that could not be made stay", "topic", name, "err", err)
	}
}

func makeTopic(ctx context.Context, log eventlog.Log, t eventlog.Topic) error {
	if err := log.CreateTopic(ctx, t); err != nil && fault.KindOf(err) != fault.Conflict {
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	return nil
}

// ends is where the partitions of a topic end now.
func (c *Copier) ends(ctx context.Context, t eventlog.Topic) (map[int32]int64, error) {
	ends := make(map[int32]int64, t.Partitions)
	for id := range t.Partitions {
		b, err := c.log.Bounds(ctx, eventlog.Partition{Topic: t.Name, ID: id})
		if err != nil {
			return nil, fmt.Errorf("read the bounds of %s/%d: %w", t.Name, id, err)
		}
		ends[id] = b.End
	}
	return ends, nil
}

// Cancel ends a copy before it is over. What it has copied stays.
func (c *Copier) Cancel(ctx context.Context, name string) error {
	_, err := c.catalog.Submit(ctx, catalog.EndCopy{Name: name, State: function.CopyCancelled})
	return err
}
