package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/fault"
)

// outsideTail is how much of the file outside is read to find what it ends with.
const outsideTail = 4 << 20

// pieces are the signed checkpoints in a file, one after another. A piece that ends early because its writer was killed is left out where the whole one
// follows it.
func pieces(text []byte) [][]byte {
	begin := []byte(checkpointKind + "\n")
	var all [][]byte
	for len(text) > 0 {
		end := len(text)
		if i := bytes.Index(text[1:], append([]byte("\n"), begin...)); i >= 0 {
			end = i + 2
		}
		piece := text[:end]
		text = text[end:]
		if len(all) > 0 && torn(all[len(all)-1], piece) {
			all = all[:len(all)-1]
		}
		all = append(all, piece)
	}
	return all
}

// torn says whether piece is the beginning of what follows it. The line end that closes it is the next writer's.
func torn(piece, next []byte) bool {
	return bytes.HasPrefix(next, bytes.TrimSuffix(piece, []byte("\n"))) && !bytes.Equal(piece, next)
}

// file is the Place that is one file.
type file struct {
	path string
	torn bool // it ends in the middle of a line
}

// File is the file at a path as a Place. It is refused among what it is to be compared with: in the data directory, which has the audit's directory dir.
func File(path, dir string) (Place, error) {
	if err := Apart(path, dir); err != nil {
		return nil, err
	}
	return &file{path: path}, nil
}

// Apart refuses a place among what it is to be compared with.
func Apart(place, dir string) error {
	rel, err := filepath.Rel(filepath.Dir(dir), place)
	if err == nil && filepath.IsLocal(rel) {
		return fault.New(fault.Invalid, "%s is in the data directory, where who changes the log can change it too", place).
			WithHint("name a place elsewhere, best one that this node can only add to")
	}
	return nil
}

func (o *file) String() string { return o.path }

// Last is Place's: none in a file that is empty or not there.
func (o *file) Last(_ context.Context, key note.Verifier) (*Signed, error) {
	info, err := os.Stat(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, fault.New(fault.Conflict, "%s is no regular file", o.path).WithHint("name another file by audit.checkpoints")
	}
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints outside: %w", err)
	}
	f, err := os.Open(o.path)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints outside: %w", err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints outside: %w", err)
	}
	text := make([]byte, min(size, outsideTail))
	if _, err := f.ReadAt(text, size-int64(len(text))); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the checkpoints outside: %w", err)
	}
	o.torn = len(text) > 0 && text[len(text)-1] != '\n'
	if len(text) == 0 {
		return nil, nil
	}
	all := pieces(text)
	last, err := openCheckpoint(all[len(all)-1], key)
	if err != nil && o.torn && len(all) > 1 {
		last, err = openCheckpoint(all[len(all)-2], key)
	}
	if err != nil && o.torn && len(all) == 1 {
		return nil, nil // the first of all was not written whole
	}
	if err != nil {
		return nil, fault.New(fault.Conflict, "the last checkpoint in %s %w", o.path, err).WithHint("name another file by audit.checkpoints, or restore this one")
	}
	return last, nil
}

// Add is Place's. The file is opened each time: it may lie on another machine, and be put elsewhere.
func (o *file) Add(_ context.Context, _ note.Verifier, add []*Signed) error {
	var signed []byte
	for _, c := range add {
		signed = append(signed, c.raw...)
	}
	_, missing := os.Stat(o.path)
	f, err := os.OpenFile(o.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if o.torn {
		signed = append([]byte("\n"), signed...)
	}
	n, err := f.Write(signed)
	if n > 0 && n < len(signed) {
		o.torn = signed[n-1] != '\n'
	} else if err == nil {
		o.torn = false
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil && missing != nil {
		err = syncPath(filepath.Dir(o.path))
	}
	return err
}

// syncPath makes what is in a file, or the names in a directory, durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
