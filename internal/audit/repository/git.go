package repository

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/gitssh"
)

// How long one git may take, and one that was asked to end to clean up.
const (
	patience    = 2 * time.Minute
	endPatience = time.Second
)

// git is the machine's git, away from the settings of the machine and of the user that the node runs as.
type git struct {
	path   string
	home   string
	copy   string // the node's own repository
	url    *url.URL
	access string // a file
	hosts  string // a file

	broken bool // a git failed on the copy: a kill has left a lock in it, or a power cut an empty file
}

// settings: a repository in a directory of somebody else may be pushed to, and what comes from elsewhere is looked at.
const settings = `[safe]
	directory = *
[fetch]
	fsckObjects = true
[gc]
	auto = 0
[core]
	hooksPath = /dev/null
	fsync = all
[http]
	followRedirects = false
	lowSpeedLimit = 1000
	lowSpeedTime = 60
`

// prepare makes the copy where it is not there, or not whole; made says so. All that is in it is elsewhere, too.
func (g *git) prepare(ctx context.Context) (made bool, err error) {
	if err := os.MkdirAll(g.home, 0o700); err != nil {
		return false, fmt.Errorf("make room for a repository: %w", err)
	}
	if err := os.WriteFile(filepath.Join(g.home, ".gitconfig"), []byte(settings), 0o600); err != nil {
		return false, fmt.Errorf("write git's settings: %w", err)
	}
	if !g.broken {
		if _, err := g.output(ctx, nil, "rev-parse", "--git-dir"); err == nil {
			return false, nil
		}
	}
	return true, g.remake(ctx)
}

// remake begins the copy anew, with nothing in it.
func (g *git) remake(ctx context.Context) error {
	if err := os.RemoveAll(g.copy); err != nil {
		return fmt.Errorf("make room for a repository: %w", err)
	}
	_, err := g.run(ctx, nil, nil, "init", "--quiet", "--bare", g.copy)
	g.broken = err != nil
	return err
}

// output runs git in the copy, of which it needs nothing that may not be there: where it fails, the copy is broken.
func (g *git) output(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	out, err := g.run(ctx, nil, in, append([]string{"--git-dir=" + g.copy}, args...)...)
	g.broken = g.broken || err != nil
	return out, err
}

// run runs git with more environment and an input. What opens the repository is never an argument.
func (g *git) run(ctx context.Context, env []string, in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.path, args...)
	cmd.Dir = g.home
	cmd.Env = append([]string{
		"PATH=" + filepath.Dir(g.path) + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + g.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_ALLOW_PROTOCOL=" + g.url.Scheme,
	}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endPatience
	if in != nil {
		cmd.Stdin = bytes.NewReader(in)
	}
	out, said := limited{left: maxOutput}, limited{left: maxSaid, quiet: true}
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	switch {
	case out.full:
		return nil, fault.New(fault.TooLarge, "git has more to say than %d MiB", maxOutput>>20).WithHint("name a branch of its own for the checkpoints, or a clone to --checkpoints")
	case err == nil:
		return out.text.Bytes(), nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fault.New(fault.Timeout, "git has given no answer within %s", patience)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	verb := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	return nil, fault.New(fault.Unavailable, "git %s: %w: %s", args[verb], err, fault.Clip(strings.Join(strings.Fields(said.text.String()), " ")))
}

// away is the environment of a git that speaks with the repository elsewhere. The file of what opens it is read each time: it may be put anew.
func (g *git) away() ([]string, error) {
	if g.url.Scheme == "ssh" {
		return []string{"GIT_SSH_VARIANT=ssh", "GIT_SSH_COMMAND=" + gitssh.Command(g.access, g.hosts, nil)}, nil
	}
	if g.access == "" || g.url.Scheme == "file" {
		return nil, nil
	}
	text, err := os.ReadFile(g.access)
	if err != nil {
		return nil, fmt.Errorf("read what opens the repository: %w", err)
	}
	who := strings.TrimSpace(string(text))
	if !strings.Contains(who, ":") {
		who = "dalamb:" + who
	}
	return []string{
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + g.url.String() + ".extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(who)),
	}, nil
}

// elsewhere runs a git that speaks with the repository.
func (g *git) elsewhere(ctx context.Context, args ...string) ([]byte, error) {
	env, err := g.away()
	if err != nil {
		return nil, err
	}
	out, err := g.run(ctx, env, nil, append([]string{"--git-dir=" + g.copy}, args...)...)
	for _, words := range []string{"could not read Username", "Authentication failed", "Permission denied (publickey", "error: 403"} {
		if err != nil && strings.Contains(err.Error(), words) {
			return nil, fault.New(fault.Denied, "%s does not let this node in", g.url.Redacted()).WithHint("is what audit.access names still good, and may it push?")
		}
	}
	if err != nil && strings.Contains(err.Error(), "Host key verification failed") {
		return nil, fault.New(fault.Denied, "%s shows another host key than the file of audit.known-hosts has", g.url.Redacted()).WithHint("compare it with what the provider publishes, and put that into the file")
	}
	return out, err
}

var validID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// tip is the commit that the branch is at elsewhere; "" = there is no such branch.
func (g *git) tip(ctx context.Context, branch string) (string, error) {
	out, err := g.elsewhere(ctx, "ls-remote", "--quiet", "--", g.url.String(), "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if id, name, _ := strings.Cut(strings.TrimSpace(line), "\t"); name == "refs/heads/"+branch && validID.MatchString(id) {
			return id, nil
		}
	}
	return "", nil
}

