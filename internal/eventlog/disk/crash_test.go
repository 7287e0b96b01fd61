package disk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
)

// The child of the crash test is this test binary, told by its environment.
const (
	childDir  = "DALAMB_TEST_CRASH_DIR"
	childLife = "DALAMB_TEST_CRASH_LIFE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := crashChild(dir, os.Getenv(childLife), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	crashPartitions = 3
	crashWriters    = 3
	crashKills      = 100
)

// crashChild writes until it is killed: writers append calls, and a member moves a group's offset together with an output
// each time. It tells its parent of every acknowledgement, after it and never before.
func crashChild(dir, life string, out io.Writer) error {
	ctx := context.Background()
	l, err := disk.Open(disk.Options{Dir: dir, FreeSpace: plenty}.WithSmallTables())
	if err != nil {
		return err
	}
	for _, t := range []eventlog.Topic{{Name: "calls", Partitions: crashPartitions}, {Name: "outputs", Partitions: 1}, {Name: "state", Partitions: 1, Compact: true}} {
		if err := l.CreateTopic(ctx, t); err != nil && !strings.Contains(err.Error(), "exists already") {
			return err
		}
	}
	errs := make(chan error)
	told := &teller{out: out}
	for w := range crashWriters {
		go func() { errs <- crashWriter(ctx, l, told, life+"."+strconv.Itoa(w)) }()
	}
	go func() { errs <- crashMember(ctx, l, told) }()
	go func() {
		for {
			if err := l.Sweep(ctx); err != nil {
				errs <- err
			}
		}
	}()
	return <-errs
}

// teller writes whole lines, one at a time.
type teller struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *teller) tell(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

func crashWriter(ctx context.Context, l *disk.Log, told *teller, writer string) error {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for n := 0; ; n++ {
		c := eventlogtest.NewCall("calls", crashPartitions, writer, n, rng)
		ps, err := l.Append(ctx, c.Records)
		if err != nil {
			return err
		}
		told.tell("call %s %d %d %d", writer, n, ps[0].Partition, ps[0].Offset)
		key := []byte(writer[len(writer)-1:])
		ps, err = l.Append(ctx, []eventlog.Record{{Topic: "state", Key: key, Value: []byte(writer)}})
		if err != nil {
			return err
		}
		told.tell("state %s %d", key, ps[0].Offset)
	}
}

// crashMember commits outputs one by one, each with the group offset that says how many there are.
func crashMember(ctx context.Context, l *disk.Log, told *teller) error {
	assigned := make(chan struct{}, 1)
	m, err := l.Join(ctx, eventlog.JoinOptions{
		Group:    "g",
		Assigned: func(context.Context, []eventlog.Partition) { assigned <- struct{}{} },
		Revoked:  func(context.Context, []eventlog.Partition) {},
		Lost:     func([]eventlog.Partition) {},
	})
	if err != nil {
		return err
	}
	if err := m.SetTopics(ctx, []string{"calls"}); err != nil {
		return err
	}
	<-assigned
	n, err := outputsSoFar(ctx, l)
	if err != nil {
		return err
	}
	claim := eventlog.Partition{Topic: "calls"}
	for ; ; n++ {
		_, err := m.Commit(ctx, eventlog.Txn{
			Records: []eventlog.Record{{Topic: "outputs", Value: []byte(strconv.FormatInt(n, 10))}},
			Group:   "g", Offsets: []eventlog.GroupOffset{{Partition: claim, Offset: n + 1, Metadata: strconv.FormatInt(n, 10)}},
			Claims: []eventlog.Partition{claim},
		})
		if err != nil {
			return err
		}
		told.tell("output %d", n)
	}
}

// outputsSoFar reads the outputs and the group's offset and returns how many there are. They must agree.
func outputsSoFar(ctx context.Context, l *disk.Log) (int64, error) {
	count := int64(0)
	for from := int64(0); ; {
		rs, err := l.Read(ctx, eventlog.Partition{Topic: "outputs"}, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return 0, err
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			if string(r.Value) != strconv.FormatInt(count, 10) {
				return 0, fmt.Errorf("output %d at offset %d is %q", count, r.Offset, r.Value)
			}
			count++
			from = r.Offset + 1
		}
	}
	os, err := l.Offsets(ctx, "g")
	if err != nil {
		return 0, err
	}
	offset := int64(0)
	for _, o := range os {
		offset = o.Offset
	}
	if offset != count {
		return 0, fmt.Errorf("group offset is %d, there are %d outputs", offset, count)
	}
	return count, nil
}

// TestKilled kills a process under load, again and again on the same directory, and after each kill looks for every
// record that was acknowledged, for torn calls, and for an offset without its output.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	acked := make(map[string][2]int64) // call -> partition and offset of its first record
	states := make(map[string]int64)   // key -> offset of its newest record
	outputs := int64(0)
	deaths, stored := 0, 0
	for kill := range crashKills {
		lines := killedChild(t, dir, kill)
		for _, line := range lines {
			var writer string
			var n, partition, offset int64
			if _, err := fmt.Sscanf(line, "call %s %d %d %d", &writer, &n, &partition, &offset); err == nil {
				acked[fmt.Sprintf("%s %d", writer, n)] = [2]int64{partition, offset}
			} else if _, err := fmt.Sscanf(line, "state %s %d", &writer, &offset); err == nil {
				states[writer] = offset
			} else if _, err := fmt.Sscanf(line, "output %d", &n); err == nil {
				outputs = n + 1
			} else {
				t.Fatalf("child said %q", line)
			}
		}
		if len(lines) > 0 {
			deaths++
		}
		stored = afterKill(t, dir, acked, states, outputs)
	}
	t.Logf("%d kills, %d of them after acknowledgements; %d calls acknowledged, %d calls and %d outputs stored", crashKills, deaths, len(acked), stored, outputs)
	if len(acked) < crashKills || outputs < crashKills/10 {
		t.Errorf("%d calls and %d outputs were acknowledged, too few to mean anything", len(acked), outputs)
	}
}

