package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// static answers with files of a function's code; no instance is needed. It opens nothing outside of its directory, whatever links are in there, no
// hidden file, and lists nothing.
type static struct {
	g        *Gateway
	function string
	rest     string // the parameter of the path that names the file
	rule     *function.Static
	tags     *otter.Cache[codeFile, string]
}

// codeFile is a file, which does not change: of the code with a digest.
type codeFile struct{ code, name string }

// Bounds of what it takes to tell a client that it has a file already.
const (
	maxTags   = 10_000
	maxHashed = 16 << 20 // bytes of a file whose tag is that of its content; that of a longer one is that of the code
)

func newStatic(t *catalog.Trigger, g *Gateway) *static {
	return &static{
		g: g, function: t.Function, rest: t.Route.Rest(), rule: t.Route.Static,
		tags: otter.Must(&otter.Options[codeFile, string]{MaximumSize: maxTags}),
	}
}

func (s *static) answer(x *exchange, c *Call) error {
	r := c.Request
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.g.methodNotAllowed(x, r, "GET, HEAD")
		return nil
	}
	asked := r.PathValue(s.rest)
	found, err := s.find(asked)
	if err != nil {
		return err
	}
	defer found.Close()
	h := x.Header()
	if found.isDir { // a page's links are relative to where it is
		h.Set("Location", r.URL.EscapedPath()+"/"+asWritten(r))
		x.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	tag, err := s.tag(found)
	if err != nil {
		return err
	}
	h.Set("Etag", `"`+tag+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	if s.rule.CacheControl != "" && path.Base(found.name) != s.rule.IndexFile() {
		h.Set("Cache-Control", s.rule.CacheControl)
	}
	http.ServeContent(&paced{x}, r, found.name, time.Time{}, found.File)
	return nil
}

// asWritten is the query of a request as it stands in the URL.
func asWritten(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}

// foundFile is one that was asked for. isDir: it is a directory with an index.
type foundFile struct {
	*os.File
	codeFile
	isDir bool
}

// find opens the file for the rest of a path. While the alias has several versions, what the primary lacks may be another one's: a page of the one
// asks for its own files.
func (s *static) find(asked string) (*foundFile, error) {
	view := s.g.catalog.View()
	live, err := view.Alias(s.function, function.LiveAlias)
	if err != nil {
		return nil, err
	}
	names := []string{asked}
	if last := path.Base(asked); s.rule.SPA && !strings.Contains(last, ".") {
		names = append(names, "")
	}
	for _, name := range names {
		for _, number := range live.Versions() {
			v, err := view.VersionNumber(s.function, number)
			if err != nil {
				return nil, err
			}
			if f, err := s.open(v, name); f != nil || err != nil {
				return f, err
			}
		}
	}
	return nil, fault.New(fault.NotFound, "there is no file %q", fault.Clip(asked))
}

// open opens a file of a version; nil = it has none that may be read.
func (s *static) open(v *function.Version, name string) (_ *foundFile, err error) {
	dir := name == "" || strings.HasSuffix(name, "/")
	name = strings.TrimSuffix(name, "/")
	if name == "" {
		name = "."
	}
	if name != "." && hidden(name) || !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
		return nil, nil
	}
	code, err := s.g.code(v.Code)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the files of %s are not on this node", s.function).WithHint("send it again in a moment: they are fetched from another node")
	}
	top, err := os.OpenRoot(code)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	root, err := top.OpenRoot(s.rule.Dir)
	if err != nil {
		return nil, notThere(err)
	}
	defer root.Close()
	if dir {
		name = path.Join(name, s.rule.IndexFile())
	}
	isDir, err := readable(root, name)
	if err == nil && isDir {
		name = path.Join(name, s.rule.IndexFile())
		var again bool
		if again, err = readable(root, name); again {
			return nil, nil
		}
	}
	if err != nil {
		return nil, notThere(err)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, notThere(err)
	}
	return &foundFile{f, codeFile{v.Code, name}, isDir}, nil
}

// errNoFile is what is neither a file nor a directory.
var errNoFile = errors.New("no regular file")

// readable says whether there is a file, or a directory. Anything else must not even be opened.
func readable(root *os.Root, name string) (isDir bool, err error) {
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return false, err
	case info.IsDir():
		return true, nil
	case !info.Mode().IsRegular():
		return false, errNoFile
	}
	return false, nil
}

// notThere keeps an error that is the node's own. What is not there, what is longer than a name can be and what leads out of the directory is no error.
func notThere(err error) error {
	errno, is := errors.AsType[syscall.Errno](err)
	if !is || slices.Contains([]syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG}, errno) {
		return nil
	}
	return err
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.Contains(name, "/.") }

// tag is what tells one content of a file from another.
func (s *static) tag(f *foundFile) (string, error) {
	if tag, ok := s.tags.GetIfPresent(f.codeFile); ok {
		return tag, nil
	}
	hash := sha256.New()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Size() > maxHashed {
		_, _ = io.WriteString(hash, f.code+"\x00"+f.name) // a hash takes everything
	} else if _, err := io.Copy(hash, f); err != nil {
		return "", err
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	tag := hex.EncodeToString(hash.Sum(nil)[:16])
	s.tags.Set(f.codeFile, tag)
	return tag, nil
}

// paced gives each piece of an answer the time of a whole one: a client may be slow, but not stand still.
type paced struct{ *exchange }

func (p *paced) Write(b []byte) (int, error) {
	_ = http.NewResponseController(p.exchange).SetWriteDeadline(time.Now().Add(p.slow)) // what cannot have deadlines is not slow
	return p.exchange.Write(b)
}
