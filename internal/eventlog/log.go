package eventlog

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

// AnyPartition in Record.Partition lets the log choose by key.
const AnyPartition int32 = -1

// Header is a name and a value beside a record. Names may repeat; order is kept.
type Header = event.Header

// Record is one entry of a partition.
type Record struct {
	Topic     string
	Partition int32     // AnyPartition on append: chosen by Key
	Offset    int64     // set by the log
	Time      time.Time // set by the log when zero; millisecond precision
	Key       []byte    // nil = no key
	Value     []byte    // nil = a tombstone on a compacted topic
	Headers   []Header
	// Seal is for a log that seals: of an appended record whose value repeats what another one's key seals; nil = its topic's rule says it. It is not stored.
	Seal *Seal
}

// Position is where a record stands.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Partition names one partition of one topic.
type Partition struct {
	Topic string
	ID    int32
}

// Topic is a topic's settings. On create, zero values mean the log's defaults.
type Topic struct {
	Name       string
	ID         string        // unique over all time: a topic deleted and made again has another; set by the log
	Partitions int32         // may only grow
	Retention  time.Duration // 0 on create = default; Forever = no bound
	MaxBytes   int64         // over all partitions; 0 on create = default; Forever = no bound. May come back smaller by less than a byte for each partition
	Compact    bool          // keep the newest record of each key; a nil value deletes. Combines with Retention.
}

// Forever as Topic.Retention or Topic.MaxBytes sets no bound.
const Forever = -1

// TopicChange says what AlterTopic changes; nil = leave as it is.
type TopicChange struct {
	Partitions *int32
	Retention  *time.Duration
	MaxBytes   *int64
}

// Bounds of a partition: Start is the oldest offset still kept (or a number no larger), End the offset that the next record
// will get (or, past gaps, a number no larger than that). Start == End means empty; between others there may be nothing but gaps.
type Bounds struct{ Start, End int64 }

// ReadOptions bounds one Read. Zero values mean 1000 records and 4 MiB; at least one record is returned whatever its size.
type ReadOptions struct {
	MaxRecords int
	MaxBytes   int
	NoWait     bool // at the tail return no records instead of blocking
	// TopicID is the Topic.ID of the topic that the reader means; "" = whichever has the name.
	TopicID string
}

// GroupOffset is the position of a consumer group on a partition: the offset of the next record that it wants.
type GroupOffset struct {
	Partition Partition
	Offset    int64
	Metadata  string // at most 4096 bytes
}

// Txn is what one Commit stores: all of it or nothing.
type Txn struct {
	Records []Record
	Group   string        // of Offsets; "" when there are none
	Offsets []GroupOffset // group positions that move with the records
	// Claims are the partitions whose ownership this commit relies on. A member that does not own all of them is fenced.
	Claims []Partition
}

// ErrFenced is returned by Commit to a member that no longer owns what it claims. It is final for that claim.
var ErrFenced = fault.New(fault.Conflict, "another owner has taken over these partitions")

// Log is the port. See the package comment for what holds for all methods.
type Log interface {
	// CreateTopic makes a topic. Blocks until it is durable. Conflict when it exists, Invalid when a setting is bad.
	CreateTopic(ctx context.Context, t Topic) error
	// AlterTopic changes settings. Blocks until durable. NotFound; Invalid when partitions would shrink.
	AlterTopic(ctx context.Context, name string, c TopicChange) error
	// DeleteTopic removes a topic, its records and group offsets. Readers of it get NotFound.
	DeleteTopic(ctx context.Context, name string) error
	// Topics lists all topics, sorted by name.
	Topics(ctx context.Context) ([]Topic, error)

	// Append stores records and returns their positions in the order given. Blocks until durable. NotFound for an unknown topic
	// or partition, TooLarge for a record over the log's limit, Unavailable when the log takes no writes (disk full or
	// failed; the message says which).
	Append(ctx context.Context, records []Record) ([]Position, error)

	// Read returns records of one partition from offset on, at least one; at the tail it blocks until there is one or ctx is done.
	// From an offset before the start it returns the oldest kept: the caller compares offsets to see what is missing.
	// NotFound when the topic or partition is not there (also while blocking), or when the topic of that name is another one than the
	// reader means, or than this call has begun with.
	Read(ctx context.Context, p Partition, from int64, o ReadOptions) ([]Record, error)
	// Bounds returns the partition's start and end. Does not wait for writers.
	Bounds(ctx context.Context, p Partition) (Bounds, error)
	// OffsetAt returns the offset of the first record whose time is not before t, or the end.
	OffsetAt(ctx context.Context, p Partition, t time.Time) (int64, error)

	// CommitOffsets sets positions of a group without members: for mirrors and tools. Durable, atomic. Conflict where an engine
	// knows of members.
	CommitOffsets(ctx context.Context, group string, offsets []GroupOffset) error
	// Offsets returns all positions of a group, sorted by topic and partition; empty for an unknown group.
	Offsets(ctx context.Context, group string) ([]GroupOffset, error)
	// Groups lists the names of groups that have offsets, sorted.
	Groups(ctx context.Context) ([]string, error)

	// Join makes this node a member of an ownership group; see Member. It does not block for an assignment.
	Join(ctx context.Context, o JoinOptions) (Member, error)

	// Close stops reads and waits for appends under way. After it every method returns Unavailable.
	Close() error
}

