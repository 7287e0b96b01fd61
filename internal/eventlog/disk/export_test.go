package disk

import "time"

// WithSmallTables makes Pebble turn over its write-ahead log and write tables after little data.
func (o Options) WithSmallTables() Options {
	o.memTable = 256 << 10
	return o
}

// WithPatience is how long Erase waits for files to go.
func (o Options) WithPatience(d time.Duration) Options {
	o.patience = d
	return o
}
