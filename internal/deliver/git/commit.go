package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/fault"
)

// objects reads a repository's objects, those of a push that is not accepted yet included.
type objects struct {
	program    program
	dir        string
	quarantine string // "" = none
}

// command is a git that reads this repository.
func (o objects) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := o.program.command(ctx, append([]string{"--git-dir=" + o.dir}, args...)...)
	if o.quarantine != "" {
		cmd.Env = append(cmd.Env, "GIT_OBJECT_DIRECTORY="+o.quarantine, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+quote(filepath.Join(o.dir, "objects")))
	}
	return cmd
}

// commit is what is told of a commit.
type commit struct {
	ID      string    `json:"id"`
	Author  string    `json:"author"` // as it says itself
	Subject string    `json:"subject"`
	Time    time.Time `json:"time"` // as the author says
}

// short is enough of a commit's id for a person.
func short(id string) string { return id[:min(12, len(id))] }

// maxCommit is how much of a commit is read: what is told of it stands at its beginning, and a message has no bound.
const maxCommit = 1 << 20

// commit reads a commit.
func (o objects) commit(ctx context.Context, id string) (commit, error) {
	text := &head{most: maxCommit}
	if err := o.program.runInto(text, o.command(ctx, "cat-file", "commit", id)); err != nil {
		return commit{}, err
	}
	return parseCommit(id, text.text), nil
}

// parseCommit takes what it finds: git has checked the object's form, but not that anybody can read it.
func parseCommit(id string, text []byte) commit {
	c := commit{ID: id}
	header, message, _ := bytes.Cut(text, []byte("\n\n"))
	subject, _, _ := bytes.Cut(bytes.TrimLeft(message, "\n"), []byte("\n"))
	c.Subject = oneLine(string(subject))
	for line := range strings.Lines(string(header)) {
		author, ok := strings.CutPrefix(line, "author ")
		if !ok {
			continue
		}
		name, when, _ := strings.Cut(author, "> ")
		c.Author = oneLine(name + ">")
		seconds, _, _ := strings.Cut(strings.TrimSpace(when), " ")
		if s, err := strconv.ParseInt(seconds, 10, 64); err == nil && s >= 0 && s < 1<<37 {
			c.Time = time.Unix(s, 0).UTC()
		}
		break
	}
	return c
}

// maxWord bounds what a stranger wrote and a terminal shows.
const maxWord = 200

// oneLine makes a text safe to show and to keep.
func oneLine(s string) string {
	if len(s) > maxWord {
		s = s[:maxWord] + "…"
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// file is an entry of a commit.
type file struct {
	path string // with slashes, below the top
	mode string // as git writes it
	id   string
	size int64 // of a blob
}

// Modes of files. // gitformat-index(5)
const (
	modeFile      = "100644"
	modeGroupFile = "100664" // from very old versions of git
	modeProgram   = "100755"
	modeLink      = "120000"
	modeSubmodule = "160000"
	maxPath       = 4096
)

// files lists all files of a commit.
func (o objects) files(ctx context.Context, id string) ([]file, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	cmd := o.command(ctx, "ls-tree", "-r", "-z", "--long", "--full-tree", id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("list commit %s: %w", id, err)
	}
	said := &head{most: maxWords}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("list commit %s: %w", id, err)
	}
	list, listErr := readFiles(out)
	refused := listErr != nil && !errors.Is(listErr, io.EOF)
	if refused {
		end() // a tree in itself, again and again, is listed for ever
	}
	_, _ = io.Copy(io.Discard, out) // so that git ends
	if err := cmd.Wait(); err != nil && !refused {
		return nil, saidBy(cmd, said, err)
	}
	return list, listErr
}

// readFiles reads the form of ls-tree: MODE TYPE ID SIZE<tab>PATH<zero byte>. // git-ls-tree(1), "Output Format"
func readFiles(r io.Reader) ([]file, error) {
	in := bufio.NewReaderSize(r, maxPath+256)
	var list []file
	paths := 0 // bytes
	for {
		line, err := in.ReadSlice(0)
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return list, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fault.New(fault.Invalid, "%q...: its path is longer than %d bytes", fault.Clip(string(line)), maxPath).WithHint("rename it")
		case err != nil:
			return nil, fmt.Errorf("list a commit: %w", err)
		case len(list) == maxFiles:
			return nil, fault.New(fault.TooLarge, "the commit has more than %d files", maxFiles).WithHint("deliver from a smaller repository")
		}
		what, path, ok := strings.Cut(string(line[:len(line)-1]), "\t")
		words := strings.Fields(what)
		if !ok || len(words) != 4 {
			return nil, fmt.Errorf("list a commit: git says %q", line)
		}
		if paths += len(path); paths > maxPaths {
			return nil, fault.New(fault.TooLarge, "the paths of the commit's files have more than %d MiB", maxPaths>>20).WithHint("deliver from a smaller repository")
		}
		f := file{path: path, mode: words[0], id: words[2]}
		if words[3] != "-" {
			if f.size, err = strconv.ParseInt(words[3], 10, 64); err != nil || f.size < 0 {
				return nil, fmt.Errorf("list a commit: git says %q", line)
			}
		}
		list = append(list, f)
	}
}

// blobs reads the content of files, one after another, from one git.
type blobs struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (o objects) blobs(ctx context.Context) (*blobs, error) {
	b := &blobs{cmd: o.command(ctx, "cat-file", "--batch")}
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		b.in, err = b.cmd.StdinPipe()
	}
	if err == nil {
		err = b.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("read files of a commit: %w", err)
	}
	b.out = bufio.NewReaderSize(out, 64<<10)
	return b, nil
}

func (b *blobs) close() {
	b.in.Close()
	_, _ = io.Copy(io.Discard, b.out) // so that git ends
	_ = b.cmd.Wait()                  // what it did wrong was seen by who read
}

// copy writes the content of a file to w.
func (b *blobs) copy(w io.Writer, f file) error {
	if _, err := io.WriteString(b.in, f.id+"\n"); err != nil {
		return fmt.Errorf("read %q of a commit: %w", f.path, err)
	}
	line, err := b.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read %q of a commit: %w", f.path, err)
	}
	if want := fmt.Sprintf("%s blob %d\n", f.id, f.size); line != want {
		return fault.New(fault.Invalid, "%q cannot be read: git says %q", f.path, strings.TrimSpace(line)).WithHint("the push lacks an object; run git fsck where it comes from")
	}
	if _, err := io.CopyN(w, b.out, f.size); err != nil {
		return fmt.Errorf("read %q of a commit: %w", f.path, err)
	}
	if _, err := b.out.Discard(1); err != nil { // the newline behind it
		return fmt.Errorf("read %q of a commit: %w", f.path, err)
	}
	return nil
}
