// Package dispatch owns progress: from the position of an event in the log to the result of its runs in the log, with order,
// retries, dead letters and output that is in the log exactly once. It does not start functions; fleet does.
//
// # The way of an event
//
// For every partition that this node owns there is one actor, a goroutine that owns all state of the partition; see partition.
// It scans the log once for all triggers (scan.go), offers each event to the lanes of the triggers that match (lane.go), and
// starts runs where order, the trigger's gate (gate.go) and memory (budget.go) allow. A run goes through the stages on a
// goroutine of its own: fetch, guard, unwrap, invoke, classify, emit, record; one file each. What came of it returns to the actor
// as a value, and the actor commits it with the progress of all lanes as one transaction (commit.go).
//
// # Progress
//
// What is stored says exactly which runs are finished: of each lane, everything that it was offered and that is not pending.
// progress.go has the records, recover.go reads them back. A partition whose progress cannot be understood is not started.
//
// # Attempts that kill the node
//
// An attempt is counted when it has failed, which costs no write before it begins. A node that was killed leaves its
// partitions marked as unclean; then every run that may have been under way is marked in the log before it starts again, so
// that an event which kills node after node is dead-lettered like any other.
package dispatch
