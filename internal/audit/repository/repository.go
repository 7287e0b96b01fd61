// Package repository brings an audit's checkpoints to a git repository on another machine: each time it is asked, a commit more with a file more, pushed and
// never forced. It does not say what a checkpoint is. Git is the machine's.
package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// Prefix is what the address of a repository begins with, so that it is not taken for a file.
const Prefix = "git+"

// DefaultBranch is pushed to where the address names no other behind a #.
const DefaultBranch = "main"

// Options of New. URL and Dir are required.
type Options struct {
	URL        string // git+https://HOST/PATH, git+ssh://USER@HOST/PATH or git+file:///PATH, with #BRANCH
	Dir        string // of the node's copy, which can be thrown away, and of the last commit that was pushed; made when it is not there
	Git        string // its path; "" = the machine has none
	Access     string // a file: over https with TOKEN or USER:TOKEN, over ssh with a private key; "" = nobody asks
	KnownHosts string // a file, over ssh: whom to believe; sshd(8)
}

// Repository is an audit.Place.
type Repository struct {
	git    git
	name   string // for people
	branch string
	dir    string

	tip     string        // the commit that the branch was at last; "" = not known
	last    *audit.Signed // the last checkpoint in it; nil = none
	refused string        // a commit that the branch was at, and one that was pushed and is not before it
	made    int           // commits since the start
}

var _ audit.Place = (*Repository)(nil)

var validBranch = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// Parse checks an address, and takes its branch from it.
func Parse(address string) (u *url.URL, branch string, err error) {
	u, err = url.Parse(strings.TrimPrefix(address, Prefix))
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "the address of the repository cannot be read") // never the text, which may have a password
	}
	branch = u.Fragment
	u.Fragment, u.RawFragment = "", ""
	if branch == "" {
		branch = DefaultBranch
	}
	_, password := u.User.Password()
	ip := net.ParseIP(u.Hostname())
	switch hint := "write git+https://HOST/PATH, git+ssh://USER@HOST/PATH or git+file:///PATH"; {
	case password || u.User != nil && u.Scheme != "ssh":
		return nil, "", fault.New(fault.Invalid, "the address of the repository has a user's name or a password in it").WithHint("put them into a file, and name that by audit.access")
	case u.Scheme != "https" && u.Scheme != "ssh" && u.Scheme != "file" && u.Scheme != "http":
		return nil, "", fault.New(fault.Invalid, "%q is no way to a repository", fault.Clip(u.Scheme)).WithHint("%s", hint)
	case u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()):
		return nil, "", fault.New(fault.Invalid, "by plain HTTP anybody on the way could answer for %s", u.Hostname()).WithHint("write git+https://")
	case u.Scheme == "file" && (u.Host != "" || !path.IsAbs(u.Path)), u.Scheme != "file" && (u.Host == "" || u.Path == "" || u.Path == "/"), u.RawQuery != "":
		return nil, "", fault.New(fault.Invalid, "%s names no repository", u).WithHint("%s", hint)
	case !validBranch.MatchString(branch) || strings.Contains(branch, "..") || strings.HasSuffix(branch, ".lock") || strings.HasSuffix(branch, "."):
		return nil, "", fault.New(fault.Invalid, "%q is no name of a branch", fault.Clip(branch))
	}
	return u, branch, nil
}

