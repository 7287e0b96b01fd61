package dispatch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// runID names the run of one event on one trigger. It is the same for every attempt and after every crash: it comes from where
// the event stands and nothing else. replay is "" for the run that the event itself causes.
func runID(topicID string, partition int32, offset, trigger int64, replay string) string {
	b := make([]byte, 0, 64+len(topicID)+len(replay))
	b = append(b, "run\x00"...)
	b = append(b, topicID...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	b = binary.BigEndian.AppendUint64(b, uint64(trigger))
	b = append(b, replay...)
	return uuidOf(b)
}

// derivedID names the n-th thing of a kind that a run puts in the log, as deterministic as the run's own id.
func derivedID(run, kind string, n int) string {
	b := make([]byte, 0, 64)
	b = append(b, kind...)
	b = append(b, 0)
	b = append(b, run...)
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	return uuidOf(b)
}

// uuidOf hashes b to a UUID of version 8. RFC 9562, section 5.8.
func uuidOf(b []byte) string {
	u := sha256.Sum256(b)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], u[0:4])
	hex.Encode(s[9:13], u[4:6])
	hex.Encode(s[14:18], u[6:8])
	hex.Encode(s[19:23], u[8:10])
	hex.Encode(s[24:36], u[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
