package disk

import "encoding/binary"

// The first byte of a key says what the row is. All numbers are big-endian, so that rows stand in their own order.
const (
	rowMeta   byte = 1 // "nextTopic" -> u32: the number that the next topic gets; never reused
	rowTopic  byte = 2 // name -> topic settings
	rowState  byte = 3 // topic u32, partition u32 -> checkpoint of the partition
	rowGroup  byte = 4 // len(group) u16, group, topic u32, partition u32 -> offset and metadata
	rowRecord byte = 5 // topic u32, partition u32, offset u64 -> record
	rowOnce   byte = 6 // topic u32, hash of an identity -> until u64 (Unix ms), partition u32, offset u64
	rowDigest byte = 7 // topic u32, partition u32, a digest's kind, block u64 -> which types, or keys, the block's records have
)

// The kinds of digests. Types stand beside each other, so that all of a partition are read without the keys, which are a hundred times as long.
const (
	digestTypes byte = 1
	digestKeys  byte = 2
)

const recordKeyLen = 1 + 4 + 4 + 8

func nextTopicKey() []byte { return append([]byte{rowMeta}, "nextTopic"...) }

func topicKey(name string) []byte { return append([]byte{rowTopic}, name...) }

func stateKey(topic, partition uint32) []byte {
	k := binary.BigEndian.AppendUint32([]byte{rowState}, topic)
	return binary.BigEndian.AppendUint32(k, partition)
}

func groupKey(group string, topic, partition uint32) []byte {
	k := binary.BigEndian.AppendUint16([]byte{rowGroup}, uint16(len(group)))
	k = append(k, group...)
	k = binary.BigEndian.AppendUint32(k, topic)
	return binary.BigEndian.AppendUint32(k, partition)
}

// parseGroupKey is the inverse of groupKey; ok is false for a key that groupKey cannot have made.
func parseGroupKey(k []byte) (group string, topic, partition uint32, ok bool) {
	if len(k) < 3 || k[0] != rowGroup {
		return "", 0, 0, false
	}
	n := int(binary.BigEndian.Uint16(k[1:]))
	if len(k) != 3+n+8 {
		return "", 0, 0, false
	}
	return string(k[3 : 3+n]), binary.BigEndian.Uint32(k[3+n:]), binary.BigEndian.Uint32(k[7+n:]), true
}

func recordKey(topic, partition uint32, offset int64) []byte {
	k := make([]byte, recordKeyLen)
	putRecordKey(k, topic, partition, offset)
	return k
}

func putRecordKey(k []byte, topic, partition uint32, offset int64) {
	k[0] = rowRecord
	binary.BigEndian.PutUint32(k[1:], topic)
	binary.BigEndian.PutUint32(k[5:], partition)
	binary.BigEndian.PutUint64(k[9:], uint64(offset))
}

func offsetOfKey(k []byte) int64 { return int64(binary.BigEndian.Uint64(k[9:])) }

func digestKey(topic, partition uint32, kind byte, block int64) []byte {
	k := binary.BigEndian.AppendUint32(append(make([]byte, 0, 18), rowDigest), topic)
	k = append(binary.BigEndian.AppendUint32(k, partition), kind)
	return binary.BigEndian.AppendUint64(k, uint64(block))
}

func topicOfKey(k []byte) uint32 { return binary.BigEndian.Uint32(k[1:]) }

func blockOfKey(k []byte) int64 { return int64(binary.BigEndian.Uint64(k[10:])) }

// span is the half-open range of keys of one row kind of one topic.
func span(row byte, topic uint32) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint32([]byte{row}, topic)
	return lower, after(lower)
}

// after returns the first key past all keys with this prefix.
func after(prefix []byte) []byte {
	k := append([]byte(nil), prefix...)
	for i := len(k) - 1; i >= 0; i-- {
		k[i]++
		if k[i] != 0 {
			return k[:i+1]
		}
	}
	return nil
}
