package audit

import (
	"bytes"
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

// outside is the file of checkpoints that somebody else looks after.
type outside struct {
	path string
	next int64 // the offset in the topic of checkpoints of the first one that may not be in the file
	torn bool  // the file ends in the middle of a line
}

// look says which checkpoint the file ends with: none in a file that is empty or not there.
func (o *outside) look(key note.Verifier) (*Signed, error) {
	info, err := os.Stat(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() { // to open a pipe may wait for ever
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

// add writes checkpoints to the end of the file, durably. The file is opened each time: it may lie on another machine, and be put elsewhere.
func (o *outside) add(signed []byte) error {
	if len(signed) == 0 {
		return nil
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
