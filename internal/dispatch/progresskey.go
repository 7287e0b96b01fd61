package dispatch

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// progressKeys makes and reads the keys of one partition's records in _dalamb.progress. They stand in the progress partition
// of the same number:
//
//	s/TOPICID/PARTITION                   scanRecord
//	l/TOPICID/PARTITION/TRIGGER           laneRecord
//	r/TOPICID/PARTITION/TRIGGER/OFFSET    retryRecord
//	q/TOPICID/PARTITION/TRIGGER/KEY       newestRecord; KEY is a hash
//	j/TOPICID/PARTITION                   jobRecord, of _dalamb.jobs
type progressKeys struct {
	topicID   string
	partition int32
	place     string // "TOPICID/PARTITION"
}

func keysOf(topicID string, partition int32) progressKeys {
	return progressKeys{topicID: topicID, partition: partition, place: topicID + "/" + strconv.Itoa(int(partition))}
}

func (k progressKeys) scan() string { return "s/" + k.place }
func (k progressKeys) jobs() string { return "j/" + k.place }

func (k progressKeys) lane(trigger int64) string {
	return "l/" + k.place + "/" + strconv.FormatInt(trigger, 10)
}

func (k progressKeys) retry(trigger, offset int64) string {
	return "r/" + k.place + "/" + strconv.FormatInt(trigger, 10) + "/" + strconv.FormatInt(offset, 10)
}

func (k progressKeys) newest(trigger, key int64) string {
	return "q/" + k.place + "/" + strconv.FormatInt(trigger, 10) + "/" + strconv.FormatInt(key, 10)
}

// record makes the record of a key; a nil value takes the key away.
func (k progressKeys) record(key string, value []byte) eventlog.Record {
	return eventlog.Record{Topic: function.TopicProgress, Partition: k.partition, Key: []byte(key), Value: value}
}

// forget takes away what the log knows of a run that is over: its retryRecord, and its event where that was delayed.
func (k progressKeys) forget(trigger, offset int64, attempts []function.Attempt) []eventlog.Record {
	records := one(k.record(k.retry(trigger, offset), nil))
	if waitedLong(attempts) {
		records = append(records, k.delay(k.delayed(trigger, offset), nil))
	}
	return records
}

// parse takes a key of this partition apart. mine is false for keys of other topics.
func (k progressKeys) parse(key string) (kind byte, trigger, offset int64, mine bool, err error) {
	if len(key) < 2 || key[1] != '/' {
		return 0, 0, 0, false, nil
	}
	rest, ok := strings.CutPrefix(key[2:], k.place)
	if !ok || rest != "" && rest[0] != '/' {
		return 0, 0, 0, false, nil
	}
	kind = key[0]
	var numbers []int64
	for part := range strings.SplitSeq(strings.TrimPrefix(rest, "/"), "/") {
		if part == "" {
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 {
			return 0, 0, 0, true, fmt.Errorf("%q is not a number", part)
		}
		numbers = append(numbers, n)
	}
	want, known := map[byte]int{'s': 0, 'j': 0, 'l': 1, 'r': 2, 'q': 2}[kind]
	switch {
	case !known:
		return 0, 0, 0, true, fmt.Errorf("kind %q is not known to this binary", kind)
	case len(numbers) != want:
		return 0, 0, 0, true, fmt.Errorf("%d numbers where there are %d", len(numbers), want)
	}
	if want > 0 {
		trigger = numbers[0]
	}
	if want > 1 {
		offset = numbers[1]
	}
	return kind, trigger, offset, true, nil
}
