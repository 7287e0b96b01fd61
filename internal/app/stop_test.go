package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
)

// TestPoisonIsDeadLetteredInTheEnd kills the node each time that the poisoned event runs: the attempts are counted all the same.
func TestPoisonIsDeadLetteredInTheEnd(t *testing.T) {
	t.Parallel()
	data, began := t.TempDir(), filepath.Join(t.TempDir(), "began")
	code := directory(t, map[string]string{"poison.sh": `echo yes > "$BEGAN"; exec sleep 1000`})
	n := start(t, data)
	n.deploy(code, fmt.Sprintf(`
name: poison
code: .
entry: {type: stdio, command: [/bin/sh, poison.sh]}
timeout: 5m
env: {BEGAN: %s}
triggers:
  - {name: on-poison, topic: events, filter: {type: [poison]}, retry: {attempts: 4, initial: 10ms, max: 10ms}}
`, began))
	if err := n.emit("poison", "p-1", "p-1", "{}"); err != nil {
		t.Fatal(err)
	}
	kills := 0
	dead := func() []function.Run { return n.runs(client.RunQuery{State: function.RunDead}) }
	for ; len(dead()) == 0; kills++ {
		if kills == 10 {
			t.Fatalf("the event has killed %d nodes, and is no dead letter", kills)
		}
		until(t, "the poison or its dead letter", func() bool {
			_, err := os.Stat(began)
			return err == nil || len(dead()) > 0
		})
		if _, err := os.Stat(began); err != nil {
			break
		}
		n.kill()
		if err := os.Remove(began); err != nil {
			t.Fatal(err)
		}
		n = start(t, data)
	}
	run := dead()[0]
	// The attempt that killed the first node was not counted: counting before the start costs a write, and is done only on
	// partitions that a killed node has left. See dispatch's doc.go.
	if len(run.Attempts) != 4 || kills > 5 {
		t.Errorf("dead after %d kills with attempts %+v, want at most 5 kills and 4 attempts", kills, run.Attempts)
	}
	if err := n.emit("poison.not", "p-2", "p-2", "{}"); err != nil {
		t.Errorf("the node does not take events any more: %v", err)
	}
	n.stop()
}

// TestStopInTheMiddleLosesNothingAndRepeatsNothing stops a node gently while its functions run.
func TestStopInTheMiddleLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	data, journal := t.TempDir(), filepath.Join(t.TempDir(), "journal")
	code := directory(t, map[string]string{"work.sh": `
subject=$(sed 's/.*"subject":"\([^"]*\)".*/\1/')
echo "$subject" >> "$JOURNAL"
sleep 0.1
echo '{"specversion":"1.0","id":"x","source":"/work","type":"work.done","subject":"'$subject'"}'
`})
	n := start(t, data)
	n.deploy(code, fmt.Sprintf(`
name: work
code: .
entry: {type: stdio, command: [/bin/sh, work.sh]}
scale: {max: 4}
env: {JOURNAL: %s}
triggers:
  - {name: on-wanted, topic: events, filter: {type: [work.wanted]}, emit: {topic: events}}
`, journal))
	const wanted = 40
	for i := range wanted {
		if err := n.emit("work.wanted", fmt.Sprintf("w-%d", i), fmt.Sprintf("w-%d", i), "{}"); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 { // functions run, and events wait
			lines := strings.Count(read(t, journal), "\n")
			until(t, "a function to begin", func() bool { return strings.Count(read(t, journal), "\n") > lines })
			n.stop()
			n = start(t, data)
		}
	}
	until(t, "all work to be done", func() bool { return len(done(n)) == wanted })
	for subject, times := range done(n) {
		if times != 1 {
			t.Errorf("%s was done %d times in the log, want once", subject, times)
		}
	}
	ran := strings.Fields(read(t, journal))
	if len(ran) != wanted {
		t.Errorf("functions began %d times, want %d: a gentle stop repeats nothing", len(ran), wanted)
	}
	for _, r := range n.runs(client.RunQuery{Function: "work"}) {
		if len(r.Attempts) != 1 {
			t.Errorf("%s took %d attempts, want 1", r.Event.Subject, len(r.Attempts))
		}
	}
	n.stop()
}

