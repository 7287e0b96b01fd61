package app_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

// hostileMarkup is what somebody would like the console to run.
const hostileMarkup = `"><img src=x onerror="window.bad=1"><script>window.bad=1</script>`

// shopHere is examples/shop with its Go step built.
func shopHere(t testing.TB) (dir, manifest string) {
	t.Helper()
	need.Program(t, "python3")
	need.Program(t, "node")
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/shop")); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "validate", "bootstrap"), "../../examples/shop/validate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build validate: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "dalamb.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(text)
}

// loud is a function that fails, and says what would do harm.
const loud = `
name: loud
entry: {type: stdio, command: [/bin/sh, loud.sh]}
triggers:
  - {name: on-noise, topic: events, filter: {source: ["/test"], data: {noise: [true]}}, retry: {attempts: 1}}
`

// mailer is a step of the shop with something in it that a version can differ in.
func mailer(mark, rest string) string {
	return fmt.Sprintf("name: mailer\ncode: mailer\nentry: {type: stdio, command: [/bin/sh, mailer.sh]}\nenv: {MARK: %s}\n%s\ntriggers:\n  - {name: on-confirmed, topic: events, filter: {type: [order.confirmed]}}\n", mark, rest)
}

func (n *node) order(id, card string) {
	n.t.Helper()
	if err := n.emit("order.requested", id, id, fmt.Sprintf(`{"order":%q,"items":[{"sku":"tea","quantity":1,"price":4.5}],"card":%q,"email":"a@example.org"}`, id, card)); err != nil {
		n.t.Fatal(err)
	}
}

