package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
	"github.com/dalamb/dalamb/internal/wire"
)

// runTell is an http function that answers with what tells its secret from another one.
func runTell() int {
	err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, sum(os.Getenv("SECRET")))
	}))
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func sum(secret string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(secret))) }

// Functions that take a secret in all ways, and that do well, fail, crash, hang or cannot start.
const secretive = `
name: holder
entry: {type: http, command: [%[1]s, tell]}
secrets: [{name: password, env: SECRET}%[2]s]
triggers: [{name: on-held, filter: {type: [held]}}]
---
name: well
entry: {type: stdio, command: [sh, -c, 'test -n "$SECRET" && echo 1']}
secrets: [{name: password, env: SECRET}%[2]s]
---
name: fails
entry: {type: stdio, command: [sh, -c, 'test -n "$SECRET" && echo no >&2; exit 1']}
secrets: [{name: password, env: SECRET}%[2]s]
triggers: [{name: on-fail, filter: {type: [fail]}, retry: {attempts: 2, initial: 1ms, max: 1ms}}]
---
name: crashes
entry: {type: stdio, command: [sh, -c, 'kill -ABRT $$']}
secrets: [{name: password, env: SECRET}%[2]s]
---
name: hangs
timeout: 200ms
entry: {type: stdio, command: [sh, -c, 'sleep 60']}
secrets: [{name: password, env: SECRET}%[2]s]
---
name: absent
entry: {type: stdio, command: [/none/of/this]}
secrets: [{name: password, env: SECRET}%[2]s]
---
name: refused
entry: {type: lambda, command: [sh, -c, 'exit 3']}
secrets: [{name: password, env: SECRET}%[2]s]
`

func TestASecretIsNowhereButInItsFunction(t *testing.T) {
	for _, runner := range []string{"process", "native", "oci:crun"} {
		t.Run(runner, func(t *testing.T) {
			need.Linux(t)
			file := ", {name: password}"
			switch runner {
			case "process":
				file = ""
			case "oci:crun":
				need.Program(t, "crun")
				fallthrough
			default:
				need.Root(t)
			}
			value := mark() + mark()
			n := start(t, t.TempDir(), "runner="+runner)
			if _, err := n.client.SetSecret(t.Context(), "password", []byte("an older one")); err != nil {
				t.Fatal(err)
			}
			if _, err := n.client.SetSecret(t.Context(), "password", []byte(value)); err != nil {
				t.Fatal(err)
			}
			code := directory(t, nil)
			program := self(t)
			if runner != "process" { // the sandbox sees its code alone
				text, err := os.ReadFile(program)
				if err == nil {
					err = os.WriteFile(filepath.Join(code, "tell"), text, 0o755)
				}
				if err != nil {
					t.Fatal(err)
				}
				program = "./tell"
			}
			n.deploy(code, fmt.Sprintf(secretive, program, file))
			watched := watchProcesses(value)
			told := n.callAll(value)
			if err := n.emit("held", "h-1", "", "{}"); err != nil {
				t.Fatal(err)
			}
			if err := n.emit("fail", "f-1", "", "{}"); err != nil {
				t.Fatal(err)
			}
			until(t, "the dead letter", func() bool {
				page, err := n.client.DeadLetters(t.Context(), client.DeadQuery{})
				return err == nil && len(page.DeadLetters) == 1
			})
			said := n.saysOverHTTP()
			for _, where := range watched() {
				t.Errorf("the secret was seen in %s", where)
			}
			// A crash of the node prints all of its goroutines.
			if err := n.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
			<-n.done
			if !strings.Contains(n.log.String(), "goroutine 1") {
				t.Error("the node printed no goroutines")
			}
			said["the node's log"] = n.log.String()
			for what, text := range told {
				said["the answer of "+what] = text
			}
			forms := formsOf(value)
			for what, text := range said {
				if holds([]byte(text), forms) {
					t.Errorf("the secret is in %s", what)
				}
			}
			for _, file := range filesThatHold(t, n.data, forms) {
				t.Errorf("the secret is in %s", file)
			}
		})
	}
}

