package seal

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	openedMost = 4096 // data keys that are kept open, about 1 KiB each
	retryAfter = time.Second
	spoiltMost = 1024 // verdicts on root keys that are remembered
)

// standing is a data key of an event key, as it stands in the log.
type standing struct {
	random [8]byte
	topic  uint32
	offset int64
}

// keys is the fold of _dalamb.seals: where each key stands, and some of them opened. Nothing of a key is in it that is not opened.
type keys struct {
	log    eventlog.Log
	box    Box
	logger *slog.Logger

	turn chan struct{} // holds a token while nobody catches up

	mu        sync.Mutex
	begun     int64 // times that somebody began to catch up
	caught    int64 // the newest of those that came to its end
	next      int64 // the offset to fold next
	of        map[digest][]standing
	topics    []string
	number    map[string]uint32
	roots     map[string]int64
	first     string // of roots; "" = there is none
	opened    map[keyID]*dataKey
	openRoots map[string]*rootKey
	spoilt    map[string]int64 // root keys that no node of this installation has stored -> the offset before which all that names one is damaged
}

func newKeys(log eventlog.Log, box Box, logger *slog.Logger) *keys {
	k := &keys{
		log: log, box: box, logger: logger, turn: make(chan struct{}, 1), of: map[digest][]standing{}, number: map[string]uint32{}, roots: map[string]int64{},
		opened: map[keyID]*dataKey{}, openRoots: map[string]*rootKey{}, spoilt: map[string]int64{},
	}
	k.turn <- struct{}{}
	return k
}

func (k *keys) partition() eventlog.Partition { return eventlog.Partition{Topic: function.TopicSeals} }

// catchUp folds all that is in the log at the call. Calls at the same time share what one of them reads.
func (k *keys) catchUp(ctx context.Context) error {
	k.mu.Lock()
	ticket := k.begun
	k.mu.Unlock()
	select {
	case <-k.turn:
	case <-ctx.Done():
		return fmt.Errorf("read the keys of sealed topics: %w", ctx.Err())
	}
	defer func() { k.turn <- struct{}{} }()
	k.mu.Lock()
	if k.caught > ticket { // by one that began after this call did
		k.mu.Unlock()
		return nil
	}
	k.begun++
	mine := k.begun
	k.mu.Unlock()
	b, err := k.log.Bounds(ctx, k.partition())
	if err != nil {
		return fmt.Errorf("read the keys of sealed topics: %w", err)
	}
	for {
		next := k.position()
		if next >= b.End {
			break
		}
		rs, err := k.log.Read(ctx, k.partition(), next, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return fmt.Errorf("read the keys of sealed topics: %w", err)
		}
		if len(rs) == 0 { // nothing but gaps is left
			k.pass(b.End)
			break
		}
		k.fold(rs)
	}
	k.mu.Lock()
	k.caught = mine
	k.mu.Unlock()
	return nil
}

func (k *keys) position() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next
}

func (k *keys) pass(to int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = max(k.next, to)
}

