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

const pushManifest = `name: pushed
entry: {type: http, command: [python3, main.py]}
triggers:
  - route: {path: /pushed}
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
	w := &pushed{n: n, dir: filepath.Join(b.dir, "push-work")}
	if err := w.begin(ctx); err != nil {
		return err
	}
	const turns = 15
	s, err := inTurns(ctx, turns, func() (float64, error) { return w.turn(ctx, w.push) }, func() (float64, error) { return w.turn(ctx, w.deploy) })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{
		Case: "git push of a Python function, to the new version's first answer", Unit: "s", Value: value,
		Yardstick: "the same by dalamb deploy", Of: of, Ratio: ratio, Target: valueAtMost(2),
	})
	return nil
}

// pushed is a working copy of one function.
type pushed struct {
	n       *node
	dir     string
	version int
}

func (w *pushed) begin(ctx context.Context) error {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"dalamb.yaml": pushManifest, "main.py": pushProgram} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	remote := strings.Replace(w.n.control, "http://", "http://bench:"+w.n.token+"@", 1) + "/git/bench"
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
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.com", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.com",
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return nil
}

// turn is how many seconds pass from the start of the delivery of a change, which is committed already, until it answers.
func (w *pushed) turn(ctx context.Context, deliver func(context.Context) error) (float64, error) {
	w.version++
	if err := os.WriteFile(filepath.Join(w.dir, "version"), fmt.Append(nil, w.version), 0o644); err != nil {
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.n.gateway+"/pushed", nil)
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
