package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/dalamb/dalamb/internal/need"
)

// browser is a real one, with a person in front of it. What it complains of, such as a script that a page's policy does not allow, fails the test.
type browser struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu         sync.Mutex
	complaints []string
}

func openBrowser(t testing.TB, base string) *browser {
	t.Helper()
	path := need.Chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox) // it sees this node alone
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base}
	err := chromedp.Listen(ctx, func(said any) {
		switch e := said.(type) {
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
				b.complain("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			b.complain("exception: %s", e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.complain("console: %s", e.Type)
		}
	})
	if err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	t.Cleanup(b.judge)
	return b
}

func (b *browser) complain(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, fmt.Sprintf(format, args...))
}

// judge tells what the browser has complained of.
func (b *browser) judge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
}

// do takes the steps one after another, each until the page holds still for it.
func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, step := range steps {
		if err := b.take(what, step); err != nil {
			b.t.Fatalf("%s: %v; the page says:\n%s", what, err, b.text())
		}
	}
}

// take takes one step, again where the page has put another element in the place of the one that was found.
func (b *browser) take(what string, step chromedp.Action[chromedp.Void]) (err error) {
	b.t.Helper()
	until(b.t, what, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		err = chromedp.Do(ctx, step)
		return err == nil || !strings.Contains(err.Error(), "Could not find node") && !strings.Contains(err.Error(), "No node with given id")
	})
	return err
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.base+path))
}

// press follows a link or presses a button, and waits until the next page shows what it should.
func (b *browser) press(css, then string) {
	b.t.Helper()
	if err := b.take(css+" to be pressed", chromedp.Click(chromedp.CSS(css), chromedp.NodeVisible)); err != nil {
		b.t.Fatalf("press %s: %v; the page says:\n%s", css, err, b.text())
	}
	b.shows(then)
}

// shows waits until the page has a text.
func (b *browser) shows(text string) {
	b.t.Helper()
	seen := ""
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !strings.Contains(seen, text); <-tick.C {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited %s for the page to show %q; it says:\n%s", patience, text, seen)
		}
		seen = b.text()
	}
}

// text is what a person reads on the page.
func (b *browser) text() string {
	text, err := told[string](b, `document.body ? document.body.innerText : ""`)
	if err != nil {
		return "" // it is on its way to another page
	}
	return text
}

// told has the page say something.
func told[T any](b *browser, script string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script))
}

// contrast names each text that stands out less than WCAG 2.2, success criterion 1.4.3, wants of small text: 4.5 to 1.
const contrast = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const part = (v) => (v /= 255) <= .03928 ? v / 12.92 : Math.pow((v + .055) / 1.055, 2.4);
  const light = (c) => .2126 * part(c.r) + .7152 * part(c.g) + .0722 * part(c.b);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; } return { r: 255, g: 255, b: 255 }; };
  const faint = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !e.checkVisibility() || e.closest("svg, script, noscript, option")) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faint.add(ratio.toFixed(2) + ": " + e.tagName + " " + e.className + " " + e.textContent.slice(0, 30));
  }
  return [...faint].join("\n");
})()`

// nameless names each thing that can be pressed or filled in and that a screen reader has no name for.
const nameless = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]):not([hidden]), select, textarea")]
  .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.title || (e.labels && [...e.labels].some((l) => l.textContent.trim()))))
  .map((e) => e.outerHTML.slice(0, 120)).join("\n")`

// look shows the page in light and dark, on a desk and on a phone: nothing may be cut off, or be too faint to read. Where DALAMB_SCREENSHOTS names a
// directory, what is seen is kept there.
func (b *browser) look(name, path string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
			if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
				b.t.Fatal(err)
			}
			b.do("look at "+path, chromedp.EmulateViewport(width, 900), chromedp.Navigate(b.base+path))
			if got, err := told[int64](b, `document.documentElement.scrollWidth`); err != nil || got > width {
				b.t.Errorf("%s is %d wide on a screen of %d (%v)", path, got, width, err)
			}
			for what, script := range map[string]string{"is too faint": contrast, "has no name": nameless} {
				if got, err := told[string](b, script); err != nil || got != "" {
					b.t.Errorf("%s (%s): %s: %s (%v)", path, scheme, what, got, err)
				}
			}
			b.keep(fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
		}
	}
	b.do("back to the desk", chromedp.EmulateViewport(1280, 900))
}

// keep stores what is seen.
func (b *browser) keep(name string) {
	dir := os.Getenv("DALAMB_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), shot, 0o600)
	}
	if err != nil {
		b.t.Errorf("keep %s: %v", name, err)
	}
}
