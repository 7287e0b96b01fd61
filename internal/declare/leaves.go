package declare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dalamb/dalamb/internal/function"
)

// leaves are the values of a Spec by the path to them. A trigger is known by its name, and a filter is one value.
func leaves(spec *function.Spec) map[string]any {
	out := map[string]any{}
	var tree any
	if text, err := json.Marshal(spec); err != nil || json.Unmarshal(text, &tree) != nil {
		return out // not a number in a Spec, which Validate refuses
	}
	walk(tree, "", out)
	return out
}

func walk(v any, at string, out map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			path := name
			if at != "" {
				path = at + "." + name
			}
			if name == "filter" {
				out[path] = child
				continue
			}
			walk(child, path, out)
		}
	case []any:
		for i, child := range v {
			index := strconv.Itoa(i)
			if m, ok := child.(map[string]any); ok && at == "triggers" {
				index = fmt.Sprint(m["name"])
			}
			walk(child, at+"["+index+"]", out)
		}
	default:
		out[at] = v
	}
}

func union[V any](a, b map[string]V) []string {
	all := map[string]V{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
