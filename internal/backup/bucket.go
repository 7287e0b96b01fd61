package backup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/dalamb/dalamb/internal/fault"
)

const bucketScheme = "s3://"

// bucket is a place in a store that speaks S3: the objects behind a prefix. It asks for nothing but GET, PUT and DELETE of objects, lists, and uploads in parts.
type bucket struct {
	store    minio.Core
	endpoint string
	name     string
	prefix   string        // "" or ends with a slash
	lease    time.Duration // how long a lock counts after it was last renewed
}

// properName is what Amazon S3 takes as the name of a bucket; nothing in it changes an address.
var properName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// maxPrefix leaves room for the names of content: those of objects have at most 1024 bytes.
const maxPrefix = 512

// parseBucket reads s3://BUCKET/PREFIX.
func parseBucket(place string) (name, prefix string, err error) {
	rest := strings.TrimPrefix(place, bucketScheme)
	name, prefix, _ = strings.Cut(rest, "/")
	if !properName.MatchString(name) || strings.Contains(name, "..") {
		return "", "", fault.New(fault.Invalid, "%q names no bucket: %q is no name of one", fault.Clip(place), fault.Clip(name)).WithHint("write s3://BUCKET/PREFIX")
	}
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return name, "", nil
	}
	// What some stores keep as files must not lead elsewhere there.
	odd := strings.ContainsFunc(prefix, func(r rune) bool { return unicode.IsControl(r) || r == '\\' })
	for _, part := range strings.Split(prefix, "/") {
		odd = odd || part == "" || part == "." || part == ".."
	}
	if odd || len(prefix) > maxPrefix || !utf8.ValidString(prefix) {
		return "", "", fault.New(fault.Invalid, "%q is no prefix of objects", fault.Clip(prefix)).
			WithHint("write s3://BUCKET/PREFIX with a prefix of at most %d bytes, such as backups/shop", maxPrefix)
	}
	return name, prefix + "/", nil
}

func (b *bucket) String() string { return bucketScheme + strings.TrimSuffix(b.name+"/"+b.prefix, "/") }

func (b *bucket) key(name string) string { return b.prefix + name }

// get asks for an object from a byte on. What comes of it may end early.
func (b *bucket) get(ctx context.Context, name string, from int64, etag string) (io.ReadCloser, minio.ObjectInfo, http.Header, error) {
	var o minio.GetObjectOptions
	if from > 0 {
		if err := errors.Join(o.SetRange(from, 0), o.SetMatchETag(etag)); err != nil {
			return nil, minio.ObjectInfo{}, nil, err
		}
	}
	body, info, header, err := b.store.GetObject(ctx, b.name, b.key(name), o)
	if err != nil && minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, info, nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, info, nil, b.refused("read "+name, err)
	}
	return body, info, header, nil
}

func (b *bucket) names(ctx context.Context, dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		top := b.key(dir) + "/"
		for o := range b.store.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: top, Recursive: true, FetchOwner: new(bool)}) {
			if o.Err != nil {
				yield("", b.refused("list "+dir, o.Err))
				return
			}
			if name, ok := strings.CutPrefix(o.Key, top); ok && !yield(name, nil) {
				return
			}
		}
	}
}

// empty says whether there is nothing at the place.
func (b *bucket) empty(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range b.store.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix, Recursive: true, MaxKeys: 1, FetchOwner: new(bool)}) {
		if o.Err != nil {
			return false, b.refused("list", o.Err)
		}
		return false, nil
	}
	return true, nil
}
