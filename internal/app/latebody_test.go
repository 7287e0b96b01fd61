package app_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
)

// TestALongBodyOutlivesAKill takes a request whose body no event can hold, and kills the node before the function has had it.
func TestALongBodyOutlivesAKill(t *testing.T) {
	t.Parallel()
	data, gate := t.TempDir(), filepath.Join(t.TempDir(), "gate")
	n := start(t, data)
	n.deploy(directory(t, map[string]string{"sum.sh": `while [ ! -e "$GATE" ]; do sleep 0.05; done; exec sha256sum`}), fmt.Sprintf(`
name: sum
code: .
entry: {type: stdio, command: [/bin/sh, sum.sh]}
env: {GATE: %q}
triggers:
  - {name: sums, route: {method: POST, path: /sums, async: true}}
`, gate))
	body := make([]byte, 5<<20)
	rand.Read(body)
	r, err := http.Post(n.gateway+"/sums", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	place := r.Header.Get("Location")
	if r.StatusCode != http.StatusAccepted || place == "" {
		t.Fatalf("POST = %d %v, want 202", r.StatusCode, r.Header)
	}
	n.kill()
	n = start(t, data)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	until(t, "the answer", func() bool {
		r, err := http.Get(n.gateway + place + "/answer?wait=10s")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		said, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode == http.StatusAccepted {
			return false
		}
		if r.StatusCode != http.StatusOK || !strings.Contains(string(said), hex.EncodeToString(sum[:])) {
			t.Fatalf("answer = %d %s, want the digest of what was sent", r.StatusCode, said)
		}
		return true
	})
	for _, f := range n.facts(function.TopicInvoke) {
		if len(f.Data) > 64<<10 {
			t.Errorf("the event of the request has %d bytes", len(f.Data))
		}
	}
	n.stop()
}
