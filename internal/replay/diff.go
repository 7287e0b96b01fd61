package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what a report shows of one difference.
const (
	maxChanges = 20
	maxValue   = 400 // bytes of one value's JSON
)

// Objects lists where two JSON objects differ, each of their fields within the bounds of one difference.
func Objects(before, after map[string]any) []function.ReplayChange {
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, both := before[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	all := []function.ReplayChange{}
	for _, name := range names {
		var d differ
		d.compare(name, at(before, name), at(after, name))
		all = append(all, d.changes...)
	}
	return all
}

// differ gathers where two JSON values differ.
type differ struct {
	ignore  map[string]bool // paths, as of anywhere
	changes []function.ReplayChange
}

// none stands for a value that is not there.
type none struct{}

// compare walks two values side by side, in a fixed order.
func (d *differ) compare(path string, before, after any) {
	if len(d.changes) == maxChanges || reflect.DeepEqual(before, after) || len(d.ignore) > 0 && d.ignore[anywhere(path)] {
		return
	}
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			names := slices.Collect(maps.Keys(b))
			for name := range a {
				if _, both := b[name]; !both {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			for _, name := range names {
				d.compare(path+"."+name, at(b, name), at(a, name))
			}
			return
		}
	case []any:
		if a, ok := after.([]any); ok {
			for i := range max(len(a), len(b)) {
				d.compare(fmt.Sprintf("%s[%d]", path, i), nth(b, i), nth(a, i))
			}
			return
		}
	}
	d.changes = append(d.changes, function.ReplayChange{Path: path, Before: text(before), After: text(after)})
}

func at(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return none{}
}

func nth(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return none{}
}

// text is a value for a report: cut where it is long, nil where there is none.
func text(v any) json.RawMessage {
	if _, ok := v.(none); ok {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	if len(b) > maxValue {
		b, _ = json.Marshal(string([]rune(string(b[:maxValue]))) + "…") // text can be written as JSON
	}
	return b
}
