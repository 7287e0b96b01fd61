package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/seal"
	"github.com/dalamb/dalamb/internal/wire"
)

// Seals is what the API needs of seal.
type Seals interface {
	// Held counts what Forget would make unreadable, as far as it comes in its patience.
	Held(ctx context.Context, key []byte, topic string, patience time.Duration) (held []seal.Held, whole bool, err error)
	// SealsOf says of a seal whether it is of the keys that Forget would take away.
	SealsOf(ctx context.Context, key []byte, topic string) (mine func(seal string) bool, err error)
	// Has says whether there is anything for Forget to take away.
	Has(ctx context.Context, key []byte, topic string) (bool, error)
	// Forget takes the keys of an event key away, in one topic or with "" in all.
	Forget(ctx context.Context, key []byte, topic string) (keys int, erased bool, err error)
}

const (
	countPatience = 10 * time.Second // of events that are to be forgotten
	maxForgotten  = 4 << 10          // bytes of a key
)

// forget makes the events of a key unreadable. That it is to be is said first: what was begun and not ended can be told, and said again.
func (a *API) forget(r *http.Request, _ query) (any, error) {
	var req wire.Forget
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	switch {
	case req.Key == "":
		return nil, fault.New(fault.Invalid, "key: there is none").WithHint("the key of an event is its partitionkey, else its subject")
	case len(req.Key) > maxForgotten:
		return nil, fault.New(fault.Invalid, "key: it has more than %d bytes", maxForgotten)
	}
	ctx, key := r.Context(), []byte(req.Key)
	if err := a.checkForget(ctx, req.Topic); err != nil {
		return nil, err
	}
	held, whole, err := a.seals.Held(ctx, key, req.Topic, countPatience)
	if err != nil {
		return nil, err
	}
	letters, err := a.lettersOf(ctx, req.Key, req.Topic)
	if err != nil {
		return nil, err
	}
	mine, err := a.seals.SealsOf(ctx, key, req.Topic)
	if err != nil {
		return nil, err
	}
	waiting, err := a.delayed.Sealed(ctx, mine)
	if err != nil {
		return nil, err
	}
	out := wire.Forgotten{Topics: []wire.ForgottenTopic{}, AtLeast: !whole, DeadLetters: len(letters), Delayed: waiting, Digest: seal.Digest(key)}
	for _, h := range held {
		out.Topics = append(out.Topics, wire.ForgottenTopic{Topic: h.Topic, Events: h.Events})
		out.Events += h.Events
	}
	out.Again = a.catalog.View().Forgotten(out.Digest)
	// By its keys, and not by its events: those of a topic that was deleted are gone, and their keys are not.
	has, err := a.seals.Has(ctx, key, req.Topic)
	if err != nil {
		return nil, err
	}
	if !has && len(letters) == 0 && !out.Again {
		return nil, fault.New(fault.NotFound, "no sealed topic holds an event of this key").
			WithHint("dalamb topic ls says which topics are sealed; what was stored before a topic was, is not reached")
	}
	if req.DryRun {
		return out, nil
	}
	if _, err := a.catalog.Submit(ctx, catalog.Forget{Digest: out.Digest, Topic: req.Topic}); err != nil {
		return nil, err
	}
	// Before the keys go: of a dead letter that cannot be opened nobody could say that it is given up.
	for ids := range slices.Chunk(letters, maxIDs) {
		if err := a.dispatcher.Discard(ctx, ids, "forgotten"); err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, err
		}
	}
	// Also where there are none left: a call that was cut short may have come no further, and the files have them still.
	if _, out.Erased, err = a.seals.Forget(ctx, key, req.Topic); err != nil {
		return nil, err
	}
	a.seen(ctx)
	return out, nil
}

// checkForget refuses a topic that is not there, or not sealed.
func (a *API) checkForget(ctx context.Context, topic string) error {
	if topic == "" {
		return nil
	}
	if err := a.standing(ctx, topic); err != nil {
		return err
	}
	if !a.catalog.View().Rules(topic).Seal {
		return fault.New(fault.Invalid, "topic %q is not sealed: its events cannot be forgotten", topic).
			WithHint("dalamb topic alter %s --seal seals what comes from then on; what is there goes with its retention", topic)
	}
	return nil
}

// lettersOf are the dead letters of a key's events in sealed topics.
func (a *API) lettersOf(ctx context.Context, key, topic string) (ids []string, err error) {
	a.seen(ctx)
	view := a.catalog.View()
	for q := (history.Query{Limit: history.MaxLimit}); ; {
		page, err := a.history.DeadLetters(q)
		if err != nil {
			return nil, err
		}
		for _, d := range page.Rows {
			at := d.Run.Event
			if at.Key == key && (topic == "" || at.Topic == topic) && view.Rules(at.Topic).Seal {
				ids = append(ids, d.Run.ID)
			}
		}
		if q.After = page.Next; q.After == "" || ctx.Err() != nil {
			return ids, ctx.Err()
		}
	}
}

var _ Seals = (*seal.Log)(nil)
