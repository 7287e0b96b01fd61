package dispatch

import (
	"encoding/binary"

	"github.com/dalamb/dalamb/internal/event"
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
	return event.HashID(b)
}

// derivedID names the n-th thing of a kind that a run puts in the log, as deterministic as the run's own id.
func derivedID(run, kind string, n int) string {
	b := make([]byte, 0, 64)
	b = append(b, kind...)
	b = append(b, 0)
	b = append(b, run...)
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	return event.HashID(b)
}
