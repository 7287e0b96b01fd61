package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
)

// kept reads what is kept under a key. What cannot be read is as what is not there.
func kept[T any](b *EventBridge, key string) (v T, there bool) {
	text, _ := b.l.o.Catalog.View().SharedNote(key)
	if text == nil || json.Unmarshal(text, &v) != nil {
		var none T
		return none, false
	}
	return v, true
}

// allKept reads everything that is kept under keys with a beginning, in the order of the rest of the keys.
func allKept[T any](b *EventBridge, prefix string) []T {
	var all []T
	for _, key := range b.l.o.Catalog.View().SharedNotes(prefix) {
		if v, there := kept[T](b, key); there {
			all = append(all, v)
		}
	}
	return all
}

// keep changes what is kept under a key, or begins it. edit may be called again, with what somebody else has made of it; when it returns an error,
// nothing is changed.
func keep[T any](ctx context.Context, b *EventBridge, key string, edit func(v *T, there bool) error) error {
	for left := tries; ; left-- {
		text, expects := b.l.o.Catalog.View().SharedNote(key)
		var v T
		there := text != nil && json.Unmarshal(text, &v) == nil
		if err := edit(&v, there); err != nil {
			return err
		}
		after, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
		_, err = b.l.o.Catalog.Submit(ctx, catalog.SharedNote{Key: key, Text: after, Expects: expects})
		if fault.KindOf(err) != fault.Conflict || left == 1 {
			return err
		}
	}
}

// forget takes away what is kept under a key, where there is something.
func forget(ctx context.Context, b *EventBridge, key string) error {
	for left := tries; ; left-- {
		text, expects := b.l.o.Catalog.View().SharedNote(key)
		if text == nil {
			return nil
		}
		_, err := b.l.o.Catalog.Submit(ctx, catalog.SharedNote{Key: key, Expects: expects})
		if fault.KindOf(err) != fault.Conflict || left == 1 {
			return err
		}
	}
}

// checkEventsName holds a name to AWS's rule for names of rules, targets, archives and replays, of at most most characters.
func checkEventsName(field, name string, most int) error {
	valid := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r)
	}
	if name == "" || len(name) > most || strings.ContainsFunc(name, func(r rune) bool { return !valid(r) }) {
		return badValue("%s: %q is not a name of 1 to %d letters, digits, dots, dashes and underscores", field, fault.Clip(name), most)
	}
	return nil
}
