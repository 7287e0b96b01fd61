package backup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/klauspost/compress/zstd"
	"github.com/minio/minio-go/v7"

	"github.com/dalamb/dalamb/internal/fault"
)

const (
	// whole is the size, compressed, up to which content is sent at once. What is larger goes in parts of at least that size, one after another; the parts
	// of one upload are at most 10,000.
	whole    = 16 << 20
	maxParts = 9000 // compressed content can be a little longer than the file

	changes = 3 // how often a file that changes while it is read is read again
)

// bucketWriter holds the lease of a bucket's place.
type bucketWriter struct {
	at      *bucket
	lease   *lease
	encoder *zstd.Encoder
	buffer  bytes.Buffer // of content that is sent at once
}

func (b *bucket) begin(ctx context.Context, fresh bool) (context.Context, writer, error) {
	if fresh {
		if err := b.create(ctx); err != nil {
			return ctx, nil, err
		}
	}
	// Two writers are kept apart by writes that are refused: the store has to refuse one.
	switch _, err := b.put(ctx, formatFile, []byte(format), ""); {
	case err == nil:
		return ctx, nil, fault.New(fault.Invalid, "%s writes what it was told to write only if it is not there (If-None-Match): two backups at a time could destroy each other", b.endpoint).
			WithHint("use a store that knows conditional writes; docs/backup.md")
	case !errors.Is(err, errTaken):
		return ctx, nil, err
	}
	if err := b.heeds(ctx); err != nil {
		return ctx, nil, err
	}
	encoder, err := newEncoder()
	if err != nil {
		return ctx, nil, fmt.Errorf("prepare compression: %w", err)
	}
	ctx, held, err := b.take(ctx, self())
	if err != nil {
		return ctx, nil, err
	}
	w := &bucketWriter{at: b, lease: held, encoder: encoder}
	w.buffer.Grow(whole)
	if err := w.abort(ctx); err != nil {
		return ctx, nil, errors.Join(err, w.close(context.WithoutCancel(ctx)))
	}
	return ctx, w, nil
}

// self says for people who holds a place.
func self() string {
	host, _ := os.Hostname()
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return fmt.Sprintf("%s at %s, process %d", name, host, os.Getpid())
}

func (b *bucket) create(ctx context.Context) error {
	empty, err := b.empty(ctx)
	if err != nil {
		return err
	}
	if !empty {
		return fault.New(fault.Conflict, "%s holds something, and no backups of dalamb", b).WithHint("name another prefix: s3://%s/PREFIX", b.name)
	}
	if _, err := b.put(ctx, formatFile, []byte(format), ""); err != nil && !errors.Is(err, errTaken) { // taken: another has just done the same
		return err
	}
	return nil
}

// abort ends uploads that a killed backup left half: their parts cost, and no list shows them.
func (w *bucketWriter) abort(ctx context.Context) error {
	b := w.at
	for key, upload := "", ""; ; {
		found, err := b.store.ListMultipartUploads(ctx, b.name, b.key(contentDir)+"/", key, upload, "", 1000)
		if err != nil {
			return b.refused("list interrupted uploads", err)
		}
		for _, u := range found.Uploads {
			err := b.store.AbortMultipartUpload(ctx, b.name, u.Key, u.UploadID)
			if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload {
				return b.refused("end an interrupted upload", err)
			}
		}
		if key, upload = found.NextKeyMarker, found.NextUploadIDMarker; !found.IsTruncated || key == "" {
			return nil
		}
	}
}

// content needs the digest before it can name an object, and has no place of its own for what is large: a file whose content does not fit into the buffer is
// read once for its digest and, where that is not stored yet, again to be sent.
func (w *bucketWriter) content(ctx context.Context, path string, has func(digest string) bool) (is stored, err error) {
	for range changes {
		is, err = w.once(ctx, path, has)
		if !errors.Is(err, errChanged) {
			break
		}
	}
	return is, err
}

// errChanged says that a file was not what it had been a moment before.
var errChanged = errors.New("it changes while it is read")

