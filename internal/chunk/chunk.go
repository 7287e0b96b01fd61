// Package chunk keeps in the log what is too long for one record: as chunks, one after another in one partition, each under a key of its own.
// It does not know what they are parts of, nor who may need it still; those who store something remember where it stands.
package chunk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Size is how long a chunk is, but the last, in bytes: below what every broker takes in a record by default, 1 MB.
const Size = 512 << 10

// key is "name/id/n". No two chunks share a key, so that compaction keeps them all.
func key(name, id string, n int) []byte { return fmt.Appendf(nil, "%s/%s/%d", name, id, n) }

// ID returns the id in a chunk's key; see function.Stored.
func ID(key []byte) (id string, ok bool) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 3 {
		return "", false
	}
	return parts[1], true
}

// Store is the chunks of one compacted topic.
type Store struct {
	Log   eventlog.Log
	Topic string
}

// Append appends content under a name without a slash, such as its digest, and returns where it stands. After an error a part of it may be in the log, for Sweep.
// Errors are Append's of the log, and those of content.
func (s Store) Append(ctx context.Context, name string, content io.Reader) (*function.Stored, error) {
	at := &function.Stored{ID: rand.Text()}
	for more := true; more; {
		part := make([]byte, Size) // the log may keep it
		n, err := io.ReadFull(content, part)
		switch {
		case errors.Is(err, io.EOF):
			return at, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			more = false
		case err != nil:
			return nil, err
		}
		r := eventlog.Record{Topic: s.Topic, Partition: eventlog.AnyPartition, Key: key(name, at.ID, at.Chunks), Value: part[:n]}
		if at.Chunks > 0 {
			r.Partition = at.Partition
		}
		positions, err := s.Log.Append(ctx, []eventlog.Record{r})
		if err != nil {
			return nil, fmt.Errorf("append chunk %d: %w", at.Chunks, err)
		}
		if at.Chunks == 0 {
			at.Partition, at.First = positions[0].Partition, positions[0].Offset
		}
		at.Chunks++
		at.Bytes += int64(n)
	}
	return at, nil
}

// Copy writes what Append has appended. A chunk that is missing is NotFound; the chunks of others may stand between. Who needs to know that it is what
// was stored compares digests.
func (s Store) Copy(ctx context.Context, name string, at function.Stored, w io.Writer) error {
	place := eventlog.Partition{Topic: s.Topic, ID: at.Partition}
	from, n := at.First, 0
	for n < at.Chunks {
		rs, err := s.Log.Read(ctx, place, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return fmt.Errorf("read chunk %d: %w", n, err)
		}
		if len(rs) == 0 {
			return fault.New(fault.NotFound, "chunk %d of %d of %s is not in the log any more", n, at.Chunks, name)
		}
		for _, r := range rs {
			if n == at.Chunks || string(r.Key) != string(key(name, at.ID, n)) || r.Value == nil {
				continue
			}
			if _, err := w.Write(r.Value); err != nil {
				return err
			}
			n++
		}
		from = rs[len(rs)-1].Offset + 1
	}
	return nil
}
