package catalog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/secret"
)

func TestNotesGoWithTheirFunctionAndSurviveARestart(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	first := submit(t, c, Deploy{Version: version("pay")})
	last := first.functions["pay"].Last
	submit(t, c, Note{Function: "pay", Key: "aws", Text: json.RawMessage(`{"a":1}`), Expects: &last})
	submit(t, c, Note{Function: "pay", Key: "other", Text: json.RawMessage(`2`)})
	if len(first.functions["pay"].Notes) != 0 {
		t.Error("the older view has changed")
	}
	check := func(when string, v *View) {
		t.Helper()
		f, err := v.Function("pay")
		if err != nil || string(f.Notes["aws"]) != `{"a":1}` || string(f.Notes["other"]) != `2` || len(f.Versions) != 1 || f.Last <= last {
			t.Errorf("%s: %+v, %v", when, f, err)
		}
	}
	stop()
	c, stop = start(t, log, store)
	check("from the snapshot", caughtUp(t, c))
	stop()
	c, _ = start(t, log, nil)
	check("from the log", caughtUp(t, c))

	for what, n := range map[string]Note{
		"decided upon what is older": {Function: "pay", Key: "aws", Text: json.RawMessage(`1`), Expects: &last},
		"of no function":             {Function: "none", Key: "aws", Text: json.RawMessage(`1`)},
		"too large":                  {Function: "pay", Key: "aws", Text: json.RawMessage(`"` + strings.Repeat("x", maxNote) + `"`)},
	} {
		if _, err := c.Submit(t.Context(), n); err == nil {
			t.Errorf("a note %s is taken", what)
		}
	}
	v := submit(t, c, Note{Function: "pay", Key: "aws"})
	if f := v.functions["pay"]; f.Notes["aws"] != nil || f.Notes["other"] == nil {
		t.Errorf("after one was taken away: %v", f.Notes)
	}
	submit(t, c, Remove{Function: "pay"})
	if v = submit(t, c, Deploy{Version: version("pay")}); len(v.functions["pay"].Notes) != 0 {
		t.Error("a function that is made again has the notes of the one before")
	}
}

func TestADeployIsDecidedUponAStateOfTheFunction(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	none, late := int64(-1), int64(1<<40)
	if _, err := c.Submit(t.Context(), Deploy{Version: version("pay"), Expects: &late}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("of a function that is gone: %v, want a conflict", err)
	}
	v := submit(t, c, Deploy{Version: version("pay"), Expects: &none})
	if _, err := c.Submit(t.Context(), Deploy{Version: version("pay"), Expects: &none}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("of a function that is there already: %v, want a conflict", err)
	}
	last := v.functions["pay"].Last
	submit(t, c, Deploy{Version: version("pay"), Expects: &last})
	if _, err := c.Submit(t.Context(), Deploy{Version: version("pay"), Expects: &last}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("of an older state: %v, want a conflict", err)
	}
}

// An older binary, which bounds keys by no environment, reads "access" alone.
func TestAccessKeysOfOneEnvironmentAreNobodysToOlderBinaries(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	key := AccessKey{Name: "ci", ID: "DLMBONE", Sealed: secret.Sealed{Key: "age1x", Text: []byte("sealed")}, Grant: &access.Grant{Role: access.Deployer, Environment: "acme"}}
	e, err := AddAccessKey{key}.event(t.Context(), scene{view: c.View()})
	// They accept an event of a type that they do not know, and none of one that they know which lacks what it is about: then they would
	// disagree with newer ones about what comes after it.
	if err != nil || e.Type != event.TypeTenantKeyCreated {
		t.Errorf("the event of such a key is %+v, %v; want the type %s", e, err, event.TypeTenantKeyCreated)
	}
	submit(t, c, AddAccessKey{key})
	stop()
	for _, kept := range []*memory{store, {}} {
		c, stop := start(t, log, kept)
		if got, ok := caughtUp(t, c).AccessKey("DLMBONE"); !ok || got.Actor().Environment != "acme" || got.Actor().Role != access.Deployer {
			t.Errorf("the key is %+v, %v, want a deployer's of acme", got, ok)
		}
		stop()
	}
}

func TestAccessKeysShareTheNamesOfTokens(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	key := AccessKey{Name: "ci", ID: "DLMBONE", Sealed: secret.Sealed{Key: "age1x", Text: []byte("sealed")}, Created: time.Unix(1, 0).UTC()}
	submit(t, c, AddAccessKey{key})
	submit(t, c, AddToken{Name: "shop"})
	for _, change := range []Change{AddAccessKey{key}, AddAccessKey{AccessKey{Name: "shop"}}, AddToken{Name: "ci"}} {
		if _, err := c.Submit(t.Context(), change); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%T with a name that is taken: %v, want a conflict", change, err)
		}
	}
	stop()
	c, stop = start(t, log, store)
	v := caughtUp(t, c)
	if got, ok := v.AccessKey("DLMBONE"); !ok || got.Name != "ci" || string(got.Sealed.Text) != "sealed" || len(v.AccessKeys()) != 1 {
		t.Errorf("from the snapshot: %+v, %v", got, ok)
	}
	stop()
	c, _ = start(t, log, nil)
	caughtUp(t, c)
	v = submit(t, c, RemoveToken{Name: "ci"})
	if _, ok := v.AccessKey("DLMBONE"); ok || len(v.Tokens()) != 1 {
		t.Errorf("after it was removed there are %d keys and %d tokens", len(v.AccessKeys()), len(v.Tokens()))
	}
	if _, err := c.Submit(t.Context(), RemoveToken{Name: "ci"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("to remove it again: %v, want not found", err)
	}
}
