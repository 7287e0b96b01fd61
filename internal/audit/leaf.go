package audit

import (
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// leafForm begins the encoding of a record. Another encoding begins with another one, and never has this one's bytes.
const leafForm = "dalamb.leaf.v1\n"

// absent is the length of what a record does not have, which is another thing than what is empty.
const absent = 1<<32 - 1

// Encode is what the leaf of a record is a hash of; docs/audit.md has it as a table. Every part has its length before it, so that no two
// records have one encoding. b is appended to.
func Encode(b []byte, topicID string, r *eventlog.Record) []byte {
	b = append(b, leafForm...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(topicID)))
	b = append(b, topicID...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Partition))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Offset))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixMilli()))
	b = appendBytes(b, r.Key)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		b = binary.BigEndian.AppendUint32(b, uint32(len(h.Name)))
		b = append(b, h.Name...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(h.Value)))
		b = append(b, h.Value...)
	}
	return appendBytes(b, r.Value)
}

func appendBytes(b, p []byte) []byte {
	if p == nil {
		return binary.BigEndian.AppendUint32(b, absent)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
	return append(b, p...)
}

// hasher makes leaves. It keeps its buffers, so it is for one goroutine.
type hasher struct {
	buf     []byte  // of a record's encoding
	entries []entry // that were read last
	file    []byte  // as they are kept
}

// leaf is the hash of a record: SHA-256 of a zero byte and the encoding. // RFC 6962, section 2.1
func (h *hasher) leaf(topicID string, r *eventlog.Record) tlog.Hash {
	h.buf = append(h.buf[:0], 0)
	h.buf = Encode(h.buf, topicID, r)
	return sum(h.buf)
}
