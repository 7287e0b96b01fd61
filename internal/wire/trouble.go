package wire

import "time"

// Trouble is why a function has fewer instances on this node than it asks for, now.
type Trouble struct {
	Function string     `json:"function"`
	Version  int        `json:"version,omitempty"` // 0: it is about the function
	Kind     string     `json:"kind" enum:"start,values,health,reserved"`
	Reason   string     `json:"reason"`
	Since    time.Time  `json:"since"`
	Times    int        `json:"times,omitempty"` // in a row
	Next     *time.Time `json:"next,omitempty"`  // when it is tried again; absent where that is not a matter of time
}
