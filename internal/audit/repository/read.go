package repository

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Read gives all checkpoints of a key that the branch has, one behind another; of the only key there is where none is named. It is for who verifies, and uses
// another Dir than the node.
func (r *Repository) Read(ctx context.Context, key string) ([]byte, error) {
	if _, err := r.git.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.git.fetch(ctx, r.branch, 1); err != nil {
		return nil, err
	}
	keys, err := r.git.names(ctx, tipRef+":", "")
	if err != nil {
		return nil, err
	}
	if key, err = only(keys, key, r.name); err != nil {
		return nil, err
	}
	list, err := r.git.output(ctx, nil, "ls-tree", "-r", "-z", tipRef+":"+key)
	if err != nil {
		return nil, err
	}
	var ids strings.Builder
	for line := range bytes.SplitSeq(list, []byte{0}) {
		if f := strings.Fields(string(line)); len(f) > 3 && f[1] == "blob" {
			fmt.Fprintln(&ids, f[2])
		}
	}
	out, err := r.git.output(ctx, []byte(ids.String()), "cat-file", "--batch", "--buffer")
	if err != nil {
		return nil, err
	}
	return contents(out)
}

// contents are those of the objects that git cat-file --batch printed, one behind another.
func contents(out []byte) ([]byte, error) {
	var all []byte
	for len(out) > 0 {
		head, rest, _ := bytes.Cut(out, []byte{'\n'})
		f := bytes.Fields(head)
		if len(f) != 3 {
			return nil, fmt.Errorf("git cat-file: %q is no head of an object", fault.Clip(string(head)))
		}
		n, err := strconv.Atoi(string(f[2]))
		if err != nil || n < 0 || n >= len(rest) {
			return nil, fmt.Errorf("git cat-file: %q is no head of an object", fault.Clip(string(head)))
		}
		all = append(all, rest[:n]...)
		out = rest[n+1:]
	}
	return all, nil
}

// ReadClone gives the same of the files of a clone.
func ReadClone(dir, key string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints: %w", err)
	}
	var keys []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			keys = append(keys, e.Name())
		}
	}
	if key, err = only(keys, key, dir); err != nil {
		return nil, err
	}
	var all []byte
	files := os.DirFS(dir)
	err = fs.WalkDir(files, key, func(at string, d fs.DirEntry, err error) error { // in the order of their names, which is that of their numbers
		if err != nil || !d.Type().IsRegular() || strings.Count(at, "/") != levels {
			return err
		}
		text, err := fs.ReadFile(files, path.Clean(at))
		all = append(all, text...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints: %w", err)
	}
	return all, nil
}

// only is the directory of a key, of those that there are.
func only(keys []string, key, place string) (string, error) {
	keys = append([]string(nil), keys...)
	n := 0
	for _, k := range keys {
		if strings.HasPrefix(k, "dalamb-") && (key == "" || k == key) {
			keys[n] = k
			n++
		}
	}
	switch {
	case n == 1:
		return keys[0], nil
	case n == 0 && key != "":
		return "", fault.New(fault.NotFound, "there are no checkpoints of the key %s in %s", key, place).WithHint("is it the branch that the node pushes to, and the key of that node?")
	case n == 0:
		return "", fault.New(fault.NotFound, "there are no checkpoints in %s", place).WithHint("is it the branch that the node pushes to?")
	}
	return "", fault.New(fault.Invalid, "%s has checkpoints of %d keys", place, n).WithHint("say by --key whose are to be compared")
}