// TestStopEndsWhatOutlastsTheDrain stops a node while functions run that would take an hour, one of which its client has left.
func TestStopEndsWhatOutlastsTheDrain(t *testing.T) {
	t.Parallel()
	data, journal := t.TempDir(), filepath.Join(t.TempDir(), "journal")
	code := directory(t, map[string]string{"long.sh": `
echo begun >> "$JOURNAL"
[ $(wc -l < "$JOURNAL") -gt 1 ] || exec sleep 3600
`, "hang.sh": `echo begun > "$JOURNAL.$NAME"; exec sleep 3600`})
	const drain = 4 * time.Second
	n := start(t, data, "drain="+drain.String())
	n.deploy(code, fmt.Sprintf(`
name: long
code: .
entry: {type: stdio, command: [/bin/sh, long.sh]}
timeout: 2h
env: {JOURNAL: %[1]s}
triggers:
  - {name: on-long, topic: events, filter: {type: [long]}}
---
name: caller
code: .
entry: {type: stdio, command: [/bin/sh, hang.sh]}
timeout: 2h
env: {JOURNAL: %[1]s, NAME: hang}
triggers:
  - {name: hang, route: {path: /hang}}
---
name: left
code: .
entry: {type: stdio, command: [/bin/sh, hang.sh]}
timeout: 2h
env: {JOURNAL: %[1]s, NAME: left}
triggers:
  - {name: left, route: {path: /left, timeout: {total: 100ms}}}
`, journal))
	resp, err := http.Get(n.gateway + "/left")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusGatewayTimeout {
		t.Fatalf("the answer of a function that hangs = %s, want 504", resp.Status)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		if resp, err := http.Get(n.gateway + "/hang"); err == nil {
			resp.Body.Close()
		}
	}()
	if err := n.emit("long", "l-1", "l-1", "{}"); err != nil {
		t.Fatal(err)
	}
	until(t, "all functions to begin", func() bool {
		return read(t, journal) != "" && read(t, journal+".hang") != "" && read(t, journal+".left") != ""
	})
	began := time.Now()
	n.stop()
	<-left
	if took := time.Since(began); took < drain || took > 2*drain {
		t.Errorf("the stop took %s; want the drain time of %s, once", took, drain)
	}
	n = start(t, data)
	until(t, "the run to succeed after the restart", func() bool {
		return len(n.runs(client.RunQuery{State: function.RunSucceeded})) == 1
	})
	if run := n.runs(client.RunQuery{State: function.RunSucceeded})[0]; len(run.Attempts) != 1 {
		t.Errorf("attempts = %+v, want 1: what the stop ended is none", run.Attempts)
	}
	n.stop()
}

// done counts the work.done events by subject.
func done(n *node) map[string]int {
	m := map[string]int{}
	for _, f := range n.facts(function.TopicEvents) {
		if f.Type == "work.done" {
			m[f.Subject]++
		}
	}
	return m
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// TestStopEndsFollowersAtOnce: who only watches does not hold up a stop.
func TestStopEndsFollowersAtOnce(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir())
	if err := n.emit("x", "1", "1", "{}"); err != nil {
		t.Fatal(err)
	}
	seen, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		var last error
		for _, err := range n.client.Events(t.Context(), client.EventQuery{From: "earliest", Follow: true}) {
			if last = err; err == nil {
				seen <- struct{}{}
			}
		}
		ended <- last
	}()
	<-seen
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %s with a follower, which is the drain time", took)
	}
	<-ended
}

// TestRestartIsQuick: what a node reads at its start does not grow with what is in the log.
func TestRestartIsQuick(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, data)
	n.deploy(directory(t, map[string]string{"f.sh": "cat"}), `
name: idle
code: .
entry: {type: stdio, command: [/bin/sh, f.sh]}
triggers:
  - {name: on-other, topic: events, filter: {type: [other]}}
`)
	const events = 100_000
	n.fill(events)
	n.kill()
	began := time.Now()
	n = start(t, data)
	took := time.Since(began)
	t.Logf("a killed node with %d events in its log is up again after %s", events, took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("start took %s, want well under 10 s", took)
	}
	if err := n.emit("x", "after", "after", "{}"); err != nil {
		t.Error(err)
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-n.done
}
