package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
)

// bench is builds with real sandboxes and a real store.
type bench struct {
	*Builds
	code *image.Store
}

// newBench needs a machine that can fence.
func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	need.Linux(t)
	r, err := native.New(native.Options{StateDir: filepath.Join(t.TempDir(), "run"), Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	_, err = r.Check(t.Context())
	need.That(t, err == nil, "a machine that can fence functions")
	code, err := image.Open(filepath.Join(t.TempDir(), "code"))
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Runner, o.Code, o.Log = filepath.Join(t.TempDir(), "builds"), r, code, &facts{}
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, err := os.ReadDir(b.work())
		if err != nil || len(left) > 0 {
			t.Errorf("builds left %v, %v", left, err)
		}
	})
	return &bench{b, code}
}

// source makes a directory of files; those that begin with #! are programs.
func source(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shell is a build by a line of shell.
func shell(line string) function.Build {
	return function.Build{Type: function.BuildCommand, Command: []string{"sh", "-c", line}, Network: function.NetworkNone, Timeout: function.Duration(time.Minute)}
}

func (b *bench) read(t *testing.T, digest, name string) string {
	t.Helper()
	dir, err := b.code.Dir(digest)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestACommandMakesTheCode(t *testing.T) {
	b := newBench(t, Options{Env: []string{"GIVEN=by the node"}})
	dir := source(t, map[string]string{"main.txt": "source", "dist/old": "old"})
	var out bytes.Buffer
	r, err := b.Run(t.Context(), Request{Dir: dir, Function: "pay", Scope: "s", Out: &out,
		Build: function.Build{Type: function.BuildCommand, Command: []string{"sh", "-c", `echo "made of $(cat main.txt), $GIVEN, '$1'" | tee dist/made; echo done >&2`, "sh", "it's"}, Output: "dist",
			Network: function.NetworkNone, Timeout: function.Duration(time.Minute)}})
	if err != nil {
		t.Fatalf("Run: %v\n%s", err, &out)
	}
	const made = "made of source, by the node, 'it's'\n"
	if got := b.read(t, r.Code, "made"); got != made {
		t.Errorf("the build made %q, want %q", got, made)
	}
	for _, line := range []string{"building with sh\n", "$ sh -c ", made, "done\n", "built in "} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the build said %q, want it to say %q", &out, line)
		}
	}
	log, err := b.Log(r.Built.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if kept, err := io.ReadAll(log); err != nil || string(kept) != out.String() {
		t.Errorf("the log is %q, %v; want what was said", kept, err)
	}
	if again, err := b.Built(r.Built.ID, r.Code); err != nil || again.Source != r.Built.Source || again.Source == r.Code {
		t.Errorf("Built = %+v, %v; want %+v", again, err, r.Built)
	}
	if _, err := b.Built(r.Built.ID, r.Built.Source); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Built of other code = %v, want an Invalid fault", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "dist/old")); err != nil || string(text) != "old" {
		t.Errorf("the source has %q, %v after the build", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dist/made")); err == nil {
		t.Error("the build wrote into its source")
	}
}

// What a hostile or a broken source does ends with a message, and with nothing left.
func TestBuildsThatGoWrong(t *testing.T) {
	b := newBench(t, Options{Limits: Limits{Memory: 96 << 20, Disk: 4 << 20, PIDs: 64}})
	short := func(line string) function.Build {
		s := shell(line)
		s.Timeout = function.Duration(2 * time.Second)
		return s
	}
	online := shell("echo 'npm error code ECONNREFUSED' >&2; exit 1")
	online.Network = function.NetworkEgress
	output := shell("ln -s /etc link; ln -s . self; mkdir -p there")
	for name, c := range map[string]struct {
		build    function.Build
		output   string
		programs []string
		kind     fault.Kind
		says     string // of error and hint
	}{
		"fails":             {build: shell("echo no; exit 3"), kind: fault.Invalid, says: "the build failed: sh (exit code 3)"},
		"hangs":             {build: short("sleep 1000"), kind: fault.Timeout, says: "not done within 2s"},
		"hangs, and leaves": {build: short("setsid sleep 1000 & wait"), kind: fault.Timeout, says: "build.timeout"},
		"fills the disk":    {build: shell("while :; do head -c 1000000 /dev/zero >> big; done"), kind: fault.Invalid, says: "wrote more than 4Mi"},
		"makes names":       {build: shell("mkdir d; cd d; i=0; while :; do i=$((i+1)); : > $i; done"), kind: fault.Invalid, says: "wrote more than 4Mi"},
		"makes a deep tree": {build: shell("while mkdir d; do cd d; done; sleep 1000"), kind: fault.Invalid, says: "in one another"},
		"forks for ever":    {build: short("bomb() { bomb | bomb & }; bomb; while :; do :; done"), kind: fault.Timeout, says: "not done within 2s"},
		"cannot fork":       {build: shell("set -e; for i in $(seq 200); do sleep 1000 & done"), kind: fault.Invalid, says: "64 processes"},
		"takes all memory":  {build: shell("head -c 500000000 /dev/zero | tail -c 400000000 >/dev/null"), kind: fault.Invalid, says: "more memory than 96Mi"},
		"makes no program":  {build: shell("touch x"), programs: []string{"pay"}, kind: fault.Invalid, says: `made no "pay"`},
		"program as text":   {build: shell("echo x > pay"), programs: []string{"pay"}, kind: fault.Invalid, says: "not executable"},
		"output not there":  {build: shell(":"), output: "dist", kind: fault.Invalid, says: `no directory "dist"`},
		"output by a link":  {build: output, output: "link", kind: fault.Invalid, says: `no directory "link"`},
		"output by links":   {build: output, output: "self/there", kind: fault.Invalid, says: `no directory "self/there"`},
		"link out of it":    {build: shell("ln -s /etc/shadow x"), kind: fault.Invalid, says: "cannot be the code"},
		"a link, the hint":  {build: shell("ln -s /etc/shadow x"), kind: fault.Invalid, says: "remove that at the end of the build's command"},
		"a pipe, the hint":  {build: shell("mkfifo p"), kind: fault.Invalid, says: "remove that at the end of the build's command"},
		"no such program":   {build: shell("exec /none/such"), kind: fault.Invalid, says: "exit code 127"},
		"a closed tree":     {build: shell("mkdir -p a/b/c; touch a/b/c/d; chmod -R 0 a; exit 1"), kind: fault.Invalid, says: "exit code 1"},
		"link out, program": {build: shell("ln -s /bin/sh pay"), programs: []string{"pay"}, kind: fault.Invalid, says: "is a link that leads to no file of what the build made"},
		"a mirror":          {build: online, kind: fault.Invalid, says: "build.allow"},
		"without a network": {build: shell("echo 'curl: (7) Connection refused'; exit 1"), kind: fault.Invalid, says: "build.network is none"},
		"sees the host":     {build: shell("ls /root /home /var/lib /etc/shadow >/dev/null 2>&1 || cat /proc/1/environ"), kind: fault.Invalid, says: "exit code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c.build.Output = c.output
			var out bytes.Buffer
			r, err := b.Run(t.Context(), Request{Dir: source(t, map[string]string{"f": "x"}), Build: c.build, Function: "pay", Programs: c.programs, Scope: name, Out: &out})
			if err == nil {
				t.Fatalf("Run = %+v, want an error; it said %s", r, &out)
			}
			if got := err.Error() + " " + fault.HintOf(err); fault.KindOf(err) != c.kind || !strings.Contains(got, c.says) {
				t.Errorf("Run = %v fault %q, want a %v fault that says %q; the build said\n%s", fault.KindOf(err), got, c.kind, c.says, &out)
			}
			if !logID.MatchString(fault.HintOf(err)) {
				t.Errorf("the hint %q does not say where the log is", fault.HintOf(err))
			}
		})
	}
}

