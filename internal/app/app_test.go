package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/telemetry"
	"github.com/dalamb/dalamb/internal/wire"
)

const patience = 60 * time.Second // how long a test waits for anything

// TestMain lets this binary be a node, which a test can kill, and a function.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "node":
		os.Exit(runNode(os.Args[2:]))
	case len(os.Args) > 2 && os.Args[1] == "function":
		os.Exit(runFunction(os.Args[2:]))
	case len(os.Args) > 1 && os.Args[1] == "tell":
		os.Exit(runTell())
	case len(os.Args) > 1 && os.Args[1] == "mirror":
		os.Exit(runMirror())
	case len(os.Args) > 2 && os.Args[1] == "witness":
		os.Exit(runWitness(os.Args[2]))
	case len(os.Args) > 2 && os.Args[1] == "handler":
		os.Exit(runHandler(os.Args[2]))
	}
	os.Exit(m.Run())
}

// runNode is the command line's up without the command line: setting=value for each setting.
func runNode(args []string) int {
	set := map[string]string{}
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		set[key] = value
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := func() error {
		c, err := config.Load(config.Source{Set: set})
		if err != nil {
			return err
		}
		logger, err := telemetry.Logger(telemetry.LogOptions{Writer: os.Stderr, Format: "text", Level: "info"})
		if err != nil {
			return err
		}
		n, err := app.New(ctx, app.Options{Config: c, Version: "test", Logger: logger})
		if err != nil {
			return err
		}
		return n.Run(ctx)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	return 0
}

// node is a child process that is a node.
type node struct {
	t       testing.TB
	data    string
	cmd     *exec.Cmd
	log     *bytes.Buffer // read it after the end only
	done    chan struct{}
	err     error // of the process; valid when done is closed
	gateway string
	token   string
	client  *client.Client
}

// start starts a node on data and waits until it is up.
func start(t testing.TB, data string, settings ...string) *node {
	t.Helper()
	n := launch(t, self(t), data, nil, settings...)
	n.ready()
	return n
}

// launch starts a node from a copy of this binary.
func launch(t testing.TB, program, data string, as *syscall.SysProcAttr, settings ...string) *node {
	t.Helper()
	args := append([]string{"node", "data=" + data, "gateway=127.0.0.1:0", "control=127.0.0.1:0", "runner=process"}, settings...)
	n := &node{t: t, data: data, cmd: exec.Command(program, args...), log: new(bytes.Buffer), done: make(chan struct{})}
	n.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else a stop takes a second longer under the race detector
	n.cmd.Stderr = n.log
	n.cmd.SysProcAttr = as
	os.Remove(filepath.Join(data, app.NodeFile)) // of a node that was killed
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { n.err = n.cmd.Wait(); close(n.done) }()
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			t.Logf("log of node %d:\n%s", n.cmd.Process.Pid, tail(n.log.String(), 8))
		}
	})
	return n
}

// ready waits until the node is up.
func (n *node) ready() {
	n.t.Helper()
	var info app.NodeInfo
	until(n.t, "the node to be up", func() bool {
		if n.ended() {
			n.t.Fatalf("the node ended: %v\n%s", n.err, n.log)
		}
		text, err := os.ReadFile(filepath.Join(n.data, app.NodeFile))
		info = app.NodeInfo{} // what is left out of the file is zero
		return err == nil && json.Unmarshal(text, &info) == nil && info.PID == n.cmd.Process.Pid && !info.Waiting
	})
	token, err := os.ReadFile(filepath.Join(n.data, app.TokenFile))
	if err != nil {
		n.t.Fatal(err)
	}
	n.gateway, n.token = info.Gateway, strings.TrimSpace(string(token))
	if n.client, err = client.New(client.Options{Address: info.Control, Token: n.token, HTTP: &http.Client{Timeout: patience}}); err != nil {
		n.t.Fatal(err)
	}
}

// ended says whether the process is gone.
func (n *node) ended() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// kill ends the node as a power cut would, and waits.
func (n *node) kill() {
	n.cmd.Process.Kill()
	<-n.done
}

