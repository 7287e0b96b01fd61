// Package kafka is the event log of many machines: Apache Kafka below the port of package eventlog, spoken to through
// franz-go. It does not decide what is tried again later, which its callers do, and it keeps nothing outside of Kafka.
//
// How the contract is kept:
//
// A call that stays within one partition is one record batch of an idempotent producer, which Kafka stores whole or not at
// all (lane.go). A call that spans partitions, and every Commit, is a transaction (txn.go); calls that arrive while one is
// under way share the next. Both write their batches themselves (batch.go): what a batch holds is what makes a call atomic.
//
// Readers that are behind fetch for themselves (fetch.go, read.go); those at the end wait together (tail.go). They read what is
// committed, and so stop where the first open transaction begins. Therefore Bounds counts everything, and a Read with NoWait says
// "nothing" only when no transaction is open below the end that it found.
//
// A member (member.go) speaks the group protocol itself (group.go), because what it needs of it is not to consume but to know for
// certain what it owns. A Commit's claims are positions of the ownership group that its transaction moves with the member's id
// and generation: Kafka refuses them from a member that it does not know any more. That alone is not enough, because a node that
// is frozen between those positions and the end of the transaction may lose its partitions while the transaction is still open.
// So a new owner waits, before Assigned is called, until no open transaction moves its partitions' positions (offsets.go, stable).
//
// A transaction has an epoch of its own (KIP-890), so that what a dead or frozen node has sent late joins no later one. Its
// identity is named for the node, so that a node which starts again ends at once what its predecessor left open. When the end of a
// transaction is not known it is asked for again, and only when that has no answer is the caller told Unavailable.
package kafka
