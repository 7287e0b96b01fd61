package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// runMirror is a lambda function that answers an event, or each of a batch, with one that names it and has its key.
func runMirror() int {
	err := serveLambda(func(body []byte) (int, []byte) {
		type event struct{ ID, PartitionKey string }
		var in []event
		one := json.Unmarshal(body, &in) != nil
		if one {
			in = make([]event, 1)
			if err := json.Unmarshal(body, &in[0]); err != nil {
				return http.StatusBadRequest, []byte(`{"errorType":"Bad","errorMessage":"no event"}`)
			}
		}
		<-time.After(rand.N(2 * time.Millisecond)) // so that a kill meets it at work
		if rand.IntN(30) == 0 {
			return http.StatusInternalServerError, []byte(`{"errorType":"Chance","errorMessage":"one in thirty"}`)
		}
		var out []map[string]any
		for _, e := range in {
			out = append(out, map[string]any{"specversion": "1.0", "id": "x", "source": "/mirror", "type": "seen", "partitionkey": e.PartitionKey, "subject": e.ID})
		}
		var answer any = out
		if one {
			answer = out[0]
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return http.StatusInternalServerError, []byte(err.Error())
		}
		return http.StatusOK, text
	})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// passage is what goes through one trigger while its node is killed: events of some keys, numbered by key.
type passage struct {
	mu    sync.Mutex
	sent  map[string]int   // key -> the number of its newest event, whose fate may not be known
	acked map[string][]int // key -> the numbers that were acknowledged
	began int              // seeks that were asked for
}

const passageKeys = 4

func newPassage() *passage { return &passage{sent: map[string]int{}, acked: map[string][]int{}} }

// send sends events of one key, in order, until the node is gone.
func (p *passage) send(n *node, key string, count int) {
	for range count {
		p.mu.Lock()
		p.sent[key]++
		next := p.sent[key]
		p.mu.Unlock()
		if n.emitTo("in", "asked", key+"-"+strconv.Itoa(next), key, `{}`) != nil {
			return
		}
		p.mu.Lock()
		p.acked[key] = append(p.acked[key], next)
		p.mu.Unlock()
	}
}

// seek sends the trigger back to the start, again and again, until the node is gone.
func (p *passage) seek(n *node) {
	for {
		p.mu.Lock()
		p.began++
		p.mu.Unlock()
		if _, err := n.client.Seek(n.t.Context(), "mirror", "on-asked", wire.Seek{To: "earliest"}); err != nil {
			return
		}
	}
}

// endured kills the node in the middle of what during does, again and again, and returns a node that has come to rest.
func (p *passage) endured(t *testing.T, rules string, during func(*node)) *node {
	t.Helper()
	rounds := 8
	if os.Getenv("DALAMB_LONG") == "1" {
		rounds = 60
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data := t.TempDir()
	for round := range rounds {
		n := start(t, data)
		if round == 0 {
			for _, topic := range []string{"in", "out"} {
				if _, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: topic, Partitions: 3}); err != nil {
					t.Fatal(err)
				}
			}
			n.deploy(directory(t, nil), fmt.Sprintf(`
name: mirror
entry: {type: lambda, command: [%q, mirror]}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
triggers: [{name: on-asked, topic: in, emit: {topic: out}, retry: {attempts: 100, initial: 1ms, max: 5ms}%s}]
`, self(t), rules))
		}
		var busy sync.WaitGroup
		for key := range passageKeys {
			busy.Go(func() { p.send(n, "k"+strconv.Itoa(key), 10) })
		}
		busy.Go(func() { during(n) })
		select {
		case <-time.After(time.Duration(50+random.IntN(300)) * time.Millisecond):
		case <-n.done:
			t.Fatalf("the node ended by itself: %v\n%s", n.err, n.log)
		}
		n.kill()
		busy.Wait()
	}
	t.Logf("%d kills, %d seeks, the newest event of each key %v", rounds, p.began, p.sent)
	return start(t, data)
}

// inputs are the numbers that stand in the topic, by key; all that were acknowledged are among them.
func (p *passage) inputs(t *testing.T, n *node) map[string][]int {
	t.Helper()
	byKey := numbers(t, n.facts("in"))
	for key, acked := range p.acked {
		for _, number := range acked {
			if !slices.Contains(byKey[key], number) {
				t.Errorf("%s-%d was acknowledged and is not in the log", key, number)
			}
		}
	}
	return byKey
}

