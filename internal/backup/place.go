package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Place is where backups are: in a directory, or in a bucket of a store that speaks S3.
type Place struct {
	Name   string // a directory, or s3://BUCKET/PREFIX
	Access Access // to the bucket
}

// InBucket says that the place is no directory.
func (p Place) InBucket() bool { return strings.HasPrefix(p.Name, bucketScheme) }

// Names at a place.
const (
	formatFile = "FORMAT"
	lockFile   = "lock"
	contentDir = "content"
	backupsDir = "backups"
)

const format = "dalamb backup format 1\n"

// storage is what a place is made of. Names in it have slashes.
type storage interface {
	fmt.Stringer // the place, as a person names it

	// read gives what is there by a name. The error is fs.ErrNotExist where nothing is.
	read(ctx context.Context, name string) (io.ReadCloser, error)

	// names are those below a directory, without it, in no order.
	names(ctx context.Context, dir string) iter.Seq2[string, error]

	// begin keeps the place for one writer until that is closed, and removes what an interrupted one left. Where fresh, it makes the place first: what holds
	// something is refused. What is done with the place then is done under the context that it returns, which ends when the place is no longer kept.
	begin(ctx context.Context, fresh bool) (context.Context, writer, error)
}

// writer changes a place.
type writer interface {
	// content stores, by its digest, what a file on this machine holds, unless has says that it is there. The error is errGone where the file is not.
	content(ctx context.Context, path string, has func(digest string) bool) (stored, error)

	// list makes everything that was stored durable, and then a text, whole or not at all. It returns an error, and leaves no text, where another may have
	// written to the place meanwhile.
	list(ctx context.Context, name string, text []byte) error

	// remove removes what is there by a name.
	remove(ctx context.Context, name string) error

	close(ctx context.Context) error
}

// stored is what became of a file.
type stored struct {
	size   int64 // of what the file holds
	digest string
	added  int64 // bytes; 0 = it was there
}

// errGone says that a file of the data directory is no longer there.
var errGone = errors.New("the file is gone")

// plainScheme is what stands before the colon of a URL: RFC 3986, section 3.1.
var plainScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

// open opens a place. Who writes has it alone, and makes it when it is not there.
func open(ctx context.Context, p Place, write bool) (context.Context, *store, error) {
	if p.Name == "" {
		return ctx, nil, fault.New(fault.Invalid, "a place of backups needs a name").WithHint("name a directory, or s3://BUCKET/PREFIX")
	}
	if scheme, _, is := strings.Cut(p.Name, ":/"); is && !p.InBucket() && plainScheme.MatchString(scheme) { // s3:/x, S3://x, https://x: a directory of that name is nobody's wish
		return ctx, nil, fault.New(fault.Invalid, "%q is no place of backups", fault.Clip(p.Name)).
			WithHint("write s3://BUCKET/PREFIX, with --endpoint URL where the store is not Amazon's; or ./%s for a directory of that name", fault.Clip(p.Name))
	}
	var at storage = directory(p.Name)
	if p.InBucket() {
		b, err := openBucket(ctx, p)
		if err != nil {
			return ctx, nil, err
		}
		at = b
	}
	s := &store{at: at}
	text, err := s.read(ctx, formatFile, 4096)
	fresh := errors.Is(err, fs.ErrNotExist)
	switch {
	case fresh && !write:
		return ctx, nil, fault.New(fault.NotFound, "there are no backups in %s", at).WithHint("dalamb backup --to %s takes one", at)
	case err != nil && !fresh && fault.KindOf(err) == fault.Internal:
		return ctx, nil, fault.New(fault.Unavailable, "the backups in %s cannot be read: %w", at, err)
	case err != nil && !fresh:
		return ctx, nil, err
	case !fresh && string(text) != format:
		return ctx, nil, fault.New(fault.Conflict, "%s holds backups of another format: %q, this dalamb reads %q", at, fault.Clip(strings.TrimSpace(string(text))), strings.TrimSpace(format)).
			WithHint("use the dalamb that wrote it, or another place; nothing was changed")
	}
	if write {
		if ctx, s.writer, err = at.begin(ctx, fresh); err != nil {
			return ctx, nil, err
		}
	}
	return ctx, s, nil
}