// JoinOptions says how a member learns of its partitions. The callbacks run one after another on one goroutine of the
// driver and must not call the member's Leave. They are required.
type JoinOptions struct {
	Group string
	// Assigned: these partitions are now this member's.
	Assigned func(ctx context.Context, ps []Partition)
	// Revoked: these go to another member when the callback returns; what is under way on them is finished or handed over
	// before. ctx ends when the engine will wait no longer.
	Revoked func(ctx context.Context, ps []Partition)
	// Lost: these are already somebody else's; a Commit that claims them is fenced.
	Lost func(ps []Partition)
}

// Member is one node's part in an ownership group.
type Member interface {
	// SetTopics says which topics' partitions the group shares out. It replaces the list given before. Partitions are
	// assigned or revoked through the callbacks, also when a listed topic grows or is made later.
	SetTopics(ctx context.Context, topics []string) error
	// Commit stores a Txn atomically, fenced by this member's claims. Blocks until durable. Errors as Append, and ErrFenced.
	Commit(ctx context.Context, t Txn) ([]Position, error)
	// Leave gives all partitions back: Revoked is called for them, then the membership ends.
	Leave(ctx context.Context) error
}

// Space is what a log knows of the room that is left for it.
type Space uint8

const (
	SpaceOK    Space = iota // enough
	SpaceLow                // a warning: no more function logs and request bodies
	SpaceEmpty              // Append of outsiders' events is refused; Commit goes on
)

// SpaceReporter is an optional ability of a Log, found by assertion.
type SpaceReporter interface {
	// Space says how much room is left. Does not block.
	Space() Space
}

// Sizer is an optional ability of a Log, found by assertion.
type Sizer interface {
	// Size is how many bytes a topic's records take, copies not counted, those included that are about to be removed. NotFound for a topic that is not
	// there, Denied where this user may not know. Blocks as Topics does.
	Size(ctx context.Context, topic string) (int64, error)
}

// Compacter is an optional ability of a Log, found by assertion.
type Compacter interface {
	// Compact does at once what comes in its own time otherwise: it removes from a compacted topic what a newer record of its key has made old, and Size counts
	// that no more. It reads the topic. Nothing happens to a topic that is not compacted. NotFound for one that is not there. Blocks until it is done.
	Compact(ctx context.Context, topic string) error
}

// Checkpointer is an optional ability of a Log that is files of this machine alone, found by assertion.
type Checkpointer interface {
	// Checkpoint copies the log, as it is at one moment, into a directory beside it that it makes and names: all that was
	// acknowledged before the call is in it. It holds up writers for that moment. Unavailable when there is no room. The
	// directory is the caller's to remove; the next start removes what is left. What is in it opens as a log of its own.
	Checkpoint(ctx context.Context) (dir string, err error)
}

// Deduper is an optional ability of a Log, found by assertion.
type Deduper interface {
	// AppendOnce is Append of records that have identities. One whose identity was stored in its topic within the window, by an
	// earlier AppendOnce or by this one, is not stored again: its position is that of the first, and repeated is true. Calls at the same
	// time are one after another in this; what is remembered outlives a restart.
	AppendOnce(ctx context.Context, records []Record, o Once) (positions []Position, repeated []bool, err error)
}

// Once gives the records of an AppendOnce their identities, in the same order.
type Once struct {
	IDs    []string
	Window time.Duration
}

// Sharer is an optional ability of a Log, found by assertion.
type Sharer interface {
	// Shared says whether other nodes can have this log open at the same time. Does not block.
	Shared() bool
}

// Adviser is an optional ability of a Log, found by assertion.
type Adviser interface {
	// Advise says what of the log's set-up makes it less safe than it could be, or may stop this node later: one sentence each, none
	// when all is well. Blocks as Topics does.
	Advise(ctx context.Context) ([]string, error)
}
