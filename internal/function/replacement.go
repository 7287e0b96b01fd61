package function

// Replacement is the data of an instance.replaced event in _dalamb.logs, keyed by function: an instance misbehaved and was ended, and another
// is started when it is needed. Its time is the event's.
type Replacement struct {
	Instance string `json:"instance"`
	Function string `json:"function"`
	Version  int    `json:"version"`
	Cause    string `json:"cause"`  // health, timeout, crash, oom, thaw
	Reason   string `json:"reason"` // for people
	Times    int    `json:"times"`  // instances of the version that were replaced on that node so far, this one included
}
