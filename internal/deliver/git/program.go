package git

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// program is the machine's git, away from the settings of the machine and of the user that the node runs as.
type program struct {
	path   string // of git
	home   string // its settings and hooks
	memory int64  // bytes, of address space, that one git may have; 0 = maxMemory
}

// maxMemory is enough for the largest push, which git reads as a stream, and bounds what is small as it is sent and huge as it is read: a delta of a
// kilobyte may say of gigabytes.
const maxMemory = 2 << 30

// settings are all that git reads beside what it writes into a repository itself. Each push stays one pack, which is checked object by
// object; what a client may name is branches and tags.
const settings = `[core]
	hooksPath = %s
	bigFileThreshold = 16m
	packedGitWindowSize = 32m
	packedGitLimit = 256m
	deltaBaseCacheLimit = 64m
	fsync = all
[safe]
	directory = *
[init]
	defaultBranch = main
[receive]
	maxInputSize = %d
	fsckObjects = true
	unpackLimit = 1
	denyDeleteCurrent = ignore
	autogc = false
	advertisePushOptions = false
[transfer]
	fsckObjects = true
	hideRefs = refs
	hideRefs = !refs/heads
	hideRefs = !refs/tags
[fetch]
	fsckObjects = true
[gc]
	auto = 0
	autoPackLimit = 50
	autoDetach = false
[pack]
	threads = 1
	windowMemory = 64m
	deltaCacheSize = 64m
[protocol]
	allow = never
`

//go:embed hook.sh
var hook []byte

// configure writes git's settings and the one hook that there is.
func (p program) configure(maxPush int64) error {
	hooks := filepath.Join(p.home, "hooks")
	err := os.MkdirAll(hooks, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(hooks, "pre-receive"), hook, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(p.home, ".gitconfig"), fmt.Appendf(nil, settings, quote(hooks), maxPush), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write git's settings: %w", err)
	}
	return nil
}

// quote writes a path as a value of a git configuration. // git-config(1), "Syntax"
func quote(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// endPatience is how long a git that was asked to end may take to clean up.
const endPatience = 5 * time.Second

// limits is a shell that gives up rights and becomes git: no program can be started with less than one has, but by one that is started first. The
// system may know no limit of memory (Darwin does not); that of files every POSIX shell has.
const limits = `ulimit -v "$1" 2>/dev/null; test "$2" = 0 || ulimit -f "$2" || exit; shift 2; exec "$@"`

// command is a git that is asked to end when ctx is done, with all that it started. It is in a group of its own, so that a Ctrl-C on the
// node's terminal leaves it to the node to let it finish.
func (p program) command(ctx context.Context, args ...string) *exec.Cmd {
	return p.bounded(ctx, 0, args...)
}

// bounded is command for a git that writes no file of more than so many bytes; 0 = of any size.
func (p program) bounded(ctx context.Context, file int64, args ...string) *exec.Cmd {
	memory := p.memory
	if memory == 0 {
		memory = maxMemory
	}
	const blocks = 512 // bytes; POSIX, ulimit
	if file > 0 {
		file = file/blocks + 1
	}
	words := []string{"-c", limits, "sh", fmt.Sprint(memory >> 10), fmt.Sprint(file), p.path}
	cmd := exec.CommandContext(ctx, "/bin/sh", append(words, args...)...)
	cmd.Dir = p.home
	cmd.Env = []string{
		"PATH=" + filepath.Dir(p.path) + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + p.home,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endPatience
	return cmd
}

// maxWords is how much of what git says on standard error is kept.
const maxWords = 2048

// output runs git and returns what it printed.
func (p program) output(ctx context.Context, args ...string) ([]byte, error) {
	return p.run(p.command(ctx, args...))
}

func (p program) run(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	err := p.runInto(&out, cmd)
	return out.Bytes(), err
}

// runInto runs git, and writes what it prints to out.
func (p program) runInto(out io.Writer, cmd *exec.Cmd) error {
	said := &head{most: maxWords}
	cmd.Stdout, cmd.Stderr = out, said
	if err := cmd.Run(); err != nil {
		return saidBy(cmd, said, err)
	}
	return nil
}

// saidBy adds to an error of git what git said of it.
func saidBy(cmd *exec.Cmd, said *head, err error) error {
	words := strings.Join(strings.Fields(string(said.text)), " ")
	first := 1 + len([]string{"-c", limits, "sh", "memory", "file", "git"})
	return fmt.Errorf("run git %s: %w: %s", strings.Join(cmd.Args[first:min(first+1, len(cmd.Args))], " "), err, fault.Clip(words))
}

// head keeps the beginning of what is written to it.
type head struct {
	text []byte
	most int
}

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), h.most-len(h.text))]...)
	return len(p), nil
}

var _ io.Writer = (*head)(nil)
