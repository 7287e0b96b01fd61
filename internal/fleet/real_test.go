package fleet

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/runner/process"
)

// behaviour is the variable that makes the test binary play a function instead of running tests.
const behaviour = "FLEET_TEST_FUNCTION"

func TestMain(m *testing.M) {
	switch os.Getenv(behaviour) {
	case "":
		os.Exit(m.Run())
	case "http":
		playHTTP()
	case "lambda":
		playLambda()
	case "stdio":
		io.Copy(os.Stdout, os.Stdin)
	}
}

func playHTTP() {
	var sick atomic.Bool
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		sick.Store(string(got) == `"be sick"`)
		w.Write(got)
	})
	http.HandleFunc("/well", func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func playLambda() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		resp, err := http.Get(base + "next")
		if err != nil {
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		posted, err := http.Post(base+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(body))
		if err != nil {
			return
		}
		io.Copy(io.Discard, posted.Body)
		posted.Body.Close()
	}
}

// install puts the test binary, as "fn", into a directory that everybody may read.
func install(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "fn"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// real is a version that plays an entry type.
func real(typ function.EntryType, change ...func(*function.Spec)) *function.Version {
	v := version("real-"+string(typ), func(s *function.Spec) {
		s.Base, s.Network = "host", "none"
		s.Entry = function.Entry{Type: typ, Command: []string{"./fn"}}
		if typ == function.EntryHTTP {
			s.Entry.Port, s.Entry.Concurrency = 8080, 1
		}
		s.Resources = function.Resources{Memory: 512 << 20, CPU: 2, PIDs: 64, Tmp: 16 << 20}
		s.Env = map[string]string{behaviour: string(typ)}
	})
	for _, f := range change {
		f(&v.Spec)
	}
	return v
}

func processRunner(t testing.TB) runner.Runner {
	t.Helper()
	r, err := process.New(process.Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func nativeRunner(t testing.TB) runner.Runner {
	t.Helper()
	need.Linux(t)
	r, err := native.New(native.Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Check(t.Context())
	need.That(t, err == nil, "a machine that can fence")
	return r
}

// realFleet runs a fleet on a runner until the test ends.
func realFleet(t testing.TB, r runner.Runner, code string, vs ...*function.Version) *Fleet {
	t.Helper()
	f, err := New(Options{Runner: r, Functions: newShop(vs...), Code: func(string) (string, error) { return code, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.shutdown()
		if err := r.Close(); err != nil {
			t.Errorf("close runner: %v", err)
		}
	})
	return f
}

func TestRealFunctionsOnEachRunner(t *testing.T) {
	runners := map[string]func(testing.TB) runner.Runner{"process": processRunner, "native": nativeRunner}
	for name, make := range runners {
		t.Run(name, func(t *testing.T) {
			entries := []function.EntryType{function.EntryLambda, function.EntryHTTP, function.EntryStdio}
			var vs []*function.Version
			for _, typ := range entries {
				vs = append(vs, real(typ, scale(0, 2)))
			}
			f := realFleet(t, make(t), install(t), vs...)
			var calls []<-chan answer
			for n := range 30 {
				c := call("real-" + string(entries[n%3]))
				c.Invocation.Payload = fmt.Appendf(nil, `{"n":%d}`, n)
				calls = append(calls, begin(t.Context(), f, c))
			}
			for n, c := range calls {
				a := <-c
				if a.err != nil {
					t.Fatalf("call %d: %v", n, a.err)
				}
				if want := fmt.Sprintf(`{"n":%d}`, n); a.r.Outcome != function.Succeeded || string(a.r.Body) != want {
					t.Errorf("call %d = %s %s (%+v), want its own payload back", n, a.r.Outcome, a.r.Body, a.r.Failure)
				}
			}
			if n := len(f.Instances()); n > 6 {
				t.Errorf("%d instances, want at most 2 of each", n)
			}
		})
	}
}

func TestAFunctionThatHangsIsKilledWithAllThatItStarted(t *testing.T) {
	runners := map[string]func(testing.TB) runner.Runner{"process": processRunner, "native": nativeRunner}
	for name, make := range runners {
		t.Run(name, func(t *testing.T) {
			stubborn := real(function.EntryStdio, func(s *function.Spec) {
				s.Entry.Command = []string{"sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000"}
				s.Timeout = function.Duration(300 * time.Millisecond)
			})
			f := realFleet(t, make(t), install(t), stubborn)
			began := time.Now()
			r := mustInvoke(t, f, call("real-stdio"))
			answered := time.Since(began)
			f.lives.Wait() // SIGTERM is ignored, so this takes SIGKILL
			if r.Outcome != function.TimedOut || r.Status != 504 {
				t.Errorf("result = %+v, want a time-out", r)
			}
			if gone := time.Since(began); answered >= gone || gone-answered < stopGrace/2 {
				t.Errorf("the answer came after %v, the instance was gone after %v; want the answer first and then the grace of %v", answered, gone, stopGrace)
			}
			if left := f.Instances(); len(left) != 0 {
				t.Errorf("Instances = %+v, want none", left)
			}
		})
	}
}

func TestARealFunctionIsFrozenThawedAndStopped(t *testing.T) {
	for _, typ := range []function.EntryType{function.EntryLambda, function.EntryHTTP} {
		t.Run(string(typ), func(t *testing.T) {
			f := realFleet(t, nativeRunner(t), install(t), real(typ))
			first := mustInvoke(t, f, call("real-"+string(typ)))
			for range 3 {
				need.That(t, freezeIdle(f), "a cgroup v2 tree where this user may make groups")
				if got := states(f); got[Frozen] != 1 {
					t.Fatalf("states = %v, want one frozen", got)
				}
				c := call("real-" + string(typ))
				c.Invocation.Payload = body
				if r := mustInvoke(t, f, c); r.Outcome != function.Succeeded || r.Cold || r.Instance != first.Instance || string(r.Body) != string(body) {
					t.Errorf("the call = %+v, want its own payload from %s", r, first.Instance)
				}
			}
			freezeIdle(f)
			began := time.Now()
			stopIdle(f)
			f.lives.Wait()
			if took := time.Since(began); took >= stopGrace {
				t.Errorf("a frozen instance took %v to stop, want less than the grace: it gets its SIGTERM", took)
			}
		})
	}
}

func TestARealFunctionThatIsNotWellIsReplaced(t *testing.T) {
	for name, make := range map[string]func(testing.TB) runner.Runner{"process": processRunner, "native": nativeRunner} {
		t.Run(name, func(t *testing.T) {
			f := realFleet(t, make(t), install(t), real(function.EntryHTTP, healthy(100*time.Millisecond, 2, 0)))
			c := call("real-http")
			c.Invocation.Payload = []byte(`"be sick"`)
			r := mustInvoke(t, f, c)
			f.lives.Wait() // until it has been asked, and has gone
			got := f.Replaced()
			if len(got) != 1 || got[0].Instance != r.Instance || !strings.Contains(got[0].Reason, "GET /well answered 500, 2 times in a row") {
				t.Errorf("Replaced = %+v, want %s and what its health check said", got, r.Instance)
			}
		})
	}
}