// follow folds what other nodes store, as it comes, so that what they forget is forgotten here, too.
func (k *keys) follow(ctx context.Context, failed func(error)) {
	for ctx.Err() == nil {
		rs, err := k.log.Read(ctx, k.partition(), k.position(), eventlog.ReadOptions{})
		if err == nil {
			k.fold(rs)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		failed(err)
		pause := time.NewTimer(retryAfter)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// fold takes records in, in the order of the log; those that were taken in already make no difference.
func (k *keys) fold(rs []eventlog.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range rs {
		r := &rs[i]
		if r.Offset < k.next {
			continue
		}
		k.next = r.Offset + 1
		if len(r.Key) == 0 {
			continue
		}
		switch name := r.Key[1:]; {
		case r.Key[0] == dataPrefix && len(name) == len(keyID{}):
			k.stands(keyID(name), r.Offset, r.Value)
		case r.Key[0] == rootPrefix && len(name) == rootIDSize:
			k.rootStands(string(name), r.Offset, r.Value == nil)
		}
	}
}

// stands notes where a data key is. The caller holds mu.
func (k *keys) stands(id keyID, offset int64, value []byte) {
	owner := id.owner()
	same := func(s standing) bool { return s.random == [8]byte(id[16:]) }
	all := slices.DeleteFunc(k.of[owner], same)
	if value != nil {
		_, topic, _, _ := headOf(value) // of one that is damaged the topic is "", and who opens it is told
		all = append(all, standing{random: [8]byte(id[16:]), topic: k.numberOf(topic), offset: offset})
	} else {
		delete(k.opened, id)
	}
	if len(all) == 0 {
		delete(k.of, owner)
		return
	}
	k.of[owner] = slices.Clip(all)
}

// rootStands notes where a root key is, and takes back what was found of one that stood elsewhere. The caller holds mu.
func (k *keys) rootStands(id string, offset int64, gone bool) {
	delete(k.spoilt, id)
	if gone {
		delete(k.roots, id)
		delete(k.openRoots, id)
		return
	}
	k.roots[id] = offset
	if k.first == "" {
		k.first = id
	}
}

func (k *keys) numberOf(topic string) uint32 {
	n, ok := k.number[topic]
	if !ok {
		n = uint32(len(k.topics))
		k.topics, k.number[topic] = append(k.topics, topic), n
	}
	return n
}

// note lets a key be used that this node has stored, before it comes by in the fold.
func (k *keys) note(made *dataKey, offset int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if offset < k.next {
		return // it has come by, and may have been forgotten since
	}
	k.stands(made.id, offset, made.record.Value)
	k.admit(&dataKey{id: made.id, topic: made.topic, aead: made.aead})
}

// noteRoot is note for a root key.
func (k *keys) noteRoot(made *rootKey, offset int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if offset < k.next {
		return
	}
	k.rootStands(made.id, offset, false)
	k.openRoots[made.id] = &rootKey{id: made.id, aead: made.aead}
}

// admit keeps a key open. Any other makes way for it where there are too many. The caller holds mu.
func (k *keys) admit(opened *dataKey) {
	for id := range k.opened {
		if len(k.opened) < openedMost {
			break
		}
		delete(k.opened, id)
	}
	k.opened[opened.id] = opened
}

// keep keeps a key open that was read, unless it was forgotten meanwhile.
func (k *keys) keep(opened *dataKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.at(opened.id); ok {
		k.admit(opened)
	}
}

func (k *keys) keepRoot(root *rootKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.openRoots[root.id] = root
}

// at is where a data key stands. The caller holds mu.
func (k *keys) at(id keyID) (offset int64, ok bool) {
	for _, s := range k.of[id.owner()] {
		if s.random == [8]byte(id[16:]) {
			return s.offset, true
		}
	}
	return 0, false
}

// find gives a data key that is open, or where it stands; ok is false where it is not there.
func (k *keys) find(id keyID) (opened *dataKey, offset int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	offset, ok = k.at(id)
	return k.opened[id], offset, ok
}

func (k *keys) knows(id keyID) bool {
	_, _, ok := k.find(id)
	return ok
}

func (k *keys) findRoot(id string) (opened *rootKey, offset int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	offset, ok = k.roots[id]
	return k.openRoots[id], offset, ok
}

// spoil remembers that a root key is none, of which all is known that has been folded. isNew is false where that was known before, up to another offset. Where there
// are too many, any other makes way.
func (k *keys) spoil(id string) (isNew bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, known := k.spoilt[id]
	for other := range k.spoilt {
		if known || len(k.spoilt) < spoiltMost {
			break
		}
		delete(k.spoilt, other)
	}
	k.spoilt[id] = k.next
	return !known
}

// isSpoilt says of a root key that a data key names which stands at an offset whether it is known to be none: a root key comes with the first that names it, or before.
func (k *keys) isSpoilt(id string, named int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, ok := k.spoilt[id]
	return ok && named < before
}

func (k *keys) firstRoot() (id string, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.first, k.first != ""
}

// idsOf are the keys of an event key, of one topic or with "" of all, the newest first.
func (k *keys) idsOf(owner digest, topic string) []keyID {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, known := k.number[topic]
	var ids []keyID
	for _, s := range slices.Backward(k.of[owner]) {
		if topic == "" || known && s.topic == n {
			var id keyID
			copy(id[:], owner[:])
			copy(id[16:], s.random[:])
			ids = append(ids, id)
		}
	}
	return ids
}

// topicsOf are the topics in which an event key has keys, each once, sorted.
func (k *keys) topicsOf(owner digest) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for _, s := range k.of[owner] {
		names = append(names, k.topics[s.topic])
	}
	slices.Sort(names)
	return slices.Compact(names)
}