func (w *bucketWriter) once(ctx context.Context, path string, has func(digest string) bool) (is stored, err error) {
	in, err := source(path)
	if err != nil {
		return is, err
	}
	defer in.Close()
	w.buffer.Reset()
	h := sha256.New()
	room := &bounded{w: &w.buffer, left: whole}
	w.encoder.Reset(room)
	is.size, err = io.Copy(io.MultiWriter(w.encoder, h), in)
	if err = errors.Join(err, w.encoder.Close()); err != nil {
		return is, fmt.Errorf("read %s: %w", path, err)
	}
	is.digest = hex.EncodeToString(h.Sum(nil))
	if has(is.digest) {
		return is, nil
	}
	name := contentName(is.digest)
	if !room.over {
		is.added = int64(w.buffer.Len())
		return is, w.send(ctx, name, bytes.NewReader(w.buffer.Bytes()), is.added, whole)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return is, fmt.Errorf("read %s again: %w", path, err)
	}
	is.added, err = w.sendParts(ctx, name, in, is)
	if err != nil {
		return is, fmt.Errorf("store %s: %w", path, err)
	}
	return is, nil
}

// sendParts compresses what is in a file into an object, which does not come to be where that is not what its digest says.
func (w *bucketWriter) sendParts(ctx context.Context, name string, in io.Reader, is stored) (sent int64, err error) {
	compressed, pipe := io.Pipe()
	counted := &counter{r: compressed}
	done := make(chan struct{})
	go func() { // ends with the file, or when send no longer reads; both are waited for below
		defer close(done)
		h := sha256.New()
		w.encoder.Reset(pipe)
		n, err := io.Copy(io.MultiWriter(w.encoder, h), in)
		err = errors.Join(err, w.encoder.Close())
		if err == nil && (n != is.size || hex.EncodeToString(h.Sum(nil)) != is.digest) {
			err = errChanged
		}
		pipe.CloseWithError(err)
	}()
	const mebibyte = 1 << 20
	part := max(whole, (is.size/maxParts/mebibyte+1)*mebibyte)
	err = w.send(ctx, name, counted, -1, part)
	compressed.CloseWithError(errors.New("it is no longer sent"))
	<-done
	return counted.n, err
}

// send makes an object of size bytes, -1 = as many as come: whole or not at all. An upload that fails is aborted by the library.
func (w *bucketWriter) send(ctx context.Context, name string, from io.Reader, size, part int64) error {
	_, err := w.at.store.Client.PutObject(ctx, w.at.name, w.at.key(name), from, size, minio.PutObjectOptions{SendContentMd5: true, PartSize: uint64(part)})
	switch {
	case errors.Is(err, errChanged):
		return errChanged
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return w.at.refused("write "+name, err)
	}
	return nil
}

// list writes the list, and then asks whether the place was held all the time: what was stored before may have been removed by another since.
func (w *bucketWriter) list(ctx context.Context, name string, text []byte) error {
	if err := w.lease.held(ctx, false); err != nil {
		return err
	}
	if err := w.send(ctx, name, bytes.NewReader(text), int64(len(text)), whole); err != nil {
		return err
	}
	if err := w.lease.held(ctx, true); err != nil {
		return errors.Join(err, w.delete(context.WithoutCancel(ctx), name))
	}
	return nil
}

// remove gives up long before the lease can be another's: a store that hangs, and the library that tries again for minutes, would remove what that one counts on.
func (w *bucketWriter) remove(ctx context.Context, name string) error {
	if err := w.lease.held(ctx, false); err != nil { // it was renewed within a quarter of its time
		return err
	}
	slow := fault.New(fault.Unavailable, "remove %s in %s: %s has not done so within %s", name, w.at, w.at.endpoint, w.at.lease/2).WithHint("try again when it answers faster")
	ctx, cancel := context.WithTimeoutCause(ctx, w.at.lease/2, slow)
	defer cancel()
	if err := w.delete(ctx, name); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	return nil
}

func (w *bucketWriter) delete(ctx context.Context, name string) error {
	if err := w.at.store.RemoveObject(ctx, w.at.name, w.at.key(name), minio.RemoveObjectOptions{}); err != nil {
		return w.at.refused("remove "+name, err)
	}
	return nil
}

func (w *bucketWriter) close(ctx context.Context) error { return w.lease.close(ctx) }

// bounded keeps the first bytes that are written to it, and says whether there were more.
type bounded struct {
	w    *bytes.Buffer
	left int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.over = true
		b.left = 0
		return len(p), nil
	}
	b.left -= len(p)
	return b.w.Write(p)
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