// New checks the options and starts nothing.
func New(o Options) (*Repository, error) {
	u, branch, err := Parse(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Git == "" {
		return nil, fault.New(fault.Unavailable, "this machine has no git, so checkpoints cannot be brought to %s", u.Redacted()).WithHint("install git, or name a file by audit.checkpoints")
	}
	if u.Scheme == "ssh" && (o.Access == "" || o.KnownHosts == "") {
		return nil, fault.New(fault.Invalid, "a repository by ssh needs a key, and whom to believe").WithHint("name the file of the key by audit.access, and one as ~/.ssh/known_hosts by audit.known-hosts")
	}
	return &Repository{
		git:  git{path: o.Git, home: filepath.Join(o.Dir, "home"), copy: filepath.Join(o.Dir, "copy.git"), url: u, access: o.Access, hosts: o.KnownHosts},
		name: Prefix + u.Redacted() + "#" + branch, branch: branch, dir: o.Dir,
	}, nil
}

func (r *Repository) String() string { return r.name }

// Local is the path of a repository of this machine; "" = it is elsewhere.
func (r *Repository) Local() string {
	if r.git.url.Scheme != "file" {
		return ""
	}
	return r.git.url.Path
}

// tipRef is where the copy has what the branch is at.
const tipRef = "refs/dalamb/tip"

// near is how many commits before the last are looked at first for the one that was pushed: those of other nodes since.
const near = 1000

// Last is audit.Place's. Conflict where the branch no longer has what this node has pushed to it. A copy that turns out broken is made anew.
func (r *Repository) Last(ctx context.Context, key note.Verifier) (*audit.Signed, error) {
	last, err := r.look(ctx, key)
	if err != nil && r.git.broken && ctx.Err() == nil && fault.KindOf(err) != fault.Denied {
		last, err = r.look(ctx, key)
	}
	return last, err
}

func (r *Repository) look(ctx context.Context, key note.Verifier) (*audit.Signed, error) {
	made, err := r.git.prepare(ctx)
	if err != nil {
		return nil, err
	}
	if made {
		r.tip = ""
	}
	tip, err := r.git.tip(ctx, r.branch)
	if err != nil {
		return nil, err
	}
	if tip != "" && tip == r.tip {
		return r.last, nil
	}
	pushed, err := r.pushed()
	if err != nil {
		return nil, err
	}
	if tip == "" && pushed != "" {
		return nil, r.rewritten(pushed, "the branch is gone")
	}
	r.tip, r.last = "", nil
	if tip == "" {
		return nil, nil
	}
	if r.refused == tip+" "+pushed {
		return nil, r.rewritten(pushed, "the branch is at "+tip+" now")
	}
	depth := 1
	if pushed != "" && pushed != tip {
		depth = near
	}
	tip, there, err := r.fetched(ctx, depth, pushed)
	if err == nil && !there { // the copy may not go back so far, or have lost it: nobody is blamed before all of what is there was looked at
		if err = r.git.remake(ctx); err == nil {
			tip, there, err = r.fetched(ctx, 0, pushed)
		}
	}
	if err != nil {
		return nil, err
	}
	if !there {
		r.refused = tip + " " + pushed
		return nil, r.rewritten(pushed, "the branch is at "+tip+" now")
	}
	last, err := r.lastIn(ctx, tip, key)
	if err != nil {
		return nil, err
	}
	r.tip, r.last = tip, last
	return last, nil
}

// fetched brings what the branch is at into the copy; it may have gone on. there says that it has the commit that was pushed.
func (r *Repository) fetched(ctx context.Context, depth int, pushed string) (tip string, there bool, err error) {
	if err = r.git.fetch(ctx, r.branch, depth); err != nil {
		return "", false, err
	}
	if tip, err = r.git.commit(ctx, tipRef); err != nil || pushed == "" || pushed == tip {
		return tip, true, err
	}
	there, err = r.git.holds(ctx, tip, pushed)
	return tip, there, err
}

func (r *Repository) rewritten(pushed, now string) error {
	return fault.New(fault.Conflict, "%s was rewritten: commit %s, which this node has pushed, is no longer in it; %s", r.name, pushed, now).
		WithHint("push that commit there again, or name another branch behind a # in audit.checkpoints; docs/audit.md")
}

// lastIn is the last checkpoint of a key in a commit: in the file with the highest number.
func (r *Repository) lastIn(ctx context.Context, commit string, key note.Verifier) (*audit.Signed, error) {
	at := commit + ":"
	names, err := r.git.names(ctx, at, key.Name())
	if err != nil || len(names) == 0 {
		return nil, err
	}
	at += key.Name()
	for range levels {
		if names, err = r.git.names(ctx, at, ""); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fault.New(fault.Conflict, "%s has an empty directory %s", r.name, at)
		}
		at += "/" + names[len(names)-1]
	}
	text, err := r.git.output(ctx, nil, "cat-file", "blob", at)
	if err != nil {
		return nil, err
	}
	last, err := audit.LastOf(text, key)
	if err != nil {
		return nil, fault.New(fault.Conflict, "the last checkpoint of %s in %s, %s, %w", key.Name(), r.name, at, err).WithHint("name another branch behind a # in audit.checkpoints, or mend this one by a commit")
	}
	return last, nil
}

