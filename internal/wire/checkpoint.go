package wire

// Checkpoint is a node's data as a backup takes it, on the machine of the node.
type Checkpoint struct {
	Data string `json:"data"`          // the data directory
	Log  string `json:"log,omitempty"` // directory with a copy of the event log; absent where the log is on Kafka
	Key  string `json:"key,omitempty"` // the file with the key of secrets; absent where there is none
}