// TestConsole goes through the console in a real browser, on a node that runs the shop.
func TestConsole(t *testing.T) {
	need.Chromium(t)
	shop, manifest := shopHere(t)
	n := start(t, t.TempDir())
	n.deploy(shop, manifest)
	n.deploy(directory(t, map[string]string{"loud.sh": "cat >/dev/null; printf '%s\\n' '" + hostileMarkup + "' >&2; exit 1\n"}), loud)
	for id, card := range map[string]string{"o-1": "ok", "o-2": "declined", "o-3": "flaky", "o-4": "declined", "o-5": "declined"} {
		n.order(id, card)
	}
	noise := url.Values{"type": {hostileMarkup}, "source": {"/test"}, "id": {hostileMarkup}, "subject": {hostileMarkup}, "key": {hostileMarkup}}
	n.noise(noise)
	until(t, "the shop to be done", func() bool {
		return len(n.runs(client.RunQuery{Function: "mailer", State: function.RunSucceeded})) == 4 && len(n.runs(client.RunQuery{State: function.RunDead})) == 4
	})
	n.replayed(wire.ReplayRequest{Name: "again", Function: "pay", Trigger: "on-validated", From: "earliest"})
	control, token := n.client.Address()
	b := openBrowser(t, control)

	b.open("/runs?state=dead") // leads to the form, and back
	b.look("signin", "/signin?to=/runs?state%3Ddead")
	b.do("sign in", chromedp.SendKeys(chromedp.CSS("#token"), token))
	b.press("form button", "the bank declines this card")
	if at, err := told[string](b, "location.pathname + location.search + document.cookie"); err != nil || at != "/runs?state=dead" {
		t.Errorf("after signing in the browser is at %q (%v), want the page that was asked for, and no cookie that scripts can read", at, err)
	}

	t.Run("pages", func(t *testing.T) { n.lookAround(b) })
	t.Run("hostile", func(t *testing.T) { n.beHostile(b) })
	t.Run("triggers", func(t *testing.T) {
		b.open("/functions/pay")
		b.press(`#triggers a[href*="trigger-pause"][href*="on-validated"]`, "Pause a trigger of pay, on-validated?")
		b.press("main form button", "Trigger on-validated of pay is paused.")
		if !n.trigger("pay", "on-validated").Paused {
			t.Error("the trigger is not paused")
		}
		b.press(`#triggers a[href*="trigger-resume"]`, "go on?")
		b.press("main form button", "Trigger on-validated of pay goes on.")
		if n.trigger("pay", "on-validated").Paused {
			t.Error("the trigger is still paused")
		}
	})
	t.Run("keys", func(t *testing.T) {
		b.open("/functions/pay")
		b.press(`#triggers a[href="/functions/pay/keys/on-validated"]`, "None is paused.")
		b.do("name a key", chromedp.SendKeys(chromedp.CSS("#key"), "o-77"))
		b.press(`form[action="/act/key-pause"] button`, `Pause the key "o-77" of pay, on-validated?`)
		b.press("main form button", `The key "o-77" is paused.`)
		if list, err := n.client.Keys(t.Context(), "pay", "on-validated"); err != nil || !slices.Equal(list.Paused, []string{"o-77"}) {
			t.Errorf("the keys that are paused: %v (%v)", list.Paused, err)
		}
		b.press(`#paused a[href*="key-resume"]`, "go on?")
		b.press("main form button", `The key "o-77" goes on.`)
		if list, err := n.client.Keys(t.Context(), "pay", "on-validated"); err != nil || len(list.Paused) != 0 {
			t.Errorf("the keys that are paused: %v (%v)", list.Paused, err)
		}
	})
	t.Run("try", func(t *testing.T) {
		b.open("/functions/validate")
		b.do("fill in", chromedp.SetValue(chromedp.CSS("#payload"), `{"no`))
		b.press("#try button", "the payload is no JSON")
		b.do("fill in", chromedp.SetValue(chromedp.CSS("#payload"), `{"data":{"order":"o-9"}}`))
		b.press("#try button", "version 1, call")
		b.open("/functions/validate")
		b.shows("Newest requests") // it was one
		b.shows("by name")
	})
	t.Run("start", func(t *testing.T) {
		b.open("/functions/ship")
		b.press(`#instances a[href*="/act/start"]`, "Start an instance of ship?")
		b.press("main form button", "An instance of ship version 1 is ready.")
	})
	t.Run("end a replay", func(t *testing.T) {
		if _, err := n.client.StartReplay(t.Context(), wire.ReplayRequest{Name: "slowly", Function: "validate", Trigger: "on-requested", From: "earliest", Rate: .1}); err != nil {
			t.Fatal(err)
		}
		b.open("/replays/slowly")
		b.press(`a[href*="replay-cancel"]`, "End the replay slowly?")
		b.press("main form button", "The replay slowly is cancelled.")
	})
	t.Run("scale", func(t *testing.T) {
		b.open("/functions/validate")
		b.press(`#cards a[href*="/act/scale"]`, "Scale validate?")
		b.do("say how many", chromedp.SetValue(chromedp.CSS("#asks-max"), "3"))
		b.press("main form button", "Version 2 of validate has the new bounds, and is live.")
		if f, err := n.client.Function(t.Context(), "validate"); err != nil || f.Versions[0].Number != 2 || f.Versions[0].Spec.Scale.Max != 3 {
			t.Errorf("after the scale: version %d with %+v (%v), want at most 3", f.Versions[0].Number, f.Versions[0].Spec.Scale, err)
		}
	})
	t.Run("dead letters", func(t *testing.T) { n.bury(b) })
	t.Run("releases", func(t *testing.T) { n.release(b, shop) })
	b.open("/")
	b.press("header form button", "Token")
	b.open("/functions")
	b.shows("Token")
}

// noise sends an event that the function loud wants.
func (n *node) noise(q url.Values) {
	n.t.Helper()
	if err := n.emitTo(function.TopicEvents, q.Get("type"), q.Get("subject"), q.Get("key"), `{"noise":true,"text":"<script>window.bad=1</script>"}`); err != nil {
		n.t.Fatal(err)
	}
}

// replayed runs a stretch of history again, to its end.
func (n *node) replayed(asked wire.ReplayRequest) {
	n.t.Helper()
	if _, err := n.client.StartReplay(n.t.Context(), asked); err != nil {
		n.t.Fatal(err)
	}
	until(n.t, "the replay to end", func() bool {
		r, err := n.client.Replay(n.t.Context(), asked.Name)
		return err == nil && r.State == "finished"
	})
}

