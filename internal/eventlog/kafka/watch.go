package kafka

import (
	"context"
	"time"
)

// watchEvery is how often the log looks by itself whether other nodes have changed topics.
const watchEvery = 5 * time.Second

// watch keeps what the log knows of topics true, and lets members look whether theirs have changed.
func (l *Log) watch() {
	ctx, release := l.life.within(context.Background())
	defer release()
	tick := time.NewTicker(l.o.hooks.watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look asks for the topics that the log knows. Readers of one that is gone are told.
func (l *Log) look(ctx context.Context) {
	known := l.topics.all()
	if len(known) > 0 {
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		found, err := l.describe(ctx, names)
		if err != nil {
			return // whoever needs a topic says so
		}
		for name := range known {
			if l.topics.put(name, found[name]) {
				l.tail.changed(name)
			}
		}
	}
	l.membersLook()
}

// membersLook lets members see whether what the group shares out has changed.
func (l *Log) membersLook() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for m := range l.members {
		poke(m.look)
	}
}
