package wire

// Seek asks a trigger to go on from another place.
type Seek struct {
	To        string `json:"to"`                  // earliest, latest, an offset, a time, or how long ago
	Partition *int32 `json:"partition,omitempty"` // this one alone; absent = all
	DryRun    bool   `json:"dryRun,omitempty"`    // only say what would be
}

// Sought is what a seek does, or would do.
type Sought struct {
	Function   string            `json:"function"`
	Trigger    string            `json:"trigger"`
	Topic      string            `json:"topic"`
	Partitions []SoughtPartition `json:"partitions"`
	Again      int64             `json:"again"`             // events that match and that it passes again
	Skipped    int64             `json:"skipped"`           // events that match and that it has not finished and will not run
	AtLeast    bool              `json:"atLeast,omitempty"` // there are more: counting ended at its bound
	Done       bool              `json:"done"`
}

// SoughtPartition is one partition of a seek. All below From is finished before it, and To is where the trigger goes on.
type SoughtPartition struct {
	ID   int32 `json:"id"`
	From int64 `json:"from"`
	To   int64 `json:"to"`
}
