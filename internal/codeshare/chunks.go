package codeshare

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// chunkSize keeps a record below what every broker takes by default, 1 MB.
const chunkSize = 512 << 10

// chunkKey is "digest/id/n". No two chunks share a key, so that compaction keeps them all.
func chunkKey(digest, id string, n int) []byte { return fmt.Appendf(nil, "%s/%s/%d", digest, id, n) }

// parseKey returns the digest and id of a chunk's key.
func parseKey(key []byte) (digest, id string, ok bool) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 3 {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// Share puts the code of a digest, which is here, into the log, and returns where it stands. On a log that no other node has open it
// does nothing and returns nil. Code that a version of the catalog has stored is not stored again.
func (s *Store) Share(ctx context.Context, digest string) (*function.Stored, error) {
	if !s.shared() {
		return nil, nil
	}
	if at := s.versions.Stored(digest); at != nil {
		return at, nil
	}
	dir, err := s.Local.Dir(digest)
	if err != nil {
		return nil, err
	}
	archive, w := io.Pipe()
	at := &function.Stored{ID: rand.Text()}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_, err := image.Pack(dir, w)
		w.CloseWithError(err)
		return err
	})
	g.Go(func() error {
		err := s.appendChunks(ctx, digest, archive, at)
		archive.CloseWithError(err)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("store code %s in the log: %w", digest, err)
	}
	return at, nil
}

// appendChunks appends the archive, all of it to one partition, and notes where it stands.
func (s *Store) appendChunks(ctx context.Context, digest string, archive io.Reader, at *function.Stored) error {
	for more := true; more; {
		chunk := make([]byte, chunkSize) // the log may keep it
		n, err := io.ReadFull(archive, chunk)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			more = false
		case err != nil:
			return err
		}
		r := eventlog.Record{Topic: function.TopicCode, Partition: eventlog.AnyPartition, Key: chunkKey(digest, at.ID, at.Chunks), Value: chunk[:n]}
		if at.Chunks > 0 {
			r.Partition = at.Partition
		}
		positions, err := s.log.Append(ctx, []eventlog.Record{r})
		if err != nil {
			return fmt.Errorf("append chunk %d: %w", at.Chunks, err)
		}
		if at.Chunks == 0 {
			at.Partition, at.First = positions[0].Partition, positions[0].Offset
		}
		at.Chunks++
		at.Bytes += int64(n)
	}
	return nil
}

// copyChunks writes the archive that Share has appended. That a chunk is missing is an error; the chunks of others may stand between.
func (s *Store) copyChunks(ctx context.Context, digest string, at function.Stored, archive io.Writer) error {
	place := eventlog.Partition{Topic: function.TopicCode, ID: at.Partition}
	from, n := at.First, 0
	for n < at.Chunks {
		rs, err := s.log.Read(ctx, place, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return fmt.Errorf("read chunk %d: %w", n, err)
		}
		if len(rs) == 0 {
			return fault.New(fault.NotFound, "chunk %d of %d of code %s is not in the log any more", n, at.Chunks, digest).
				WithHint("deploy the function again")
		}
		for _, r := range rs {
			if n == at.Chunks || string(r.Key) != string(chunkKey(digest, at.ID, n)) || r.Value == nil {
				continue
			}
			if _, err := archive.Write(r.Value); err != nil {
				return err
			}
			n++
		}
		from = rs[len(rs)-1].Offset + 1
	}
	return nil
}