// trigger is one of a function's, as the API has it.
func (n *node) trigger(fn, name string) (paused struct{ Paused bool }) {
	n.t.Helper()
	f, err := n.client.Function(n.t.Context(), fn)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, one := range f.Triggers {
		if one.Name == name {
			paused.Paused = one.Paused
		}
	}
	return paused
}

// lookAround looks at every page.
func (n *node) lookAround(b *browser) {
	n.t.Helper()
	dead := n.runs(client.RunQuery{Function: "pay", State: function.RunDead})[0]
	event := fmt.Sprintf("/events/events/%d/%d", dead.Event.Partition, dead.Event.Offset)
	for _, page := range []struct{ name, path, shows string }{
		{"overview", "/", "Changed lately"},
		{"functions", "/functions", "validate"},
		{"function", "/functions/pay", "PaymentRefused"},
		{"events", "/events", "order.delivered"},
		{"events-search", "/events?type=order.*&key=o-1", "that fit"},
		{"event", event, "no match"},
		{"runs", "/runs", "By error"},
		{"run", "/runs/" + dead.ID, "used up its 4 attempts"},
		{"run-logs", "/runs/" + dead.ID + "/logs", "Logs of run"},
		{"dead", "/dead", "the bank declines this card"},
		{"deadletter", "/dead/" + dead.ID, "Edit and redrive"},
		{"releases", "/releases?at=1s", "version 1 deployed"},
		{"settings", "/settings", "user namespaces"},
		{"topic", "/topics/events", "Who listens"},
		{"flow", "/flow", "order.requested"},
		{"keys", "/functions/pay/keys/on-validated", "Pause a key"},
		{"replay", "/replays/again", "Against the runs that were"},
		{"ask", "/act/redrive?run=" + dead.ID, "Redrive this dead letter?"},
		{"scale", "/act/scale?function=pay", "Scale pay?"},
	} {
		b.look(page.name, page.path)
		if got := b.text(); !strings.Contains(got, page.shows) {
			n.t.Errorf("%s does not show %q but:\n%s", page.path, page.shows, got)
		}
	}
	b.open(event)
	for _, text := range []string{`type is "order.validated"; wanted ["payment.processed"]`, "dead pay / on-validated", "this event"} {
		if got := b.text(); !strings.Contains(strings.ReplaceAll(got, "\n", " "), text) {
			n.t.Errorf("the page of an event does not show %q but:\n%s", text, got)
		}
	}
}

// beHostile opens every page that shows what outsiders have written, and nothing of it may run.
func (n *node) beHostile(b *browser) {
	n.t.Helper()
	dead := n.runs(client.RunQuery{Function: "loud", State: function.RunDead})[0]
	for _, path := range []string{
		"/events", fmt.Sprintf("/events/events/%d/%d", dead.Event.Partition, dead.Event.Offset), "/runs", "/runs/" + dead.ID, "/dead", "/dead/" + dead.ID,
		"/events?" + url.Values{"key": {hostileMarkup}}.Encode(), "/releases?" + url.Values{"at": {hostileMarkup}}.Encode(), "/flow?" + url.Values{"search": {hostileMarkup}}.Encode(),
	} {
		b.open(path)
		b.shows("window.bad=1")
		if ran, err := told[bool](b, "window.bad !== undefined || document.querySelector('main img, main script') !== null"); err != nil || ran {
			n.t.Errorf("%s: what was written by somebody else is part of the page (%v)", path, err)
		}
	}
	b.open("/functions/loud") // its lines come by themselves
	until(n.t, "the line of the log", func() bool {
		said, err := told[string](b, `document.querySelector(".log .said")?.textContent ?? ""`)
		return err == nil && said == hostileMarkup
	})
	if ran, err := told[bool](b, "window.bad !== undefined"); err != nil || ran {
		n.t.Errorf("a line of a log has run (%v)", err)
	}
}