// killedChild runs a child for a random short while, kills it and returns what it had acknowledged.
func killedChild(t *testing.T, dir string, kill int) []string {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir, childLife+"="+strconv.Itoa(kill))
	var said strings.Builder
	child.Stderr = &said
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatalf("start child: %v", err)
	}
	// The time runs from the first acknowledgement on: how long a process takes to start says nothing about the log. Some
	// are killed while they start.
	fuse := time.Duration(rand.Int64N(int64(100 * time.Millisecond)))
	timer := time.AfterFunc(10*time.Second, func() { child.Process.Kill() })
	if kill%10 == 9 {
		timer.Reset(fuse)
	}
	var lines []string
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if len(lines) == 0 {
			timer.Reset(fuse)
		}
		lines = append(lines, sc.Text())
	}
	timer.Stop()
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("child ended by itself: %v: %s", err, said.String())
	}
	return lines
}

// afterKill opens the directory and checks it against what was acknowledged.
func afterKill(t *testing.T, dir string, acked map[string][2]int64, states map[string]int64, outputs int64) (stored int) {
	t.Helper()
	l := mustOpen(t, disk.Options{Dir: dir}.WithSmallTables())
	defer func() {
		if err := l.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
	}()
	topics, err := l.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(topics) < 3 && len(acked) == 0 {
		return 0
	}
	found, err := eventlogtest.ReadCalls(t.Context(), l, "calls", crashPartitions)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range acked {
		f := found[name]
		if f == nil {
			t.Fatalf("call %q was acknowledged and is lost", name)
		}
		if p := f.Positions[0]; int64(p.Partition) != at[0] || p.Offset != at[1] {
			t.Fatalf("call %q stands at %+v, acknowledged was partition %d offset %d", name, p, at[0], at[1])
		}
	}
	n, err := outputsSoFar(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if n < outputs {
		t.Fatalf("%d outputs are stored, %d were acknowledged", n, outputs)
	}
	checkStates(t, l, states)
	return len(found)
}

// checkStates looks for the newest record of each key, which compaction may not have taken, while it took older ones.
func checkStates(t *testing.T, l *disk.Log, states map[string]int64) {
	t.Helper()
	newest := make(map[string]int64)
	for from := int64(0); ; {
		rs, err := l.Read(t.Context(), eventlog.Partition{Topic: "state"}, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			newest[string(r.Key)] = r.Offset
			from = r.Offset + 1
		}
	}
	for key, offset := range states {
		if newest[key] < offset {
			t.Fatalf("newest record of key %s stands at %d, acknowledged was one at %d", key, newest[key], offset)
		}
	}
}
