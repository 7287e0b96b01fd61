package wire

// Key is the key of events.
type Key struct {
	Key string `json:"key"`
}

// KeyList says which keys of a trigger are paused.
type KeyList struct {
	Function string   `json:"function"`
	Trigger  string   `json:"trigger"`
	Paused   []string `json:"paused"` // sorted
}
