// Package eventlog is the port to the append-only log that is dalamb's heart: topics, partitions, records, offsets,
// transactions and the ownership of partitions. It does not know what an event means; drivers are in its sub-packages,
// and eventlogtest holds the suite that every driver passes.
//
// # The contract
//
// A topic has a fixed number of partitions; a partition is a sequence of records with rising offsets. Offsets start at 0
// and may have gaps (compaction, the ends of transactions, what was aborted), also at the end: no record need ever stand just below
// Bounds.End. Who reads up to an end goes on until Read with NoWait returns nothing, and is there then. A record is immutable.
//
// Durable: when Append or Commit returns nil, every record of the call is stored so that kill -9 and power loss keep it
// (fsync on one machine, all in-sync replicas on Kafka). When they return an error nothing of the call is readable, with
// one exception: after an error of kind Unavailable or Timeout, or a crash, the call may have been stored whole.
//
// Atomic: the records of one call become readable together or not at all, over all its partitions. Together means that who has
// read one of them, or knows that the call has returned, misses none: a Read begun then with NoWait, on any node, waits for those
// that an engine still holds back, and Bounds counts them.
//
// Identity: a topic that is deleted and made again under its name is another topic, with another ID. Who goes on with what it knows of a
// topic names that ID when it reads, and is never shown the other one's records.
//
// Order: two calls on one partition, the second begun after the first returned, stand in that order. The records of one
// call on one partition stand in the order given. A reader sees a partition's records in offset order, each once.
//
// Partition by key: Record.Partition AnyPartition lets the log choose: PartitionFor(key) when the record has a key
// (Kafka's murmur2, so other producers agree), else any.
//
// Time: the log stamps Record.Time at append where it is zero; on one partition the log's own stamps never go back, for calls
// one after another on one node (clocks of several nodes differ). A time that the caller gave is kept as it is, also when it is before
// its neighbours'.
//
// Compaction: every record of a compacted topic needs a key (Invalid without). A null value is seen as the newest of its
// key until it is a day old, then it goes too. Without a retention of its own a compacted topic keeps its records for ever.
//
// Ownership: Join makes a node a member of a group that shares out partitions. A member may Commit: records, group
// offsets and its claim to own the partitions commit together. A member that has lost its claim gets ErrFenced and
// nothing of the call is stored. When Assigned is called, all that an owner before has committed is readable, and nothing of it
// comes any more. Partitions of a topic that is deleted are lost; those of another one of that name are assigned anew, however
// soon it was made, and a claim from before is not good for them once the member has learned of it. On a one-node engine the newest member of a group owns everything, and an older one is fenced.
//
// Names beginning with "_" are for dalamb's own topics; the port does not guard them, its callers do.
//
// All methods are safe for concurrent use. Nobody below this port retries: a caller that wants to, does, when
// fault.Retryable says so.
package eventlog
