package runnertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

// Escape is one thing that a hostile function tried, and what came of it.
type Escape struct{ Try, Answer string }

// abstractName is that of a socket of the host's.
func abstractName() string { return fmt.Sprintf("dalamb-escape-%d", os.Getpid()) }

// attempt is a function that tries to get out.
type attempt struct {
	try    string
	args   []string
	change func(*runner.Spec)
	held   string // regular expression that what it printed and how it ended matches when it was held
	answer string // what came of it, for the table; "" = the match
}

// Escapes lets hostile functions try to get out of an isolating runner, and returns the table of the tries. What got out is a failure of
// the test.
func Escapes(t *testing.T, make New) []Escape {
	s := &suite{make: make, code: Code(t)}
	r := s.runner(t)
	ability, err := r.Check(t.Context())
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	s.ability = ability
	const secret = "the host's secret"
	host := filepath.Join(t.TempDir(), "secret")
	for _, file := range []string{host, filepath.Join(filepath.Dir(host), "token")} {
		if err := os.WriteFile(file, []byte(secret), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": host, "up": "../../../../../.." + host} {
		if err := os.Symlink(to, filepath.Join(s.code, link)); err != nil {
			t.Fatal(err)
		}
	}
	su := setuid(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	abstract, err := net.Listen("unix", "@"+abstractName())
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	other := s.spec(t, "stubborn")
	other.Env = append(other.Env, "PASSWORD="+secret)
	other.Secrets = &runner.Secrets{Env: []string{"TOKEN=" + secret}, Files: []runner.SecretFile{{Name: "token", Text: []byte(secret)}}}
	start(t, r, other).prints("ready")

	var table []Escape
	for _, a := range s.attempts(host, l.Addr().String(), su) {
		t.Run(a.try, func(t *testing.T) {
			spec := s.spec(t, a.args...)
			if a.change != nil {
				a.change(&spec)
			}
			b := start(t, r, spec)
			e := b.end()
			said := fmt.Sprintf("%s%s code %d signal %s oom %v", b.out.String(), b.err.String(), e.Code, e.Signal, e.OOM)
			got := regexp.MustCompile(a.held).FindString(said)
			if got == "" || strings.Contains(said, secret) {
				t.Errorf("it said %q, want %s", said[max(0, len(said)-500):], a.held)
			}
			if a.answer != "" {
				got = a.answer
			}
			table = append(table, Escape{a.try, got})
		})
	}
	return slices.Concat(table, s.races(t, r, secret), s.calls(t, r))
}

// suVar says where root has put the code of a test that runs as an ordinary user.
const suVar = "DALAMB_RUNNERTEST_SU"

// setuid makes a code directory with a program of root's that asks to run as root.
func setuid(t *testing.T) (dir string) {
	t.Helper()
	if dir := os.Getenv(suVar); dir != "" {
		return dir
	}
	dir = Code(t)
	if err := askForRoot(filepath.Join(dir, "fn")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// askForRoot makes a program run as who owns it.
func askForRoot(file string) error { return os.Chmod(file, 0o755|os.ModeSetuid|os.ModeSetgid) }

// attempts are the tries; su is a code directory whose program is root's and asks to run as root.
func (s *suite) attempts(host, control, su string) []attempt {
	const none, denied, full = "no such file or directory", "read-only file system|permission denied", "no space left on device"
	ownSecret := func(spec *runner.Spec) {
		spec.Secrets = &runner.Secrets{Files: []runner.SecretFile{{Name: "own", Text: []byte("x")}}}
	}
	onHost := func(spec *runner.Spec) { spec.Base = "host" }
	all := []attempt{
		{"read a file of the host that everybody may read", []string{"read", host}, onHost, none, ""},
		{"read the data directory's token", []string{"read", filepath.Join(filepath.Dir(host), "token")}, onHost, none, ""},
		{"read another function's code", []string{"list", s.code}, onHost, none, ""},
		{"read the host through a symbolic link in the code", []string{"read", "out"}, onHost, none, ""},
		{"read the host through a link that climbs", []string{"read", "up"}, onHost, none, ""},
		{"read another function's secrets in /run/secrets", []string{"list", "/run/secrets"}, nil, none, ""},
		{"write to its own secrets", []string{"write", "/run/secrets/own"}, ownSecret, denied, ""},
		{"read the environment of all processes in /proc", []string{"environs"}, nil, `saw \d+ processes`, "sees the init and itself; the init's is closed"},
		{"reach into its init: memory, environment, files, descriptors; send it signals", []string{"init"}, nil, `^(\S+ denied[^\n]*\n){9} code 0`, "denied; signals do nothing"},
		{"connect to an abstract socket of the host", []string{"abstract", abstractName()}, nil, `ECONNREFUSED|EPERM|ENOENT`, "refused: it is in another network namespace"},
		{"connect to the cloud's metadata at 169.254.169.254", []string{"dial", "169.254.169.254:80"}, nil, "network is unreachable", ""},
		{"connect to the control port on 127.0.0.1", []string{"dial", control}, nil, "connection refused", ""},
		{"write to /usr", []string{"write", "/usr/x"}, onHost, denied, ""},
		{"write to its own code", []string{"write", "/var/task/fn"}, nil, denied, ""},
		{"set the kernel's core_pattern", []string{"write", "/proc/sys/kernel/core_pattern"}, nil, denied, ""},
		{"leave its cgroup", []string{"write", "/sys/fs/cgroup/cgroup.procs"}, onHost, none, ""},
		{"run a setuid program of root's", []string{"status"}, func(spec *runner.Spec) { spec.CodeDir = su }, `Uid:\s+1000\s+1000`, "it runs as who called it"},
		{"fill /tmp", []string{"write", "/tmp/file", "8388608"}, func(spec *runner.Spec) { spec.Tmp = 4 << 20 }, full, ""},
		{"print without end (256 MiB)", []string{"print", "268435456"}, nil, "code 0", "read to its end at the node's pace; beyond 1 MiB/s it is dropped, and counted"},
		{"open files without end", []string{"opens"}, func(spec *runner.Spec) { spec.Files = 100 }, `\b[89]\d code 0`, "stopped at `resources.files`"},
	}
	killed := "killed at `resources.memory`; the result says so"
	if !s.limited("memory") {
		killed = "killed within some 200 ms after `resources.memory`; the result says so"
	}
	forked := `forked [1-3]?\d\s`
	if s.ability.Kernel {
		forked = `forked \d\d?\s` // gVisor's does not count those that died of it
	}
	return append(all,
		attempt{"take memory without end", []string{"eat"}, func(spec *runner.Spec) { spec.Memory = 64 << 20 }, "signal SIGKILL oom true", killed},
		attempt{"start processes without end", []string{"forks", "end"}, func(spec *runner.Spec) { spec.PIDs = 40 }, forked, "stopped at `resources.pids`, and gone with the function"},
	)
}

// calls tries system calls; each is a row, by the name that the hostile function prints for it.
func (s *suite) calls(t *testing.T, r runner.Runner) []Escape {
	t.Helper()
	var all []Escape
	for line := range strings.Lines(s.run(t, r, s.spec(t, "syscalls"))) {
		name, answer, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(answer, "denied ") {
			t.Errorf("system call %s: %s, want it denied", name, answer)
		}
		all = append(all, Escape{"system call: " + name, strings.TrimPrefix(answer, "denied ")})
	}
	return all
}
