package disk

// WithSmallTables makes Pebble turn over its write-ahead log and write tables after little data.
func (o Options) WithSmallTables() Options {
	o.memTable = 256 << 10
	return o
}
