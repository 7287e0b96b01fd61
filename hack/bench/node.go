package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/client"
)

// binary is what make build makes.
const binary = "bin/dalamb"

// node is a dalamb process.
type node struct {
	*child
	data    string
	gateway string
	control string
	token   string
	client  *client.Client
}

// startNode starts a node on the data directory of this name and returns once it is ready. Where the machine cannot fence functions it
// runs them without, and the table says so.
func (b *bench) startNode(ctx context.Context, name string, more ...string) (*node, error) {
	n, err := b.tryNode(ctx, name, more...)
	if err != nil && strings.Contains(err.Error(), "--runner process") {
		b.note("this machine cannot fence functions: the node runs them without isolation (--runner process)")
		return b.tryNode(ctx, name, append(more, "--runner", "process")...)
	}
	return n, err
}

func (b *bench) tryNode(ctx context.Context, name string, more ...string) (*node, error) {
	data := filepath.Join(b.dir, name)
	args := append([]string{"up", "--data", data, "--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0"}, more...)
	program, err := b.nodeProgram(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, args...)
	cmd.Env = append(os.Environ(), "PROFILE="+b.profile)
	var said bytes.Buffer // read after the process has ended
	cmd.Stderr = &said
	p, err := startChild(cmd)
	if err != nil {
		return nil, fmt.Errorf("%w (make build makes it)", err)
	}
	n := &node{child: p, data: data}
	for {
		err := n.connect()
		if err == nil {
			b.atEnd(p.stop)
			return n, nil
		}
		select {
		case <-p.exited:
			return nil, fmt.Errorf("the node did not start: %w\n%s", p.err, said.String())
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), p.stop())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// connect reads where the node listens; an error says that it is not ready.
func (n *node) connect() error {
	text, err := os.ReadFile(filepath.Join(n.data, "node.json"))
	if err != nil {
		return err
	}
	var info struct {
		Control, Gateway string
		PID              int
		Waiting          bool
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return err
	}
	if info.PID != n.cmd.Process.Pid {
		return errors.New("node.json is of another node")
	}
	if info.Waiting {
		return errors.New("the node waits for its log")
	}
	token, err := os.ReadFile(filepath.Join(n.data, "token"))
	if err != nil {
		return err
	}
	n.gateway, n.control, n.token = info.Gateway, info.Control, strings.TrimSpace(string(token))
	n.client, err = client.New(client.Options{Address: info.Control, Token: n.token})
	return err
}

// healthy waits until the node says that all of it works.
func (n *node) healthy(ctx context.Context) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.gateway+"/_/health", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("ask for the node's health: %w", err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("the node is not well: %s: %w", resp.Status, err)
		}
	}
}

// deploy deploys a manifest whose functions' code is in b.dir/code.
func (b *bench) deploy(ctx context.Context, n *node, name, manifest string) error {
	dir := filepath.Join(b.dir, "code")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "deploy", file)
	cmd.Env = append(os.Environ(), "DALAMB_DATA="+n.data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("deploy %s: %w\n%s", file, err, out)
	}
	return nil
}

// recorded counts the events that one of dalamb's topics has ever had.
func (n *node) recorded(ctx context.Context, topic string) (int64, error) {
	t, err := n.client.Topic(ctx, topic)
	var all int64
	for _, p := range t.Bounds {
		all += p.End
	}
	return all, err
}

// caller posts to a path of the gateway.
func (n *node) caller(path string) *caller {
	c := newCaller(n.gateway + path)
	c.header.Set("Authorization", "Bearer "+n.token)
	return c
}

// residentMiB is the memory of the node's own process.
func (n *node) residentMiB() (float64, error) { return residentMiB(n.cmd.Process.Pid) }

// residentMiB is the memory of a process. Linux alone tells.
func residentMiB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kb / 1024, err
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}

// metric reads a metric of the node, named as its page writes it, with its labels.
func (n *node) metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.control+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+n.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, fmt.Errorf("%w %s: %s", errNoMetric, name, resp.Status)
}

var errNoMetric = errors.New("the node has no metric")

// lab is the node that several rows share, with one function of each kind.
type lab struct {
	*node
	direct string // the web program as an ordinary process
	proxy  string // a plain reverse proxy before that
	bare   string // the lambda program behind the bare loop
}

// How many instances of each kind work at a time, in the lab and as yardstick.
const (
	webConcurrency  = 16
	lambdaInstances = 4
	onceInstances   = 4
)

// labManifest has the limits out of the way: two cores are all that the bench is meant for. Its figures are for the
// constants above.
const labManifest = `
name: web
code: web
entry: {type: http, command: [./web], concurrency: 16}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: seen, topic: events, filter: {type: [bench.seen]}}
  - {name: flow, topic: events, filter: {type: [bench.web]}}
  - {name: call, route: {method: POST, path: /bench/web}}
---
name: lambda
code: lambda
entry: {type: lambda, command: [./lambda]}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 4}
triggers:
  - {name: flow, topic: events, filter: {type: [bench.lambda]}}
  - {name: call, route: {method: POST, path: /bench/lambda}}
---
name: once
code: once
entry: {type: stdio, command: [./once]}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 4}
triggers:
  - {name: flow, topic: events, filter: {type: [bench.once]}}
`

// needLab starts the lab where no row before has.
func (b *bench) needLab(ctx context.Context) (*lab, error) {
	if b.lab != nil {
		return b.lab, nil
	}
	for _, name := range []string{"web", "lambda", "once"} {
		if _, err := b.program(ctx, name); err != nil {
			return nil, err
		}
	}
	proxy, err := b.program(ctx, "proxy")
	if err != nil {
		return nil, err
	}
	n, err := b.startNode(ctx, "lab")
	if err != nil {
		return nil, err
	}
	if err := b.deploy(ctx, n, "lab", labManifest); err != nil {
		return nil, err
	}
	l := &lab{node: n}
	web, err := b.program(ctx, "web")
	if err != nil {
		return nil, err
	}
	url, p, err := plainServer(context.WithoutCancel(ctx), web)
	if err != nil {
		return nil, err
	}
	b.atEnd(p.stop)
	l.direct = url
	if l.proxy, p, err = plainServer(context.WithoutCancel(ctx), proxy, url); err != nil {
		return nil, err
	}
	b.atEnd(p.stop)
	if l.bare, err = b.bareLoop(context.WithoutCancel(ctx), lambdaInstances); err != nil {
		return nil, err
	}
	for _, path := range []string{"/bench/web", "/bench/lambda"} {
		if _, err := n.caller(path).calls(ctx, 16, 300*time.Millisecond); err != nil {
			return nil, err
		}
	}
	b.lab = l
	return l, nil
}

// event makes a caller of POST /_/events a CloudEvent in binary mode.
func (n *node) event(kind string) *caller {
	c := n.caller("/_/events")
	for name, value := range map[string]string{"Ce-Specversion": "1.0", "Ce-Source": "/bench", "Ce-Type": kind, "Ce-Id": "0"} {
		c.header[http.CanonicalHeaderKey(name)] = []string{value}
	}
	return c
}
