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

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/need"
)

// TestOrdinaryUser runs a node that fences its functions as a user without any rights, and calls a function of each entry type.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	need.Root(t) // to become somebody else
	const nobody = 65534
	home, err := os.MkdirTemp("/var/tmp", "dalamb-test-") // t.TempDir is root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	code := shopCode(t, "native")
	program := filepath.Join(home, "program")
	text, err := os.ReadFile(filepath.Join(code, "program"))
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err == nil {
		err = os.Chmod(home, 0o755)
	}
	data := filepath.Join(home, "data")
	if err == nil {
		err = os.Mkdir(data, 0o700)
	}
	if err == nil {
		err = os.Chown(data, nobody, nobody)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := launch(t, program, data, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}, "runner=native")
	until(t, "the node to be up or to refuse", func() bool {
		_, err := os.Stat(filepath.Join(data, app.NodeFile))
		return err == nil || n.ended()
	})
	need.That(t, !n.ended() || !strings.Contains(n.log.String(), "--runner process"), "user namespaces for ordinary users")
	n.ready()
	info, err := n.client.Node(t.Context())
	if err != nil || !info.Runner.Isolated {
		t.Fatalf("node %+v, %v; want an isolating runner", info.Runner, err)
	}
	n.deploy(code, `
name: sh
code: .
entry: {type: stdio, command: [/bin/sh, -c, "cat; test ! -e /root -a ! -e /home"]}
---
name: web
code: .
entry: {type: http, command: [./program, function, http, order.paid], port: 8080}
---
name: task
code: .
entry: {type: lambda, command: [./program, function, lambda, order.done]}
`)
	const payload = `{"type":"order.x","subject":"o-1","data":{"order":"o-1","key":"k"}}`
	for name, want := range map[string]string{"sh": payload, "web": payload, "task": `"type":"order.done"`} {
		out, err := n.client.Invoke(t.Context(), client.Invocation{Function: name, Payload: []byte(payload)})
		if err != nil || out.Error != "" || !strings.Contains(string(out.Payload), want) {
			t.Errorf("Invoke(%s) = %s %s, %v; want %s", name, out.Error, out.Payload, err, want)
		}
	}
	n.stop()
}

// TestFullDisk fills the disk below a node: events are refused with 503, the function that runs finishes, and the node goes on
// when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	need.Root(t) // to mount a small disk
	data, gate := t.TempDir(), filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=700m"); err != nil {
		need.That(t, false, fmt.Sprintf("to mount a tmpfs (%v)", err))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	n := start(t, data)
	n.deploy(directory(t, map[string]string{"slow.sh": `
echo yes > "$GATE.began"
while [ ! -e "$GATE" ]; do sleep 0.02; done
echo '{"specversion":"1.0","id":"x","source":"/slow","type":"work.done","subject":"w-1"}'
`}), fmt.Sprintf(`
name: slow
code: .
entry: {type: stdio, command: [/bin/sh, slow.sh]}
timeout: 5m
env: {GATE: %s}
triggers:
  - {name: on-wanted, topic: events, filter: {type: [work.wanted]}, emit: {topic: events}}
`, gate))
	if err := n.emit("work.wanted", "w-1", "w-1", "{}"); err != nil {
		t.Fatal(err)
	}
	until(t, "the function to begin", func() bool { _, err := os.Stat(gate + ".began"); return err == nil })

	filler := filepath.Join(data, "filler")
	if err := fillDisk(filler, data, 100<<20); err != nil {
		t.Fatal(err)
	}
	var refusal error
	taken := 0
	until(t, "events to be refused", func() bool {
		refusal = n.emit("filler", fmt.Sprintf("f-%d", taken), "f", "{}")
		taken++
		return refusal != nil
	})
	if statusOf(refusal) != http.StatusServiceUnavailable {
		t.Errorf("an event on a full disk: %v, want 503", refusal)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the function's result to be in the log", func() bool { return done(n)["w-1"] == 1 })
	if _, err := n.client.Functions(t.Context()); err != nil {
		t.Errorf("reading on a full disk: %v", err)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	until(t, "events to be taken again", func() bool {
		err := n.emit("after", "a-1", "a-1", "{}")
		if err != nil && statusOf(err) != http.StatusServiceUnavailable {
			t.Fatalf("an event after the disk was full: %v", err)
		}
		return err == nil
	})
	t.Logf("the node took events again %s after there was room", time.Since(began).Round(time.Millisecond))
	n.stop()
}

// fillDisk writes a file until only so much is free.
func fillDisk(path, dir string, leave uint64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return syscall.Fallocate(int(f.Fd()), 0, 0, int64(s.Bavail*uint64(s.Bsize)-leave))
}