// fetch brings what the branch is at into the copy, with so many commits before it at most; 0 = with all of them.
func (g *git) fetch(ctx context.Context, branch string, depth int) error {
	args := []string{"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance", "--refmap="}
	if depth > 0 {
		args = append(args, fmt.Sprintf("--depth=%d", depth))
	}
	_, err := g.elsewhere(ctx, append(args, "--", g.url.String(), "+refs/heads/"+branch+":"+tipRef)...)
	g.broken = g.broken || err != nil // or there is no way, which cannot be told from it
	return err
}

// commit is the one that a ref of the copy is at.
func (g *git) commit(ctx context.Context, ref string) (string, error) {
	return g.id(ctx, nil, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
}

// holds says whether a commit has another one before it, as far as the copy goes back.
func (g *git) holds(ctx context.Context, commit, before string) (bool, error) {
	if _, err := g.run(ctx, nil, nil, "--git-dir="+g.copy, "rev-parse", "--verify", "--quiet", before+"^{commit}"); err != nil {
		return false, ctx.Err()
	}
	out, err := g.output(ctx, nil, "rev-list", "--max-count=1", before, "^"+commit)
	return err == nil && len(out) == 0, err
}

// names are those in a directory of a commit, in their order; of one alone where it is named.
func (g *git) names(ctx context.Context, directory, one string) ([]string, error) {
	args := []string{"ls-tree", "-z", "--name-only", directory}
	if one != "" {
		args = append(args, "--", one)
	}
	out, err := g.output(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}

// id runs git and returns the name of an object that it printed.
func (g *git) id(ctx context.Context, in []byte, args ...string) (string, error) {
	out, err := g.output(ctx, in, args...)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(out))
	if !validID.MatchString(id) {
		return "", fmt.Errorf("git %s: %q names no object", args[0], fault.Clip(id))
	}
	return id, nil
}

// with is the tree of a commit ("" = of none) with one file more.
func (g *git) with(ctx context.Context, commit string, at []string, blob string) (string, error) {
	kind, object := "100644 blob", blob
	for n := len(at) - 1; ; n-- {
		below, err := g.entries(ctx, commit, at[:n])
		if err != nil {
			return "", err
		}
		var lines []byte
		for line := range bytes.SplitSeq(below, []byte{0}) {
			if _, name, ok := bytes.Cut(line, []byte{'\t'}); ok && string(name) != at[n] {
				lines = append(append(lines, line...), 0)
			}
		}
		lines = fmt.Appendf(lines, "%s %s\t%s\x00", kind, object, at[n])
		tree, err := g.id(ctx, lines, "mktree", "-z")
		if err != nil || n == 0 {
			return tree, err
		}
		kind, object = "040000 tree", tree
	}
}

// entries are those of a directory of a commit, as mktree reads them; none where it is not there.
func (g *git) entries(ctx context.Context, commit string, directory []string) ([]byte, error) {
	at := commit + ":" + strings.Join(directory, "/")
	if commit == "" {
		return nil, nil
	}
	if len(directory) > 0 { // what is not there is another thing than what cannot be read, which would be left out of the next commit
		if found, err := g.output(ctx, nil, "ls-tree", "-z", "-d", commit, "--", strings.Join(directory, "/")); err != nil || len(found) == 0 {
			return nil, err
		}
	}
	return g.output(ctx, nil, "ls-tree", "-z", at)
}

// record makes a commit of a tree, behind another one where there is one.
func (g *git) record(ctx context.Context, tree, parent, message string) (string, error) {
	args := []string{"--git-dir=" + g.copy, "commit-tree", "-m", message}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	env := []string{"GIT_AUTHOR_NAME=dalamb", "GIT_AUTHOR_EMAIL=audit@dalamb.invalid", "GIT_COMMITTER_NAME=dalamb", "GIT_COMMITTER_EMAIL=audit@dalamb.invalid"}
	out, err := g.run(ctx, env, nil, append(args, tree)...)
	g.broken = g.broken || err != nil
	return strings.TrimSpace(string(out)), err
}

// push lets the branch go on to a commit. It is refused where the branch is elsewhere by now: nothing is forced.
func (g *git) push(ctx context.Context, commit, branch string) error {
	_, err := g.elsewhere(ctx, "push", "--quiet", "--no-verify", "--", g.url.String(), commit+":refs/heads/"+branch)
	return err
}

func (g *git) point(ctx context.Context, ref, commit string) error {
	_, err := g.output(ctx, nil, "update-ref", ref, commit)
	return err
}

// sound has git read all of the copy.
func (g *git) sound(ctx context.Context) error {
	_, err := g.output(ctx, nil, "fsck", "--no-dangling", "--no-progress")
	return err
}

// files is how many files with objects the copy has.
func (g *git) files(ctx context.Context) (int, error) {
	out, err := g.output(ctx, nil, "count-objects")
	if err != nil {
		return 0, err
	}
	count, _, _ := strings.Cut(string(out), " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return 0, fmt.Errorf("git count-objects: %q is no number", fault.Clip(count))
	}
	return n, nil
}

// shrink drops from the copy what is of older commits than the last.
func (g *git) shrink(ctx context.Context, branch string) error {
	if err := g.fetch(ctx, branch, 1); err != nil {
		return err
	}
	_, err := g.output(ctx, nil, "gc", "--quiet", "--prune=now")
	return err
}