var logID = regexp.MustCompile(`dalamb build log --id [a-z2-7]{26} shows what it said$`)

// TestADeepCacheIsThrownAway lets a build leave what no later one could be measured with.
func TestADeepCacheIsThrownAway(t *testing.T) {
	b := newBench(t, Options{})
	r := Request{Dir: source(t, map[string]string{"f": "x"}), Scope: "s"}
	r.Build = shell("cd /build/cache; for i in $(seq 600); do mkdir d; cd d; done")
	if _, err := b.Run(t.Context(), r); err != nil && !strings.Contains(err.Error(), "in one another") {
		t.Fatal(err)
	}
	r.Build = shell("! test -e /build/cache/d")
	if _, err := b.Run(t.Context(), r); err != nil {
		t.Errorf("Run with a deep cache = %v, want it thrown away", err)
	}
}

// TestBuildsEndWithTheNode ends one that runs, one that waits, and lets none begin.
func TestBuildsEndWithTheNode(t *testing.T) {
	b := newBench(t, Options{Parallel: 1})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx) }()
	begun, waits := make(chan struct{}), make(chan struct{})
	src := source(t, map[string]string{"f": "x"})
	var all sync.WaitGroup
	defer all.Wait()
	ends := func(r Request) {
		r.Dir = src
		if _, err := b.Run(t.Context(), r); !errors.Is(err, ErrStopping) || fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
			t.Errorf("Run when the node stops = %v (%s), want ErrStopping", err, fault.HintOf(err))
		}
	}
	all.Go(func() {
		ends(Request{Build: shell("echo begun; sleep 1000"), Scope: "function a", Out: onLine("begun", begun)})
	})
	<-begun
	all.Go(func() {
		ends(Request{Build: shell(":"), Scope: "function a", Out: onLine("waiting for another build of function a", waits)})
	})
	<-waits
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
	ends(Request{Build: shell(":"), Scope: "function b"})
}