// stop ends the node gently and waits.
func (n *node) stop() {
	n.t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatalf("stop the node: %v", err)
	}
	select {
	case <-n.done:
	case <-time.After(patience):
		_ = n.cmd.Process.Signal(syscall.SIGQUIT) // it says what all its goroutines do, and ends
		<-n.done
		n.t.Fatalf("the node did not stop:\n%s", n.log)
	}
	if n.err != nil {
		n.t.Fatalf("the node stopped badly: %v\n%s", n.err, n.log)
	}
}

// deploy makes a version of each function of a manifest, whose code is below dir where it has any.
func (n *node) deploy(dir, manifest string) {
	n.t.Helper()
	m, err := function.ParseManifest("dalamb.yaml", []byte(manifest))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, d := range m.Functions {
		var code bytes.Buffer
		var digest string
		if d.Spec.Image == "" {
			digest, err = image.Pack(filepath.Join(dir, d.CodePath), &code)
			if err == nil {
				err = n.client.PutCode(n.t.Context(), digest, &code)
			}
		}
		if err == nil {
			_, err = n.client.Deploy(n.t.Context(), wire.DeployRequest{Spec: d.Spec, Code: digest})
		}
		if err != nil {
			n.t.Fatalf("deploy %s: %v", d.Spec.Name, err)
		}
	}
}

// emit puts one event into the topic events.
func (n *node) emit(typ, subject, key, data string) error {
	return n.emitTo(function.TopicEvents, typ, subject, key, data)
}

// emitTo puts one event into the log by HTTP. An answer that is not 202 is an error; only without error is the event acknowledged.
func (n *node) emitTo(topic, typ, subject, key, data string) error {
	q := url.Values{"topic": {topic}, "type": {typ}, "source": {"/test"}, "subject": {subject}, "key": {key}, "id": {subject}}
	r, err := http.NewRequest(http.MethodPost, n.gateway+"/_/events?"+q.Encode(), strings.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+n.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return &refused{resp.StatusCode, string(body)}
	}
	return nil
}

// refused is an answer that is no acknowledgement.
type refused struct {
	status int
	body   string
}

func (r *refused) Error() string { return fmt.Sprintf("%d: %s", r.status, r.body) }

func statusOf(err error) int {
	var r *refused
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// fact is an event in the log, as far as these tests look.
type fact struct {
	ID, Type, Source, Subject string
	Key                       string `json:"partitionkey"`
	Data                      json.RawMessage
	partition                 int32
	offset                    int64
}

// facts reads a topic from the beginning.
func (n *node) facts(topic string) []fact {
	n.t.Helper()
	var list []fact
	for e, err := range n.client.Events(n.t.Context(), client.EventQuery{Topic: topic}) {
		if err != nil {
			n.t.Fatalf("read %s: %v", topic, err)
		}
		f := fact{partition: e.Partition, offset: e.Offset}
		if len(e.Event) > 0 {
			if err := json.Unmarshal(e.Event, &f); err != nil {
				n.t.Fatalf("decode %s/%d@%d: %v", topic, e.Partition, e.Offset, err)
			}
		}
		list = append(list, f)
	}
	return list
}

// runs are all runs of a function.
func (n *node) runs(q client.RunQuery) []function.Run {
	n.t.Helper()
	var all []function.Run
	for q.Limit = 1000; ; {
		page, err := n.client.Runs(n.t.Context(), q)
		if err != nil {
			n.t.Fatalf("list runs: %v", err)
		}
		all = append(all, page.Runs...)
		if q.After = page.Next; q.After == "" {
			return all
		}
	}
}

// until waits for what must come.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// directory is a directory for a data directory or for code, with files.
func directory(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// self is this binary's path, for manifests.
func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func mark() string { return rand.Text() }

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// fill appends so many events in batches.
func (n *node) fill(count int) {
	n.t.Helper()
	for at := 0; at < count; {
		var batch []*event.Event
		for range min(5000, count-at) {
			batch = append(batch, &event.Event{ID: fmt.Sprintf("f-%d", at), Source: "/fill", Type: "filler", Subject: fmt.Sprintf("s-%d", at%1000),
				DataContentType: "application/json", Data: []byte(`{"filler":"some bytes, as an order has"}`)})
			at++
		}
		if _, err := n.client.Emit(n.t.Context(), function.TopicEvents, batch); err != nil {
			n.t.Fatalf("fill the log: %v", err)
		}
	}
}
