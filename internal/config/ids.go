package config

import (
	"fmt"
	"strconv"
	"strings"
)

// IDs are user and group ids of the host.
type IDs struct{ First, Count int64 }

const (
	leastIDs = 64 * 65536 // what a node takes at a time
	lastID   = 1<<32 - 3  // beyond are the signs for nobody and for no change // chown(2)
)

// UnmarshalText reads "first:count".
func (i *IDs) UnmarshalText(text []byte) error {
	a, b, _ := strings.Cut(string(text), ":")
	first, err := strconv.ParseInt(a, 10, 64)
	if err == nil {
		i.Count, err = strconv.ParseInt(b, 10, 64)
	}
	if err != nil {
		return fmt.Errorf("%q is not first:count, such as %s", text, Default().Sandbox.IDs)
	}
	i.First = first
	return nil
}

// String is the inverse of UnmarshalText.
func (i IDs) String() string { return fmt.Sprintf("%d:%d", i.First, i.Count) }

func (i IDs) check() string {
	if i.First < 65536 || i.Count < leastIDs || i.Count > lastID || i.First > lastID-i.Count {
		return fmt.Sprintf("is %s; allowed: from 65536 to %d, at least %d of them", i, lastID, leastIDs)
	}
	return ""
}
