package ship

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/dalamb/dalamb/internal/durable"
)

// FileOptions of NewFile. Path is required.
type FileOptions struct {
	Path string
	Text bool          // plain lines in the place of JSON
	Size int64         // begun anew when it would be longer; 0 = never
	Age  time.Duration // begun anew when its first line is so old; 0 = never
	Keep int           // older files that stay beside it
	Gzip bool          // of the older ones
	Now  func() time.Time
}

// File is a file that is begun anew now and then. What it was before is beside it, as PATH.TIME or PATH.TIME.gz.
type File struct {
	o    FileOptions
	turn chan struct{} // has a value while somebody writes

	// Of who has the turn.
	file *os.File // nil = not open
	size int64
	born time.Time
}

// NewFile opens nothing.
func NewFile(o FileOptions) *File {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &File{o: o, turn: make(chan struct{}, 1)}
}

const (
	oldForm   = "20060102T150405.000" // of the time in an older file's name: as text they are in the order of their times
	gzipped   = ".gz"
	shipMode  = 0o640 // who may read the group's logs may read functions'
	firstLine = 512   // bytes of a file's first line in which its time is looked for
)

// Send returns when the lines are on the disk.
func (f *File) Send(ctx context.Context, lines []Line) error {
	b, err := written(lines, f.o.Text)
	if err != nil {
		return err
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.turn }()
	if err := f.write(b); err != nil {
		f.shut()
		return fmt.Errorf("write log lines to %s: %w", f.o.Path, err)
	}
	return nil
}

func (f *File) write(b []byte) error {
	if err := f.open(); err != nil {
		return err
	}
	old := f.o.Age > 0 && f.o.Now().Sub(f.born) >= f.o.Age
	if f.size > 0 && (old || f.o.Size > 0 && f.size+int64(len(b)) > f.o.Size) {
		if err := f.renew(); err != nil {
			return err
		}
	}
	n, err := f.file.Write(b)
	if f.size += int64(n); err != nil {
		// A line that is cut would be a broken one for whoever reads on; it comes again, whole.
		return errors.Join(err, f.file.Truncate(f.size-int64(n)))
	}
	return f.file.Sync()
}

// open opens the file, unless it is open and still the one of that name: who moves it away gets a new one.
func (f *File) open() error {
	if f.file != nil {
		is, err := f.file.Stat()
		if err != nil {
			return err
		}
		if at, err := os.Stat(f.o.Path); err == nil && os.SameFile(is, at) {
			f.size = is.Size()
			return nil
		}
		f.shut()
	}
	file, err := os.OpenFile(f.o.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, shipMode)
	if err != nil {
		return err
	}
	is, err := file.Stat()
	if err == nil && !is.Mode().IsRegular() {
		err = errors.New("is no regular file")
	}
	if err != nil {
		file.Close()
		return err
	}
	f.file, f.size, f.born = file, is.Size(), f.o.Now()
	if f.size > 0 {
		f.born = bornAt(file, is.ModTime())
	}
	return f.tidy() // a node that was killed may have left something
}

// bornAt is the time of a file's first line; what is not dalamb's is as old as its last change.
func bornAt(file *os.File, changed time.Time) time.Time {
	head := make([]byte, firstLine)
	n, _ := file.ReadAt(head, 0) // what cannot be read says nothing
	var line struct{ Time time.Time }
	text := string(head[:n])
	if first, _, whole := strings.Cut(text, "\n"); whole && json.Unmarshal([]byte(first), &line) == nil && !line.Time.IsZero() {
		return line.Time
	}
	if _, rest, ok := strings.Cut(text, `"time":"`); ok {
		stamp, _, _ := strings.Cut(rest, `"`)
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			return at
		}
	}
	if word, _, ok := strings.Cut(text, " "); ok {
		if at, err := time.Parse(time.RFC3339Nano, word); err == nil {
			return at
		}
	}
	return changed
}

func (f *File) shut() {
	if f.file != nil {
		f.file.Close() // what was acknowledged is synced
		f.file = nil
	}
}

// renew moves the file aside and begins another one.
func (f *File) renew() error {
	f.shut()
	aside := f.o.Path + "." + f.o.Now().UTC().Format(oldForm)
	for _, err := os.Lstat(aside); err == nil; _, err = os.Lstat(aside) {
		aside += "x" // another one of the same millisecond
	}
	if err := os.Rename(f.o.Path, aside); err != nil {
		return err
	}
	return f.open()
}

// tidy packs the older files and removes those that are too many.
func (f *File) tidy() error {
	old, err := f.older()
	if err != nil {
		return err
	}
	for len(old) > f.o.Keep {
		if err := os.Remove(old[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		old = old[1:]
	}
	for _, path := range old {
		if f.o.Gzip && !strings.HasSuffix(path, gzipped) {
			if err := pack(path); err != nil {
				return fmt.Errorf("pack %s: %w", path, err)
			}
		}
	}
	return nil
}

// older are the files that were moved aside, the oldest first.
func (f *File) older() ([]string, error) {
	dir, base := filepath.Split(f.o.Path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		rest, mine := strings.CutPrefix(e.Name(), base+".")
		rest = strings.TrimRight(strings.TrimSuffix(rest, gzipped), "x")
		if _, err := time.Parse(oldForm, rest); mine && err == nil && e.Type().IsRegular() {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(all)
	return all, nil
}

// pack replaces a file by what gzip makes of it. Whatever ends the program, one of the two is whole; what it left half is written anew.
func pack(path string) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	half := path + gzipped + ".part"
	out, err := os.OpenFile(half, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, shipMode)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if err = errors.Join(err, z.Close(), out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(half, path+gzipped); err != nil {
		return err
	}
	if err := durable.Sync(filepath.Dir(path)); err != nil {
		return err
	}
	return os.Remove(path)
}

// Check says whether the file can be written to. It makes the file where it is not there, as Send would.
func (f *File) Check(context.Context) error {
	file, err := os.OpenFile(f.o.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, shipMode)
	if err != nil {
		return err
	}
	return file.Close()
}

// Close closes the file.
func (f *File) Close() error {
	f.shut()
	return nil
}
