package native

import (
	"os"
	"strconv"
	"strings"
)

// Spares take at most one in spareShare of the memory that the machine has left, so that it is there for functions and for the node.
const (
	spareShare = 20
	spareCost  = 2 << 20 // of one: an init of its own, and what the kernel keeps of its namespaces and groups
)

// room is how many spares the memory that is left allows; available tells it in bytes, below 0 = it is not known.
func (s *spares) room() int {
	if s.available == nil {
		return s.most
	}
	left := s.available()
	if left < 0 {
		return s.most
	}
	s.mu.Lock()
	waiting := int64(len(s.waiting)) * spareCost // theirs is taken already
	s.mu.Unlock()
	return int((left + waiting) / spareShare / spareCost)
}

// available is the memory that can be used without swapping. // proc_meminfo(5), MemAvailable
func available() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return -1
			}
			return kb << 10
		}
	}
	return -1
}
