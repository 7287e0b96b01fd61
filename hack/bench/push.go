package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pushManifest has two places for the function's name.
const pushManifest = `name: %[1]s
entry: {type: http, command: [python3, main.py]}
triggers:
  - route: {path: /%[1]s}
`

// pushProgram answers which version of the code it is.
const pushProgram = `import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        text = open("version").read().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
`

// pushRow: from the start of git push until the new version of a Python function answers, against the same by dalamb deploy.
func pushRow(ctx context.Context, b *bench) error {
	if _, ok := b.interpreter("python3"); !ok {
		return nil
	}
	if _, ok := b.interpreter("git"); !ok {
		return nil
	}
	n, err := b.startNode(ctx, "push")
	if err != nil {
		return err
	}
	w := &pushed{n: n, name: "pushed", dir: filepath.Join(b.dir, "push-work")}
	if err := w.begin(ctx, map[string]string{"dalamb.yaml": fmt.Sprintf(pushManifest, w.name), "main.py": pushProgram}); err != nil {
		return err
	}
	const turns = 15
	s, err := inTurns(ctx, b.turns(turns), func() (float64, error) { return w.turn(ctx, w.push) }, func() (float64, error) { return w.turn(ctx, w.deploy) })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{
		Case: "git push of a Python function, to the new version's first answer", Unit: "s", Value: value,
		Yardstick: "the same by dalamb deploy", Of: of, Ratio: ratio, Target: valueAtMost(2),
	})
	return pushGo(ctx, b, n)
}

const goManifest = `name: compiled
entry: {type: stdio, command: [./compiled]}
build: {type: go, network: none}
triggers:
  - route: {path: /compiled}
`

const goProgram = `package main

import (
	_ "embed"
	"os"
)

//go:embed version
var version string

func main() { os.Stdout.WriteString(version) }
`

// pushGo: the same of a Go function, which the node compiles: how much longer it takes than the compile alone.
func pushGo(ctx context.Context, b *bench, n *node) error {
	w := &pushed{n: n, name: "compiled", dir: filepath.Join(b.dir, "push-go")}
	if err := w.begin(ctx, map[string]string{"dalamb.yaml": goManifest, "main.go": goProgram, "go.mod": "module example.com/compiled\n\ngo 1.21\n"}); err != nil {
		return err
	}
	if _, err := w.beyondCompile(ctx); err != nil { // both compile Go's own packages once
		return err
	}
	const turns = 7
	s, err := inTurns(ctx, b.turns(turns), func() (float64, error) { return w.beyondCompile(ctx) }, func() (float64, error) { return w.compiled, nil })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{
		Case: "git push of a Go function, to the new version's first answer, beyond the compile", Unit: "s", Value: value,
		Yardstick: "the compile: go build of the same change", Of: of, Ratio: ratio, Target: valueAtMost(1),
	})
	return nil
}

// beyondCompile is a turn without the time that go build takes for the same change.
func (w *pushed) beyondCompile(ctx context.Context) (float64, error) {
	took, err := w.turn(ctx, func(ctx context.Context) error {
		begun := time.Now()
		err := w.run(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-o", filepath.Join(w.dir, ".git", "compiled"), ".")
		w.compiled = time.Since(begun).Seconds()
		if err != nil {
			return err
		}
		return w.push(ctx)
	})
	return took - 2*w.compiled, err // once here, once on the node
}

// pushed is a working copy of one function.
type pushed struct {
	n       *node
	name    string // of the function and of the repository
	dir     string
	version int

	compiled float64 // seconds that the last compile took
}

// write makes the directory.
func (w *pushed) write(files map[string]string) error {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return w.change()
}

// begin makes a repository of it besides.
func (w *pushed) begin(ctx context.Context, files map[string]string) error {
	if err := w.write(files); err != nil {
		return err
	}
	remote := strings.Replace(w.n.control, "http://", "http://bench:"+w.n.token+"@", 1) + "/git/" + w.name
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"remote", "add", "live", remote}} {
		if err := w.run(ctx, "git", args...); err != nil {
			return err
		}
	}
	return nil
}

func (w *pushed) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "DALAMB_DATA=" + w.n.data,
		"CGO_ENABLED=0", "GOFLAGS=", "GOCACHE=" + filepath.Join(w.dir, ".git", "go-build"), "GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.com", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.com",
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return nil
}

// turn is how many seconds pass from the start of the delivery of a change, which is committed already, until it answers.
func (w *pushed) turn(ctx context.Context, deliver func(context.Context) error) (float64, error) {
	if err := w.change(); err != nil {
		return 0, err
	}
	if err := w.run(ctx, "git", "add", "."); err != nil {
		return 0, err
	}
	if err := w.run(ctx, "git", "commit", "-q", "-m", "change"); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := deliver(ctx); err != nil {
		return 0, err
	}
	return w.answers(ctx, begun)
}

// change is one that can be seen from outside.
func (w *pushed) change() error {
	w.version++
	return os.WriteFile(filepath.Join(w.dir, "version"), fmt.Append(nil, w.version), 0o644)
}

// answers is how many seconds passed until the change does.
func (w *pushed) answers(ctx context.Context, begun time.Time) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		text, err := w.answer(ctx)
		if err != nil || text == fmt.Sprint(w.version) {
			return time.Since(begun).Seconds(), err
		}
	}
}

func (w *pushed) push(ctx context.Context) error {
	return w.run(ctx, "git", "push", "-q", "live", "main")
}

func (w *pushed) deploy(ctx context.Context) error {
	program, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	return w.run(ctx, program, "deploy", ".")
}

func (w *pushed) answer(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.n.gateway+"/"+w.name, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask the function: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
