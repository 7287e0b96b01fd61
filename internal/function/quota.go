package function

import (
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Quota is the most that an environment may have and do; of what is zero there is no bound but the installation's.
type Quota struct {
	Functions int   `json:"functions,omitempty"`
	Topics    int   `json:"topics,omitempty"`
	Instances int   `json:"instances,omitempty"` // on each node
	Memory    Bytes `json:"memory,omitzero"`     // that its instances may use together, by the bound of each; on each node
	Calls     Rate  `json:"calls,omitzero"`      // on each node
	Events    Rate  `json:"events,omitzero"`     // on each node
}

// None says that there is no bound.
func (q Quota) None() bool { return q == Quota{} }

// maxQuota is far more than an installation has of anything that is counted.
const maxQuota = 1_000_000

// Check says what is wrong with a quota.
func (q Quota) Check() error {
	for _, one := range []struct {
		name string
		n    int
	}{{"functions", q.Functions}, {"topics", q.Topics}, {"instances", q.Instances}} {
		if one.n < 0 || one.n > maxQuota {
			return fault.New(fault.Invalid, "%s: %d is out of range", one.name, one.n).WithHint("from 1 to %d, or 0 for no bound", maxQuota)
		}
	}
	if q.Memory < 0 || q.Memory > 0 && q.Memory < 4<<20 {
		return fault.New(fault.Invalid, "memory: %s is less than a function has", q.Memory).WithHint("at least 4Mi, or 0 for no bound")
	}
	return nil
}

// String lists the bounds, as a line of a table does; "-" where there is none.
func (q Quota) String() string {
	var parts []string
	add := func(there bool, format string, v any) {
		if there {
			parts = append(parts, fmt.Sprintf(format, v))
		}
	}
	add(q.Functions > 0, "%d functions", q.Functions)
	add(q.Topics > 0, "%d topics", q.Topics)
	add(q.Instances > 0, "%d instances", q.Instances)
	add(q.Memory > 0, "%s memory", q.Memory)
	add(q.Calls.Count > 0, "%s calls", q.Calls)
	add(q.Events.Count > 0, "%s events", q.Events)
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// Production is how what is in no environment is called where a name has to be given.
const Production = "production"

// EnvironmentName is the name of an environment for people; "" is production.
func EnvironmentName(env string) string {
	if env == "" {
		return Production
	}
	return env
}