// bury does with dead letters what can be done with them: one is marked and runs again, one is edited, and the others are given up.
func (n *node) bury(b *browser) {
	n.t.Helper()
	b.open("/dead?function=pay")
	b.press(`a[href^="/act/redrive"]`, "Redrive the dead letters that fit?")
	b.shows("function: pay")
	b.do("say how fast", chromedp.SetValue(chromedp.CSS("#asks-rate"), "50"))
	b.press("main form button", "3 dead letters to run again.")
	b.shows("3 of 3 dead letters")
	b.shows("finished")
	until(n.t, "them to be dead again", func() bool {
		page, err := n.client.DeadLetters(n.t.Context(), client.DeadQuery{Function: "pay"})
		return err == nil && len(page.DeadLetters) == 3
	})

	b.open("/dead?function=pay")
	b.do("mark one", chromedp.Click(chromedp.CSS(`tbody input[name="run"]`)))
	b.press(`form[action="/act/redrive"] button:not([formaction])`, "Redrive this dead letter?")
	b.press("main form button", "1 dead letter to run again.")
	b.shows("1 of 1 dead letter")
	b.shows("finished")
	at, err := told[string](b, "location.pathname + location.search")
	if err != nil {
		n.t.Fatal(err)
	}
	b.look("redrive", at)

	b.open("/dead?function=pay&error=declines")
	b.press("tbody .id", "Edit and redrive")
	b.do("let the card be good", chromedp.SetValue(chromedp.CSS("#event"), `{"specversion":"1.0","id":"x","type":"order.validated","source":"/test","subject":"o-2","data":{"order":"o-2","total":4.5,"card":"ok","email":"a@example.org"}}`))
	b.press(`form[action$="/edit"] button`, "The event runs again as")

	left := n.runs(client.RunQuery{Function: "loud", State: function.RunDead})[0]
	b.open("/dead/" + left.ID)
	b.press(`a[href*="/act/discard"]`, "Give up 1 dead letter for good?")
	b.do("say why", chromedp.SendKeys(chromedp.CSS("#asks-reason"), "noise"))
	b.press("main form button", "1 dead letter given up.")
	if page, err := n.client.DeadLetters(n.t.Context(), client.DeadQuery{Function: "loud"}); err != nil || len(page.DeadLetters) != 0 {
		n.t.Errorf("the dead letter is still there: %v (%v)", page.DeadLetters, err)
	}
}

// release deploys while somebody looks, rolls back, and ends a roll-out.
func (n *node) release(b *browser, shop string) {
	n.t.Helper()
	b.open("/functions/mailer")
	b.shows("live") // the pulse: it is told of changes
	n.deploy(shop, mailer("two", ""))
	until(n.t, "the page to show the new version by itself", func() bool {
		text, err := told[string](b, `document.querySelector("#cards").innerText`)
		return err == nil && strings.Contains(text, "version 2")
	})
	b.press(`#cards a[href*="rollback"]`, "Roll mailer back to version 1?")
	b.shows("trigger on-delivered comes")
	b.press("main form button", "Alias live of mailer is at version 1.")

	n.deploy(shop, mailer("three", "rollout: {strategy: canary, steps: [10%], every: 10m}"))
	b.open("/functions/mailer")
	b.shows("10% of the traffic")
	b.press(`#rollout a[href*="rollout-pause"]`, "Pause the roll-out of mailer, live?")
	b.press("main form button", "The roll-out of mailer to version 3 is paused.")
	b.press(`#rollout a[href*="rollout-abort"]`, "Abort the roll-out of mailer, live?")
	b.press("main form button", "The roll-out of mailer to version 3 is aborted.")
	b.look("function-rollout", "/functions/mailer")
	b.look("releases-later", "/releases")
	n.deploy(shop, mailer("four", "rollout: {strategy: canary, steps: [10%], every: 10m}"))
	b.open("/functions/mailer")
	b.press(`#rollout a[href*="rollout-promote"]`, "Promote the roll-out of mailer, live?")
	b.press("main form button", "The roll-out of mailer to version 4 has succeeded.")
	b.open("/releases")
	b.press(`#rollouts tbody a[href^="/rollouts/mailer/"]`, "Roll-out of mailer to version")
	b.shows("by token node")
	at, err := told[string](b, "location.pathname")
	if err != nil {
		n.t.Fatal(err)
	}
	b.look("rollout", at)
}
