package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/klauspost/compress/zstd"

	"github.com/dalamb/dalamb/internal/fault"
)

// maxWindow bounds what is kept in memory to decompress content, which may be anybody's. What is written here takes 4 MiB.
const maxWindow = 64 << 20

// store is a place of backups that is open.
type store struct {
	at     storage
	writer writer          // nil = it is only read
	known  map[string]bool // digests of the content that is there; see learn
	added  int64           // bytes
}

func contentName(digest string) string { return path.Join(contentDir, digest[:2], digest) }

// read gives a text, which is an error where it is longer than most.
func (s *store) read(ctx context.Context, name string, most int64) ([]byte, error) {
	in, err := s.at.read(ctx, name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s in %s: %w", name, s.at, err)
	}
	if int64(len(text)) > most {
		return nil, fault.New(fault.Invalid, "%s in %s is longer than %d bytes: no dalamb wrote that", name, s.at, most)
	}
	return text, nil
}

// learn looks which content is there.
func (s *store) learn(ctx context.Context) error {
	s.known = map[string]bool{}
	for name, err := range s.at.names(ctx, contentDir) {
		if err != nil {
			return fmt.Errorf("look what is stored already: %w", err)
		}
		if digest := path.Base(name); len(digest) == 2*sha256.Size && contentName(digest) == contentDir+"/"+name { // else it is not where it would be read
			s.known[digest] = true
		}
	}
	return nil
}

// add takes an entry of a data directory. before is what an earlier backup has of it, or zero.
func (s *store) add(ctx context.Context, name, path string, info fs.FileInfo, before File) (f File, err error) {
	f = File{Path: name, Mode: info.Mode() & (fs.ModePerm | fs.ModeType), Modified: info.ModTime().UTC()}
	switch {
	case info.IsDir():
		return f, nil
	case info.Mode()&fs.ModeSymlink != 0:
		f.Target, err = os.Readlink(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = errGone
		}
		return f, err
	}
	if before.Digest != "" && before.Size == info.Size() && before.Modified.Equal(f.Modified) && s.known[before.Digest] {
		f.Size, f.Digest = before.Size, before.Digest
		return f, nil
	}
	is, err := s.writer.content(ctx, path, func(digest string) bool { return s.known[digest] })
	if err != nil {
		return f, err
	}
	f.Size, f.Digest = is.size, is.digest
	s.known[is.digest] = true
	s.added += is.added
	return f, nil
}

// get writes what a file held, and says whether it is that.
func (s *store) get(ctx context.Context, w io.Writer, f File) error {
	in, err := s.at.read(ctx, contentName(f.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Invalid, "its content %s is missing", f.Digest)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer d.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(d, f.Size+1))
	if err != nil {
		if away(err) {
			return err
		}
		return fault.New(fault.Invalid, "its content %s cannot be read: %w", f.Digest, err)
	}
	if n != f.Size || hex.EncodeToString(h.Sum(nil)) != f.Digest {
		return fault.New(fault.Invalid, "its content is not what its digest %s says", f.Digest)
	}
	return nil
}

// away says of an error that it is about the way to what is stored, and says nothing of that.
func away(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Denied, fault.Timeout:
		return true
	}
	return false
}

func (s *store) check(ctx context.Context, f File) error { return s.get(ctx, io.Discard, f) }

// close is called where the place was opened to be written to, however that ended: the context may be over.
func (s *store) close(ctx context.Context) error { return s.writer.close(context.WithoutCancel(ctx)) }
