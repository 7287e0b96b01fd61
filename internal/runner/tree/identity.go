package tree

import (
	"encoding/json"
	"fmt"
)

// Identity names one process so that a later one with the same PID is not taken for it. It can be stored as JSON.
type Identity struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // Process.Start
}

// Identify looks a running process up; ok is false when it is gone.
func Identify(pid int) (id Identity, ok bool) {
	p, ok := Find(pid)
	return Identity{PID: pid, Start: p.Start}, ok
}

// Lives says whether the process still runs.
func (id Identity) Lives() bool {
	p, ok := Find(id.PID)
	return ok && p.Start == id.Start && !p.Zombie
}

// Encode gives the identity its stored form.
func (id Identity) Encode() ([]byte, error) {
	b, err := json.Marshal(id)
	if err != nil {
		return nil, fmt.Errorf("encode record of process %d: %w", id.PID, err)
	}
	return b, nil
}