// formsOf are those in which a text can have a value: as it is, and in base64, wherever it begins in what was encoded.
func formsOf(value string) (forms [][]byte) {
	for skip := range 3 {
		part := base64.StdEncoding.EncodeToString([]byte(value[skip:]))
		forms = append(forms, []byte(part[:len(part)-4]))
	}
	return append(forms, []byte(value))
}

// holds says whether a text has a value in one of its forms.
func holds(text []byte, forms [][]byte) bool {
	return slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Contains(text, form) })
}

// callAll calls every function, and says what the node told of it. That the function which tells its secret has it is checked here.
func (n *node) callAll(value string) map[string]string {
	n.t.Helper()
	told := map[string]string{}
	functions, err := n.client.Functions(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range functions {
		for range 3 {
			got, err := n.client.Invoke(n.t.Context(), client.Invocation{Function: f.Name, Payload: []byte("{}")})
			if f.Name == "holder" {
				if err != nil || string(got.Payload) != sum(value) {
					n.t.Errorf("the function has another secret than the one that was set: %q, %v", got.Payload, err)
				}
				continue
			}
			told[f.Name] = fmt.Sprintf("%s %v %s %+v", got.Payload, err, fault.HintOf(err), got)
		}
	}
	if !strings.Contains(told["well"], "1") {
		n.t.Errorf("well = %s, want 1: it has the secret", told["well"])
	}
	return told
}

// saysOverHTTP is what the node answers to every GET of its API that needs no name, to those of each function, and what all topics hold.
func (n *node) saysOverHTTP() map[string]string {
	n.t.Helper()
	said := map[string]string{}
	info, err := n.client.Node(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	get := func(path string) string {
		ctx, cancel := context.WithCancel(n.t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+info.Control+path, nil)
		if err != nil {
			n.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+n.token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			n.t.Fatal(err)
		}
		defer resp.Body.Close()
		if path == "/v1/watch" { // which has no end: what is there comes at once, the changes after it are no others than in the log
			defer time.AfterFunc(time.Second, cancel).Stop()
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil && ctx.Err() == nil {
			n.t.Fatal(err)
		}
		said["GET "+path] = string(body)
		return string(body)
	}
	var api struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(get("/v1/openapi.json")), &api); err != nil || len(api.Paths) < 10 {
		n.t.Fatalf("the API has %d paths, %v", len(api.Paths), err)
	}
	for path, methods := range api.Paths {
		if _, ok := methods["get"]; ok && !strings.Contains(path, "{") {
			get(path)
		}
	}
	for _, name := range []string{"holder", "well", "fails", "crashes", "hangs", "absent", "refused"} {
		get("/v1/functions/" + name)
	}
	n.replayed(wire.ReplayRequest{Name: "again", Function: "fails", Trigger: "on-fail", From: "earliest", Output: function.ReplayCapture})
	get("/v1/replays/again")
	if runs := get("/v1/replays/again/runs"); !strings.Contains(runs, `"runs":[{`) {
		n.t.Errorf("the runs of the replay are %s, want the one", runs)
	}
	get("/metrics")
	topics, err := n.client.Topics(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	records := 0
	for _, topic := range topics {
		for e, err := range n.client.Events(n.t.Context(), client.EventQuery{Topic: topic.Name}) {
			if err != nil {
				n.t.Fatalf("read %s: %v", topic.Name, err)
			}
			records++
			said[fmt.Sprintf("%s/%d@%d", topic.Name, e.Partition, e.Offset)] = fmt.Sprintf("%+v %s", e, e.Event)
		}
	}
	if records < 20 {
		n.t.Errorf("%d records in all topics, want those of all that happened", records)
	}
	return said
}

// filesThatHold lists the files below a directory with one of a value's forms in them.
func filesThatHold(t *testing.T, dir string, forms [][]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && holds(text, forms) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// watchProcesses looks again and again at what processes show, until it is asked where the value was: nowhere but in the environment of
// functions is right.
func watchProcesses(value string) (found func() []string) {
	var all sync.WaitGroup
	forms, over, seen := formsOf(value), make(chan struct{}), map[string]bool{}
	all.Go(func() {
		for {
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is right
			for _, file := range files {
				line, _ := os.ReadFile(file) // gone, or closed to us
				if holds(line, forms) {
					seen[fmt.Sprintf("%s: %q", file, line)] = true
				}
				environ := filepath.Join(filepath.Dir(file), "environ")
				text, _ := os.ReadFile(environ)
				if holds(text, forms) && !bytes.Contains(text, []byte("DALAMB_FUNCTION=")) {
					seen[fmt.Sprintf("%s of %q", environ, line)] = true
				}
			}
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	return func() (list []string) {
		close(over)
		all.Wait()
		for where := range seen {
			list = append(list, where)
		}
		return list
	}
}

const telling = `
name: tell
entry: {type: http, command: [%s, tell], concurrency: 2}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
scale: {min: 1, max: 3}
secrets: [{name: password, env: SECRET}]
triggers: [{name: web, route: {path: /tell}}]
`

func TestANewSecretReachesTheFunctionAndNoRequestIsLost(t *testing.T) {
	const values, clients = 4, 6
	n := start(t, t.TempDir())
	set := func(value string) {
		t.Helper()
		if _, err := n.client.SetSecret(t.Context(), "password", []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() (string, error) {
		resp, err := http.Get(n.gateway + "/tell")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprintf("%d %s", resp.StatusCode, body), err
	}
	right := func(i int) string { return "200 " + sum(fmt.Sprint(i)) }
	set("0")
	n.deploy(t.TempDir(), fmt.Sprintf(telling, self(t)))
	var mu sync.Mutex
	answers := map[string]int{}
	var all sync.WaitGroup
	over := make(chan struct{})
	for range clients {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				answer, err := ask()
				if err != nil {
					answer = err.Error()
				}
				mu.Lock()
				answers[answer]++
				mu.Unlock()
			}
		})
	}
	for i := range values {
		set(fmt.Sprint(i))
		until(t, "all instances to have the new value", func() bool {
			for range 20 {
				if got, err := ask(); err != nil || got != right(i) {
					return false
				}
			}
			return true
		})
	}
	close(over)
	all.Wait()
	total := 0
	for i := range values {
		total += answers[right(i)]
		delete(answers, right(i))
	}
	if len(answers) > 0 {
		t.Errorf("requests that were lost: %v", answers)
	}
	t.Logf("%d requests over %d changes of the secret, none lost", total, values-1)
}

// On Kafka every node has the secrets, and needs the one key.
func TestNodesOfOneLogNeedTheSecretsKey(t *testing.T) {
	log := "eventlog=kafka://" + need.KafkaCluster(t, broker.Options{}).Bootstrap()
	first := start(t, t.TempDir(), log)
	if _, err := first.client.SetSecret(t.Context(), "password", []byte("one")); err != nil {
		t.Fatal(err)
	}
	first.deploy(t.TempDir(), fmt.Sprintf(telling, self(t)))
	data := t.TempDir()
	second := start(t, data, log)
	ask := func(n *node) string {
		got, err := n.client.Invoke(t.Context(), client.Invocation{Function: "tell", Payload: []byte("{}")})
		return fmt.Sprintf("%s %v", got.Payload, err)
	}
	has := func(n *node, value string) {
		t.Helper()
		until(t, "the function to have its secret", func() bool { return ask(n) == sum(value)+" <nil>" })
	}
	has(first, "one")
	until(t, "words of the key", func() bool {
		said := ask(second)
		return strings.Contains(said, `secret "password" is encrypted for key age1`) && strings.Contains(said, "this node has no key")
	})
	if _, err := second.client.SetSecret(t.Context(), "other", []byte("x")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("SetSecret on a node without the key = %v, want a refusal", err)
	}
	second.stop()
	key, err := os.ReadFile(filepath.Join(first.data, "secret.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "secret.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	second = start(t, data, log)
	has(second, "one")
	if _, err := second.client.SetSecret(t.Context(), "password", []byte("two")); err != nil {
		t.Fatal(err)
	}
	has(second, "two")
	has(first, "two")
}