// numbers are the numbers that events of each key have in their subject, in the order in which they stand; no event stands there twice.
func numbers(t *testing.T, facts []fact) map[string][]int {
	t.Helper()
	slices.SortStableFunc(facts, func(a, b fact) int { return int(a.offset - b.offset) }) // one key has one partition
	ids, byKey := map[string]bool{}, map[string][]int{}
	for _, f := range facts {
		if ids[f.ID] {
			t.Errorf("event %s of %s stands in the log twice", f.ID, f.Subject)
		}
		ids[f.ID] = true
		_, text, _ := strings.Cut(f.Subject, "-")
		number, err := strconv.Atoi(text)
		if err != nil || !strings.HasPrefix(f.Subject, f.Key+"-") {
			t.Fatalf("event about %q with key %q", f.Subject, f.Key)
		}
		byKey[f.Key] = append(byKey[f.Key], number)
	}
	return byKey
}

// settled waits until the outputs of all keys end as they should, and returns them. No run may have ended in any other way.
func (p *passage) settled(t *testing.T, n *node, inputs map[string][]int, whole func(outputs, inputs []int) bool) map[string][]int {
	t.Helper()
	var outputs map[string][]int
	until(t, "all events to have been run", func() bool {
		outputs = numbers(t, n.facts("out"))
		for key, want := range inputs {
			if !whole(outputs[key], want) {
				return false
			}
		}
		return true
	})
	for _, r := range n.runs(client.RunQuery{State: function.RunDead}) {
		t.Errorf("%s is a dead letter: %s", r.Event.ID, r.Reason)
	}
	n.stop() // what is under way ends
	return outputs
}

// TestKilledInTheMiddleOfBatches kills the node while batches run: each input has one output all the same, in the order of its key.
func TestKilledInTheMiddleOfBatches(t *testing.T) {
	t.Parallel()
	p := newPassage()
	n := p.endured(t, ", batch: {size: 7, window: 10ms}", func(*node) {})
	inputs := p.inputs(t, n)
	outputs := p.settled(t, n, inputs, func(outputs, inputs []int) bool { return len(outputs) >= len(inputs) })
	for key, want := range inputs {
		if !slices.Equal(outputs[key], want) {
			t.Errorf("outputs of %s: %v, want %v", key, outputs[key], want)
		}
	}
}

// TestKilledInTheMiddleOfASeek kills the node while its trigger is sent back to the start over and over. Each seek begins a passage of
// its own through the events of a key: it leaves none out, and has none before the one ahead of it. The last passage is whole.
func TestKilledInTheMiddleOfASeek(t *testing.T) {
	t.Parallel()
	p := newPassage()
	n := p.endured(t, "", p.seek)
	inputs := p.inputs(t, n)
	outputs := p.settled(t, n, inputs, endsWhole)
	for key, want := range inputs {
		count := map[int]int{}
		before := map[int]int{} // event -> the one of its key ahead of it
		for i := 1; i < len(want); i++ {
			before[want[i]] = want[i-1]
		}
		for i, number := range outputs[key] {
			count[number]++
			if ahead, ok := before[number]; ok && count[number] > count[ahead] {
				t.Errorf("output %d of %s is the %d. of event %d, and event %d has only %d; in all %v", i, key, count[number], number, ahead, count[ahead], outputs[key])
				break
			}
		}
		if passages := count[want[0]]; passages > p.began+1 {
			t.Errorf("%d passages of %s, want at most one for each of %d seeks, and the first", passages, key, p.began)
		}
	}
}

// endsWhole says that a list ends with all of another, in order, between which the last attempts of former passages may stand: of
// a key each has one under way at most when it ends.
func endsWhole(list, whole []int) bool {
	const stragglers = 3
	left := len(whole)
	for strange := 0; left > 0 && len(list) > 0 && strange <= stragglers; list = list[:len(list)-1] {
		if list[len(list)-1] == whole[left-1] {
			left--
		} else {
			strange++
		}
	}
	return left == 0
}
