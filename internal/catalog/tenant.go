package catalog

import (
	"slices"

	"github.com/dalamb/dalamb/internal/function"
)

// Of is a view that shows the functions of one environment alone, and nothing that belongs to no function: for what is looked up, and suggested, by name.
func (v *View) Of(env string) *View {
	own := &View{Offset: v.Offset, functions: map[string]*Function{}}
	for _, name := range v.FunctionsOf(env) {
		own.functions[name], own.names = v.functions[name], append(own.names, name)
	}
	return own
}

// Hears says whether a function of an environment listens to a topic.
func (v *View) Hears(env, topic string) bool {
	for _, name := range v.FunctionsOf(env) {
		if slices.ContainsFunc(v.functions[name].Triggers, func(t *Trigger) bool { return t.Topic == topic && !function.SystemTopic(topic) }) {
			return true
		}
	}
	return false
}
