package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
	"github.com/dalamb/dalamb/internal/wire"
)

// installation is several nodes on several brokers, under load, to which something happens.
type installation struct {
	t       *testing.T
	brokers *broker.Cluster
	nodes   []*node // nil = not there at the moment
	data    []string
	mu      sync.RWMutex // guards nodes
	pids    []string     // of all nodes that there were
	frozen  []freeze
	killed  map[string]int // what has happened, and how often
	readers map[string]*reader

	ackedMu sync.Mutex
	acked   []string
	sent    int
}

// The load leaves room: what is tested is what happens to events, not how many of them a busy machine can take.
const (
	clusterKeys  = 30
	clusterPause = 600 * time.Millisecond // between two events of a key, at most
)

// TestThreeNodesOnThreeBrokers lets happen, under load and one after another in a random order: a node is killed, a node is frozen
// past its session and thawed, a broker is lost and comes back, every node and every broker is restarted. Then an outsider
// judges by what stands in Kafka and by what the functions wrote into a file.
func TestThreeNodesOnThreeBrokers(t *testing.T) {
	survive(t, 3, (*installation).killNode, (*installation).freezeNode, (*installation).loseBroker, (*installation).rollEverything)
}

// TestTwoNodesOnThreeBrokers loses half of the nodes at once.
func TestTwoNodesOnThreeBrokers(t *testing.T) {
	survive(t, 2, (*installation).killNode, (*installation).freezeNode, (*installation).loseBroker)
}

func survive(t *testing.T, nodes int, happenings ...func(*installation, *rand.Rand)) {
	need.Linux(t)
	brokers := need.KafkaCluster(t, broker.Options{Brokers: 3})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := &installation{t: t, brokers: brokers, killed: map[string]int{}, readers: map[string]*reader{}}
	witness := filepath.Join(t.TempDir(), "witness")
	for i := range nodes {
		w.data = append(w.data, t.TempDir())
		w.nodes = append(w.nodes, w.start(i))
	}
	first := w.nodes[0]
	for _, topic := range []wire.TopicCreate{{Name: "in", Partitions: 6}, {Name: "out", Partitions: 4}} {
		if _, err := first.client.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	first.deploy(directory(t, nil), fmt.Sprintf(`
name: witness
entry: {type: lambda, command: [%s, witness, %s]}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
scale: {max: 8}
triggers:
  - {name: t, topic: in, retry: {attempts: 1000, initial: 5ms, max: 50ms}, emit: {topic: out}}
`, self(t), witness))

	rounds := 1
	if os.Getenv("DALAMB_LONG") == "1" {
		rounds = 6
	}
	stopped := make(chan struct{})
	var senders sync.WaitGroup
	for key := range clusterKeys {
		senders.Go(func() { w.send(fmt.Sprintf("k%d", key), stopped) })
	}
	for range rounds {
		random.Shuffle(len(happenings), func(i, j int) { happenings[i], happenings[j] = happenings[j], happenings[i] })
		for _, happen := range happenings {
			happen(w, random)
		}
	}
	close(stopped)
	senders.Wait()

	s := &story{promised: w.acked, dead: map[string]string{}}
	w.eventually("every input to have ended", func() bool {
		s.inputs, s.outputs = w.read("in"), w.read("out")
		return len(s.outputs) >= len(s.inputs)
	})
	for _, r := range w.nodes[0].runs(client.RunQuery{State: function.RunDead}) {
		s.dead[r.Event.ID] = r.Reason
	}
	s.attempts = witnessed(t, witness, w.pids, w.frozen)
	for _, n := range w.nodes {
		n.stop()
	}
	s.outputs = w.read("out") // what a late node may have added
	faults := s.faults()
	for i, fault := range faults {
		if i == 20 {
			t.Errorf("and %d more", len(faults)-i)
			break
		}
		t.Error(fault)
	}
	t.Logf("happened: %v; %d events sent, %d acknowledged, %d inputs, %d outputs, %d attempts checked",
		w.killed, w.sent, len(w.acked), len(s.inputs), len(s.outputs), len(s.attempts))
}

func (w *installation) settings() []string {
	return []string{"eventlog=kafka://" + w.brokers.Bootstrap(), "drain=5s"}
}

func (w *installation) start(i int) *node {
	w.t.Helper()
	n := start(w.t, w.data[i], w.settings()...)
	w.pids = append(w.pids, strconv.Itoa(n.cmd.Process.Pid))
	return n
}

// send sends one key's events in order, each once, to whatever node answers.
func (w *installation) send(key string, stopped <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stopped:
			return
		case <-time.After(rand.N(clusterPause)):
		}
		w.mu.RLock()
		n := w.nodes[rand.IntN(len(w.nodes))]
		w.mu.RUnlock()
		if n == nil {
			continue
		}
		id := key + "-" + strconv.Itoa(i)
		err := n.emitTo("in", "asked", id, key, `{}`)
		w.ackedMu.Lock()
		w.sent++
		if err == nil {
			w.acked = append(w.acked, id)
		}
		w.ackedMu.Unlock()
	}
}

