package native

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

func newRunner(stateDir string) (runner.Runner, error) { return New(Options{StateDir: stateDir}) }

func TestMain(m *testing.M) { os.Exit(runnertest.Main(m, newRunner)) }

// fences needs a machine that lets this user make sandboxes.
func fences(t testing.TB) {
	t.Helper()
	need.Linux(t)
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state"), Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Check(t.Context())
	if closeErr := r.Close(); closeErr != nil {
		t.Errorf("Close: %v", closeErr)
	}
	need.That(t, err == nil, fmt.Sprintf("a machine that can fence (%v; %s)", err, fault.HintOf(err)))
}

func TestConformance(t *testing.T) {
	fences(t)
	runnertest.Run(t, newRunner)
}

func TestConformanceAsOrdinaryUser(t *testing.T) {
	fences(t)
	runnertest.AsOrdinaryUser(t, "TestConformance")
}

func TestHostBaseRunsInterpreters(t *testing.T) {
	fences(t)
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, c := range []struct {
		program string
		args    []string
		want    string
	}{
		{"/usr/bin/python3", []string{"-c", `
import ssl, subprocess, threading, tempfile, multiprocessing, pwd, os, socket
t = threading.Thread(target=lambda: None); t.start(); t.join()
multiprocessing.Lock()
assert pwd.getpwuid(os.getuid()).pw_name == "function"
assert ssl.create_default_context().cert_store_stats() is not None
os.mkfifo("/tmp/fifo"); socket.if_nameindex(); socket.socketpair()
with multiprocessing.get_context("fork").Pool(2) as p: assert p.map(abs, [-1, -2]) == [1, 2]
print(subprocess.run(["sh", "-c", "echo $((40+2))"], capture_output=True, text=True).stdout.strip(), tempfile.gettempdir())`}, "42 /tmp\n"},
		{"/usr/bin/node", []string{"-e", `
const w = new (require("worker_threads").Worker)("require('worker_threads').parentPort.postMessage(42)", {eval: true});
require("os").networkInterfaces();
w.on("message", m => console.log(m, require("os").tmpdir(), require("child_process").execSync("echo child").toString().trim()))`}, "42 /tmp child\n"},
		{"/usr/bin/bash", []string{"-c", `
set -euo pipefail
mkfifo /tmp/fifo; echo through >/tmp/fifo & read line </tmp/fifo; wait
cat <(echo "$line") - <<<"$(seq 3 | sort -r | head -1)" | tr '\n' ' '
coproc cat; echo coproc >&${COPROC[1]}; read -ru "${COPROC[0]}" line; echo "$line"; kill "$COPROC_PID"`}, "through 3 coproc\n"},
		{"/usr/bin/perl", []string{"-MSocket", "-MIO::Pipe", "-e", `
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
if (!fork) { syswrite $a, "child\n"; exit 0 }
wait; sysread $b, my $line, 10; print $line`}, "child\n"},
		{"/usr/bin/java", []string{"-Xmx64m", "-XshowSettings:all", "--version"}, "openjdk"}, // reads all of its settings
	} {
		t.Run(filepath.Base(c.program), func(t *testing.T) {
			need.Program(t, c.program)
			var mu sync.Mutex
			var out, errs strings.Builder
			take := func(b *strings.Builder) func([]byte) {
				return func(p []byte) {
					mu.Lock()
					defer mu.Unlock()
					b.Write(p)
				}
			}
			sb, err := r.Start(t.Context(), runner.Spec{
				ID: "a", Base: "host", Network: "none", Command: append([]string{filepath.Base(c.program)}, c.args...),
				Memory: 512 << 20, CPU: 2, PIDs: 64, Tmp: 16 << 20, Stdout: take(&out), Stderr: take(&errs),
			})
			if err != nil {
				t.Fatal(err)
			}
			<-sb.Done()
			if e := sb.Exit(); e != (runner.Exit{}) || !strings.Contains(out.String(), c.want) {
				t.Errorf("exit %+v, stdout %q, stderr %q; want code 0 and %q", e, out.String(), errs.String(), c.want)
			}
		})
	}
}