func TestACommandIsShownAsItCouldBeTyped(t *testing.T) {
	for want, step := range map[string][]string{
		"go build -o /build/out/x ./cmd":      {"go", "build", "-o", "/build/out/x", "./cmd"},
		`sh -c 'make all && echo '\''it'\'''`: {"sh", "-c", "make all && echo 'it'"},
		"sh -c 'a b' ''":                      {"sh", "-c", "a\nb", ""},
	} {
		if got := shown(step); got != want {
			t.Errorf("shown(%q) = %s, want %s", step, got, want)
		}
	}
}

func TestALongWordIsCut(t *testing.T) {
	if got := shown([]string{"sh", strings.Repeat("x", 3*maxShown)}); got != "sh '"+strings.Repeat("x", maxShown)+"…'" {
		t.Errorf("shown = %s", got)
	}
}

func TestAToolDoesNotTellWhereItIs(t *testing.T) {
	l := &buildLog{first: "\x1b[1mpip 25.1.1\x1b[m from /opt/x/lib/python3/site-packages/pip (python 3.13)"}
	if got := l.toolchain(); got != "pip 25.1.1 (python 3.13)" {
		t.Errorf("toolchain = %q", got)
	}
}

// TestLeftoversStopNoNode opens where something is that cannot be removed.
func TestLeftoversStopNoNode(t *testing.T) {
	dir := t.TempDir()
	code, err := image.Open(filepath.Join(t.TempDir(), "code"))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Runner: noRunner{}, Code: code, Log: &facts{}}
	for _, c := range []struct {
		name   string
		remove func(string) error
		there  bool
	}{
		{"removable", removeTree, false},
		{"not removable", func(string) error { return fs.ErrPermission }, true},
	} {
		left := filepath.Join(dir, "work", "old")
		if err := errors.Join(os.MkdirAll(left, 0o755), os.WriteFile(filepath.Join(left, "f"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := open(o, c.remove); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := os.Stat(left); errors.Is(err, fs.ErrNotExist) == c.there {
			t.Errorf("%s: what was left is there: %v, want %v", c.name, err, c.there)
		}
	}
}

func TestToolsThatAreNotThere(t *testing.T) {
	code, err := image.Open(filepath.Join(t.TempDir(), "code"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{t.TempDir(), "/no/such"} {
		_, err := Open(Options{Dir: t.TempDir(), Runner: noRunner{}, Code: code, Log: &facts{}, Tools: []string{dir}})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "build.tools: there is no directory "+dir+"/bin") {
			t.Errorf("Open with tools of %s = %v, want an Invalid fault that names it", dir, err)
		}
	}
}

type noRunner struct{}

func (noRunner) Start(context.Context, runner.Spec) (runner.Sandbox, error) {
	return nil, errors.New("no sandbox")
}

func TestABuildEndsWithWhoWantedIt(t *testing.T) {
	b := newBench(t, Options{Parallel: 1})
	newer := errors.New("a newer push")
	ctx, cancel := context.WithCancelCause(t.Context())
	begun := make(chan struct{})
	waits := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	src := source(t, map[string]string{"f": "x"})
	all.Go(func() {
		_, err := b.Run(ctx, Request{Dir: src, Build: shell("echo begun; sleep 1000"), Scope: "s", Out: onLine("begun", begun)})
		if !errors.Is(err, newer) {
			t.Errorf("Run of what a newer push ended = %v, want %v", err, newer)
		}
	})
	<-begun
	gone, leave := context.WithCancel(t.Context())
	all.Go(func() {
		_, err := b.Run(gone, Request{Dir: src, Build: shell(":"), Scope: "another", Out: onLine("waiting for another build", waits)})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Run of who did not wait for his turn = %v, want %v", err, context.Canceled)
		}
	})
	<-waits
	leave()
	cancel(newer)
	if _, err := b.Run(t.Context(), Request{Dir: src, Build: shell(":"), Scope: "s"}); err != nil {
		t.Errorf("Run after both = %v", err)
	}
}

// onLine closes a channel when a line has come.
func onLine(line string, ch chan struct{}) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		if string(p) == line+"\n" {
			close(ch)
		}
		return len(p), nil
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWhatABuildKeepsIsSeenByItsScopeAlone(t *testing.T) {
	b := newBench(t, Options{Limits: Limits{Cache: 1 << 20}})
	src := source(t, map[string]string{"f": "x"})
	for _, c := range []struct{ scope, want string }{{"a", ""}, {"b", ""}, {"a", "a"}} {
		line := "cat /build/cache/kept 2>/dev/null > made; printf " + c.scope + " > /build/cache/kept; chmod 0 /build/cache/kept; mkdir -p /build/cache/closed/x; chmod 0 /build/cache/closed; exit 0"
		if c.want != "" {
			line = "chmod 644 /build/cache/kept; " + line
		}
		r, err := b.Run(t.Context(), Request{Dir: src, Build: shell(line), Scope: c.scope})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.read(t, r.Code, "made"); got != c.want {
			t.Errorf("scope %s found %q, want %q", c.scope, got, c.want)
		}
	}
	if _, err := b.Run(t.Context(), Request{Dir: src, Build: shell("head -c 2000000 /dev/zero > /build/cache/big"), Scope: "b"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Tidy(t.Context(), func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(b.cacheDir())
	if err != nil || len(left) != 1 {
		t.Errorf("Tidy left %v, %v; want the cache of a alone, since b keeps too much", left, err)
	}
	b.now = func() time.Time { return time.Now().Add(2 * keepCache) }
	if err := b.Tidy(t.Context(), func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{b.cacheDir(), b.records()} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("Tidy two months later left %v, %v in %s", left, err, dir)
		}
	}
}

const hello = "package main\n\nfunc main() { println(\"hello\") }\n"

func TestAGoModuleIsReproducible(t *testing.T) {
	b := newBench(t, Options{})
	need.That(t, b.find("go") != "", "go below /usr")
	src := map[string]string{"go.mod": "module example.com/hello\n\ngo 1.21\n", "main.go": hello, "static/page": "x"}
	want := ""
	for _, scope := range []string{"one", "two"} { // neither finds what the other has compiled
		var out bytes.Buffer
		r, err := b.Run(t.Context(), Request{Dir: source(t, src), Scope: scope, Out: &out, Function: "hello", Programs: []string{"bin/hello"},
			Build: function.Build{Type: function.BuildGo, Network: function.NetworkNone, Timeout: function.BuildTimeout}})
		if err != nil {
			t.Fatalf("Run: %v\n%s", err, &out)
		}
		if !strings.HasPrefix(r.Built.Toolchain, "go version go1.") || r.Built.Builder != "go" {
			t.Errorf("built by %+v, want go with its version", r.Built)
		}
		if want == "" {
			want = r.Code
		}
		if r.Code != want {
			t.Errorf("the second build made %s, the first one %s", r.Code, want)
		}
	}
	if text := b.read(t, want, "bin/hello"); !strings.HasPrefix(text, "\x7fELF") || strings.Contains(text, t.TempDir()) {
		t.Error("the program is no ELF file, or knows where it was built")
	}
	src["main.go"] = "package main\n\nfunc main() { undefined() }\n"
	var out bytes.Buffer
	_, err := b.Run(t.Context(), Request{Dir: source(t, src), Scope: "two", Out: &out, Programs: []string{"hello"},
		Build: function.Build{Type: function.BuildGo, Network: function.NetworkNone, Timeout: function.BuildTimeout}})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(out.String(), "./main.go:3:15: undefined: undefined") {
		t.Errorf("Run of what does not compile = %v, and said %s", err, &out)
	}
}

func TestWhatMakesTheSame(t *testing.T) {
	with := func(change func(r *Request)) *Request {
		r := &Request{Dir: "/src", Function: "pay", Programs: []string{"pay"}, Build: function.Build{Type: function.BuildDockerfile, Command: []string{"a", "b c"}, Args: map[string]string{"A": "1 B:2", "C": "3"}}}
		change(r)
		return r
	}
	first := with(func(*Request) {}).Same()
	for name, c := range map[string]struct {
		change func(r *Request)
		same   bool
	}{
		"another function": {func(r *Request) { r.Function = "refund" }, true},
		"the same args":    {func(r *Request) { r.Build.Args = map[string]string{"C": "3", "A": "1 B:2"} }, true},
		"other words":      {func(r *Request) { r.Build.Command = []string{"a b", "c"} }, false},
		"other args":       {func(r *Request) { r.Build.Args = map[string]string{"A": "1", "B": "2", "C": "3"} }, false},
		"an environment":   {func(r *Request) { r.Function = "test.pay" }, false},
		"other programs":   {func(r *Request) { r.Programs = []string{"refund"} }, false},
		"other secrets":    {func(r *Request) { r.Build.Secrets = []string{"token"} }, false},
	} {
		if got := with(c.change).Same() == first; got != c.same {
			t.Errorf("%s: the same is %v, want %v", name, got, c.same)
		}
	}
}