// calm lets the load go on for a while, so that the next thing happens to an installation that works.
func (w *installation) calm(at int) {
	w.t.Helper()
	w.eventually("events to be handled again", func() bool { return w.outputs() > at })
}

// eventually waits for what takes several sessions' and elections' time on a machine that has other work too.
func (w *installation) eventually(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(4 * patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			s := story{inputs: w.read("in"), outputs: w.read("out")}
			w.t.Fatalf("waited %s for %s; so far: %v, %d inputs, %d outputs, %.600v", 4*patience, what, w.killed, len(s.inputs), len(s.outputs), s.faults())
		}
	}
}

func (w *installation) outputs() int { return len(w.read("out")) }

func (w *installation) put(i int, n *node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[i] = n
}

func (w *installation) killNode(random *rand.Rand) {
	i := random.IntN(len(w.nodes))
	n := w.nodes[i]
	w.put(i, nil)
	n.kill()
	w.killed["nodes killed"]++
	at := w.outputs()
	w.put(i, w.start(i))
	w.calm(at + 50)
}

// freezeNode stops a node for longer than its session lasts. Then it goes on as if nothing had been.
func (w *installation) freezeNode(random *rand.Rand) {
	i := random.IntN(len(w.nodes))
	n := w.nodes[i]
	w.put(i, nil)
	z := freeze{pid: strconv.Itoa(n.cmd.Process.Pid), from: time.Now().UnixNano()}
	n.signal(syscall.SIGSTOP)
	at := w.outputs()
	select {
	case <-time.After(13 * time.Second): // a session lasts 10 s by the brokers' clocks
	case <-n.done:
		w.t.Fatalf("the frozen node ended: %v", n.err)
	}
	w.calm(at + 50) // the others have taken over
	n.signal(syscall.SIGCONT)
	w.killed["nodes frozen"]++
	w.put(i, n)
	w.calm(w.outputs() + 100)
	z.to = time.Now().UnixNano()
	w.frozen = append(w.frozen, z)
}

func (w *installation) loseBroker(random *rand.Rand) {
	number := 1 + random.IntN(w.brokers.Size())
	if err := w.brokers.Kill(number); err != nil {
		w.t.Fatal(err)
	}
	w.killed["brokers lost"]++
	w.calm(w.outputs() + 50)
	if err := w.brokers.Restart(w.t.Context(), number); err != nil {
		w.t.Fatal(err)
	}
	w.calm(w.outputs() + 50)
}

// rollEverything restarts brokers and nodes, one after another.
func (w *installation) rollEverything(*rand.Rand) {
	for number := 1; number <= w.brokers.Size(); number++ {
		if err := w.brokers.Stop(number); err != nil {
			w.t.Fatal(err)
		}
		if err := w.brokers.Restart(w.t.Context(), number); err != nil {
			w.t.Fatal(err)
		}
		w.killed["brokers restarted"]++
		w.calm(w.outputs() + 20)
	}
	for i := range w.nodes {
		n := w.nodes[i]
		w.put(i, nil)
		n.stop()
		w.put(i, w.start(i))
		w.killed["nodes restarted"]++
		w.calm(w.outputs() + 20)
	}
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("signal the node: %v", err)
	}
}

// read gives what stands in a topic by now.
func (w *installation) read(topic string) []stood {
	w.t.Helper()
	r := w.readers[topic]
	if r == nil {
		r = newReader(w.t, w.brokers.Bootstrap(), topic)
		w.readers[topic] = r
	}
	return r.read()
}

// reader reads a topic as any program would that wants committed records only.
type reader struct {
	t      *testing.T
	topic  string
	client *kgo.Client
	next   map[int32]int64
	list   []stood
}

func newReader(t *testing.T, brokers, topic string) *reader {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &reader{t: t, topic: topic, client: c, next: map[int32]int64{}}
}

// read reads on to the end as it is now, and returns all that it has read.
func (r *reader) read() []stood {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	var ends kadm.ListedOffsets
	until(r.t, "the ends of "+r.topic, func() bool {
		var err error
		ends, err = kadm.NewClient(r.client).ListCommittedOffsets(ctx, r.topic)
		return err == nil && ends.Error() == nil
	})
	behind := func() bool {
		late := false
		ends.Each(func(o kadm.ListedOffset) { late = late || r.next[o.Partition] < o.Offset })
		return late
	}
	for behind() {
		fetches := r.client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			r.t.Fatalf("read %s: %v", r.topic, err)
		}
		fetches.EachRecord(func(k *kgo.Record) {
			r.next[k.Partition] = k.Offset + 1
			if k.Attrs.IsControl() {
				return
			}
			one := stood{key: string(k.Key), partition: k.Partition, offset: k.Offset}
			for _, h := range k.Headers {
				switch h.Key {
				case "ce_id":
					one.id = string(h.Value)
				case "ce_causationid":
					one.cause = string(h.Value)
				}
			}
			r.list = append(r.list, one)
		})
	}
	return r.list
}
