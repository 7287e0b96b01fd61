package entry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// elsewhere says on what ports a function that is not ready listens instead of its own; "" = on none, or that is not known.
func (in *instance) elsewhere() string {
	box, can := in.box.(runner.PortLister)
	if !can {
		return ""
	}
	ports, err := box.Listening()
	if err != nil {
		return ""
	}
	e := in.start.Version.Spec.Entry
	ports = slices.DeleteFunc(ports, func(p int) bool { return e.Type == function.EntryHTTP && p == e.Port })
	if len(ports) == 0 {
		return ""
	}
	const most = 5
	var names []string
	for _, p := range ports[:min(most, len(ports))] {
		names = append(names, fmt.Sprint(p))
	}
	text := "; it listens on port " + strings.Join(names, ", ")
	if more := len(ports) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if e.Type == function.EntryHTTP {
		return text + " instead: set entry.port to it, or let it listen on $PORT"
	}
	return text + ": a function that serves HTTP has entry.type http"
}