// levels is how many names lead from the directory of a key to a file: each directory has a hundred at most, so that a commit has little that is new.
const levels = 4

// place is where the checkpoints from a number on stand, below the directory of their key.
func place(number int64) []string {
	name := fmt.Sprintf("%08d", number)
	n := len(name)
	return []string{name[:n-6], name[n-6 : n-4], name[n-4 : n-2], name}
}

// tries is how often a push is made anew that another one came before.
const tries = 3

// Add is audit.Place's: one commit.
func (r *Repository) Add(ctx context.Context, key note.Verifier, add []*audit.Signed) error {
	var text []byte
	for _, c := range add {
		text = append(text, c.Text()...)
	}
	first, last := add[0], add[len(add)-1]
	message := fmt.Sprintf("Checkpoint %d of %s", first.Number(), key.Name())
	if len(add) > 1 {
		message = fmt.Sprintf("Checkpoints %d to %d of %s", first.Number(), last.Number(), key.Name())
	}
	for try := 1; ; try++ {
		blob, err := r.git.id(ctx, text, "hash-object", "-w", "--stdin")
		if err != nil {
			return err
		}
		tree, err := r.git.with(ctx, r.tip, append([]string{key.Name()}, place(first.Number())...), blob)
		if err != nil {
			return err
		}
		commit, err := r.git.record(ctx, tree, r.tip, message)
		if err != nil {
			return err
		}
		err = r.git.push(ctx, commit, r.branch)
		if err == nil {
			r.tip, r.last = commit, last
			return r.pushedTo(ctx, commit)
		}
		before := r.tip
		now, lerr := r.Last(ctx, key)
		if lerr == nil && r.tip == before && fault.KindOf(err) != fault.Denied {
			lerr = r.git.sound(ctx) // nobody else has pushed
		}
		if lerr != nil || r.tip == before || try == tries || now != nil && now.Number() >= first.Number() {
			return errors.Join(lerr, err)
		}
	}
}

// pushedFile has the last commit that was pushed, and where.
const pushedFile = "pushed"

// pushed is the last commit that was pushed to the branch; "" = none.
func (r *Repository) pushed() (string, error) {
	text, err := os.ReadFile(filepath.Join(r.dir, pushedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read what was pushed last: %w", err)
	}
	commit, where, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
	if !ok || !validID.MatchString(commit) {
		return "", fault.New(fault.Conflict, "%s does not say which commit was pushed last", filepath.Join(r.dir, pushedFile)).WithHint("restore the file, or remove it if the repository is as it should be")
	}
	if where != r.name {
		return "", nil
	}
	return commit, nil
}

// small is how many files with objects the copy may have: those of some thousand commits. They are counted at the first commit of a process, and then after each
// hundred.
const (
	small   = 7000
	counted = 100
)

func (r *Repository) pushedTo(ctx context.Context, commit string) error {
	if err := durable.Replace(filepath.Join(r.dir, pushedFile), []byte(commit+" "+r.name+"\n")); err != nil {
		return fmt.Errorf("keep what was pushed last: %w", err)
	}
	if err := r.git.point(ctx, tipRef, commit); err != nil {
		return err
	}
	if r.made++; r.made%counted != 1 {
		return nil
	}
	files, err := r.git.files(ctx)
	if err == nil && files >= small {
		err = r.git.shrink(ctx, r.branch)
	}
	return err
}
