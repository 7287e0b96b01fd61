package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"

	"github.com/dalamb/dalamb/internal/client"
)

const (
	consoleEvents = 10_000_000
	consoleBound  = 0.1 // seconds
)

// consoleRow: from when a browser asks for a page of the console until it has all of it, with a large log, functions and runs, against a node that has
// one function and no events.
func consoleRow(ctx context.Context, b *bench) error {
	if _, err := b.program(ctx, "web"); err != nil {
		return err
	}
	large, small := &reborn{b: b, name: "console"}, &reborn{b: b, name: "console-empty"}
	if err := large.begin(ctx, restartManifest(restartFunctions, 1), consoleEvents); err != nil {
		return err
	}
	if err := small.begin(ctx, restartManifest(1, 1), 0); err != nil {
		return err
	}
	there, here, err := openConsoles(ctx, large.node, small.node)
	if err != nil {
		return err
	}
	run, err := large.node.client.Runs(ctx, client.RunQuery{Limit: 1})
	if err != nil || len(run.Runs) == 0 {
		return fmt.Errorf("find a run: %w", err)
	}
	newest, other := run.Runs[0].Event, run.Runs[0].ID
	none, err := small.node.client.Runs(ctx, client.RunQuery{Limit: 1})
	if err != nil || len(none.Runs) == 0 {
		return fmt.Errorf("find a run: %w", err)
	}
	place := func(partition int32, offset int64) string {
		return fmt.Sprintf("/events/events/%d/%d", partition, offset)
	}
	for _, page := range []struct{ name, path, of string }{
		{"overview", "/", "/"},
		{"functions", "/functions", "/functions"},
		{"one function", "/functions/web", "/functions/web"},
		{"events, the newest", "/events", "/events"},
		{"events, of a type that comes", "/events?type=bench.new", "/events?type=bench.new"},
		{"events, of a key that four have", "/events?key=" + fewEvents, "/events?key=" + fewEvents},
		{"events, of a type that never comes", "/events?type=bench.never", "/events?type=bench.never"},
		{"an event with its run", place(newest.Partition, newest.Offset), place(none.Runs[0].Event.Partition, none.Runs[0].Event.Offset)},
		{"an event in the midst of the log", place(0, consoleEvents/16), place(none.Runs[0].Event.Partition, none.Runs[0].Event.Offset)},
		{"runs", "/runs", "/runs"},
		{"one run", "/runs/" + other, "/runs/" + none.Runs[0].ID},
		{"dead letters", "/dead", "/dead"},
		{"releases", "/releases", "/releases"},
		{"flow", "/flow", "/flow"},
		{"settings", "/settings", "/settings"},
		{"a topic", "/topics/events", "/topics/events"},
	} {
		s, err := inTurns(ctx, b.turns(15), there.times(ctx, page.path), here.times(ctx, page.of))
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{
			Case: fmt.Sprintf("%s, %d M events, %d functions, %d runs", page.name, consoleEvents/1_000_000, restartFunctions, restartRuns), Unit: "s",
			Value: value, Yardstick: "the same of one function and no other events", Of: of, Ratio: ratio, Target: valueAtMost(consoleBound),
		})
	}
	return nil
}

// pages is a browser without scripts that is signed in to a console.
type pages struct {
	browser *http.Client
	base    string
}

func openConsoles(ctx context.Context, a, b *node) (there, here *pages, err error) {
	if there, err = openConsole(ctx, a); err == nil {
		here, err = openConsole(ctx, b)
	}
	return there, here, err
}

func openConsole(ctx context.Context, n *node) (*pages, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	p := &pages{browser: &http.Client{Jar: jar}, base: n.control}
	resp, err := p.browser.PostForm(n.control+"/signin", url.Values{"token": {n.token}})
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	resp.Body.Close()
	_, err = p.times(ctx, "/")()
	return p, err
}

// times measures how many seconds a page takes.
func (p *pages) times(ctx context.Context, path string) func() (float64, error) {
	return func() (float64, error) {
		begun := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+path, nil)
		if err != nil {
			return 0, err
		}
		resp, err := p.browser.Do(req)
		if err != nil {
			return 0, fmt.Errorf("ask for %s: %w", path, err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		if resp.StatusCode != http.StatusOK || resp.Request.URL.Path == "/signin" {
			return 0, fmt.Errorf("%s answers %s from %s", path, resp.Status, resp.Request.URL)
		}
		return time.Since(begun).Seconds(), nil
	}
}
