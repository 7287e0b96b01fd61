package app_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// customers ask for the version that answers them, each one request after the other, until they are stopped.
type customers struct {
	work sync.WaitGroup
	stop chan struct{}

	mu   sync.Mutex
	said map[string][]string // by customer: answers, without repetitions
	n    int
}

func newCustomers(n *node, how func(r *http.Request, customer string), names []string) *customers {
	c := &customers{stop: make(chan struct{}), said: map[string][]string{}}
	for _, name := range names {
		c.work.Go(func() {
			own := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer own.CloseIdleConnections()
			for {
				select {
				case <-c.stop:
					return
				default:
					c.note(name, answerTo(own, n.gateway+"/say", name, how))
				}
			}
		})
	}
	return c
}

func answerTo(c *http.Client, url, customer string, how func(*http.Request, string)) string {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	how(r, customer)
	resp, err := c.Do(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s %s %v", resp.Status, body, err)
	}
	return string(body)
}

func (c *customers) note(customer, answer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if before := c.said[customer]; len(before) == 0 || before[len(before)-1] != answer {
		c.said[customer] = append(before, answer)
	}
}

func (c *customers) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// TestACustomerStaysOnOneVersion moves the share of a new version as a canary does, under requests of many customers and events of as many keys: each of
// them goes over to the new version once, and never back.
func TestACustomerStaysOnOneVersion(t *testing.T) {
	t.Parallel()
	const most = 10
	var names []string
	for i := range most {
		names = append(names, fmt.Sprintf("customer-%02d", i))
	}
	for how, c := range map[string]struct {
		sticky string
		set    func(r *http.Request, customer string)
	}{
		"cookie": {"cookie: session", func(r *http.Request, customer string) { r.AddCookie(&http.Cookie{Name: "session", Value: customer}) }},
		"header": {"header: X-Customer", func(r *http.Request, customer string) { r.Header.Set("X-Customer", customer) }},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			n, dir := start(t, t.TempDir()), t.TempDir()
			for _, text := range []string{"1", "2"} {
				if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				n.deploy(dir, "name: say\ncode: .\nentry: {type: stdio, command: [cat, answer]}\ntriggers:\n  - {name: web, route: {path: /say, sticky: {"+c.sticky+"}}}\n  - {name: asked, topic: events, filter: {type: [asked]}}\n")
			}
			shift := func(shares ...wire.Share) {
				t.Helper()
				if _, err := n.client.Shift(t.Context(), "say", function.LiveAlias, wire.ShiftRequest{Shares: shares}); err != nil {
					t.Fatal(err)
				}
			}
			shift(wire.Share{Version: 1})
			all := newCustomers(n, c.set, names)
			sent := 0
			for _, percent := range []int{10, 30, 60} {
				shift(wire.Share{Version: 1}, wire.Share{Version: 2, Percent: &percent})
				for _, key := range names {
					if err := n.emit("asked", fmt.Sprint(key, "-", percent), key, "{}"); err != nil {
						t.Fatal(err)
					}
					sent++
				}
				want := all.count() + 4*most
				until(t, "requests and events of a step", func() bool {
					return all.count() >= want && len(n.runs(client.RunQuery{Function: "say", State: function.RunSucceeded})) == sent
				})
			}
			shift(wire.Share{Version: 2})
			want := all.count() + 4*most
			until(t, "requests at the new version", func() bool { return all.count() >= want })
			close(all.stop)
			all.work.Wait()
			for _, name := range names {
				if got := all.said[name]; !slices.Equal(got, []string{"1", "2"}) && !slices.Equal(got, []string{"2"}) {
					t.Errorf("%s met %q, want the old version and then the new one", name, got)
				}
			}
			n.stayed(names)
		})
	}
}

// stayed wants the runs of each key to have met the new version once they had, and both to have been met.
func (n *node) stayed(keys []string) {
	n.t.Helper()
	met := map[string][]int{}
	seen := map[int]bool{}
	runs := n.runs(client.RunQuery{Function: "say"})
	slices.SortFunc(runs, func(a, b function.Run) int { return a.Attempts[0].Start.Compare(b.Attempts[0].Start) })
	for _, r := range runs {
		v := r.Attempts[0].Version
		met[r.Event.Key], seen[v] = append(met[r.Event.Key], v), true
	}
	for _, key := range keys {
		if !slices.IsSorted(met[key]) || len(met[key]) != 3 {
			n.t.Errorf("the events of %s met the versions %v, want three that never go back", key, met[key])
		}
	}
	if !seen[1] || !seen[2] {
		n.t.Errorf("the events met the versions %v, want both", seen)
	}
}
