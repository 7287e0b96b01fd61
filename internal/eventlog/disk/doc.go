// Package disk is the eventlog driver for one machine: an embedded log on Pebble in one directory, with group commit
// and an fsync before every acknowledgement. It does not replicate, and one process at a time owns the directory.
//
// # The directory
//
//	FORMAT   which format wrote this directory; read before anything else is touched
//	lock     held (fcntl) by the process that has the log open; a killed process gives it back
//	holder   who holds the lock, for the message that the second one gets
//	db/      Pebble
//	checkpoints/  copies of db/ as it was at one moment, each for as long as its maker runs and no longer than the log is open
//
// # The way of a write
//
// A call becomes a request in the queue. The committer takes all that are queued, gives out offsets, makes one Pebble
// batch of them and applies it without waiting; the acknowledger waits for its fsync, publishes the new ends to readers
// and answers the callers. A few groups are under way at most: while one is being synced the next is built, and
// everything else gathers in the queue for the one after. Readers look no further than the published end, so they never
// see what a crash could take back.
//
// # Room
//
// Below 256 MiB free Append is refused; results, settings, deletes and retention go on. The reserve is held for each
// write: the log counts what it let in since it last measured, three times, and measures before that could cross a
// bound. While room is low a sweep has Pebble compact the ranges that were removed, and write-ahead logs are neither
// made large beforehand nor kept for reuse.
//
// # When the disk fails
//
// The guard stands between Pebble and the file system. A full disk makes writes wait below Pebble, and callers get
// Unavailable until there is room; where only tables wait, all but Append goes on. Any other failed write or fsync ends the log's writing for good: what the kernel
// does with the pages of a failed fsync is not knowable, so only a restart, which reads back what is stored, can tell.
package disk
