package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Health says by what averages a node is graded.
type Health struct {
	Window   function.Duration // of the averages
	Store    Bounds
	Queue    Bounds
	Errors   Bounds
	Response Bounds
}

// Bounds are the averages from which on something is degraded and unhealthy, in the unit of what they bound; zero: it never is.
type Bounds struct {
	Degraded, Unhealthy float64
	unit                unit
}

type unit uint8

const (
	seconds unit = iota // written as a duration
	count
	share // written in percent
)

const noBounds = "off"

func defaultHealth() Health {
	return Health{
		Window: function.Duration(30 * time.Second),
		Store:  Bounds{0.5, 5, seconds}, Queue: Bounds{100, 1000, count}, Errors: Bounds{0.05, 0.5, share}, Response: Bounds{unit: seconds},
	}
}

// UnmarshalText reads DEGRADED:UNHEALTHY, or off.
func (b *Bounds) UnmarshalText(text []byte) error {
	b.Degraded, b.Unhealthy = 0, 0
	if string(text) == noBounds {
		return nil
	}
	one, two, ok := strings.Cut(string(text), ":")
	if !ok {
		return fmt.Errorf("%q is not two bounds with a colon between them, nor off", text)
	}
	for _, part := range []struct {
		text string
		to   *float64
	}{{one, &b.Degraded}, {two, &b.Unhealthy}} {
		var err error
		if *part.to, err = b.unit.parse(strings.TrimSpace(part.text)); err != nil {
			return err
		}
	}
	return nil
}

func (u unit) parse(text string) (float64, error) {
	switch u {
	case seconds:
		var d function.Duration
		err := d.UnmarshalText([]byte(text))
		return d.Std().Seconds(), err
	case share:
		number, percent := strings.CutSuffix(text, "%")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || !percent {
			return 0, fmt.Errorf("%q is not a share such as 5%%", text)
		}
		return v / 100, nil
	}
	v, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return float64(v), nil
}

func (u unit) text(v float64) string {
	switch u {
	case seconds:
		return function.Duration(math.Round(v * 1e9)).String()
	case share:
		return strconv.FormatFloat(v*100, 'g', 6, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func (b Bounds) String() string {
	if b.Unhealthy == 0 {
		return noBounds
	}
	return b.unit.text(b.Degraded) + ":" + b.unit.text(b.Unhealthy)
}

func (b Bounds) check() string {
	switch {
	case b.Degraded == 0 && b.Unhealthy == 0: // off
		return ""
	case !(b.Degraded > 0) || !(b.Unhealthy > b.Degraded):
		return fmt.Sprintf("is %s; the first bound is more than nothing, and the second is more than the first", b)
	case b.unit == share && b.Unhealthy > 1:
		return fmt.Sprintf("is %s; nothing is more than 100%%", b)
	}
	return ""
}

func healthSettings() []Setting {
	const form = "DEGRADED:UNHEALTHY or off"
	return []Setting{
		{Key: "health.window", Form: "duration", Help: "What the averages are of that the node and its functions are graded by; docs/health.md.",
			value: func(n *Node) any { return &n.Health.Window }, check: func(n *Node) string {
				return span(n.Health.Window, function.Duration(time.Second), function.Duration(time.Hour))
			}},
		{Key: "health.store", Form: form, Help: "How long the log takes to store something, on average, from which on the node is degraded, and unhealthy.",
			value: func(n *Node) any { return &n.Health.Store }, check: func(n *Node) string { return n.Health.Store.check() }},
		{Key: "health.queue", Form: form, Help: "The same of calls that wait for an instance: of one function, and of all together.",
			value: func(n *Node) any { return &n.Health.Queue }, check: func(n *Node) string { return n.Health.Queue.check() }},
		{Key: "health.errors", Form: form, Help: "The same of the share of calls that failed: for the node those that dalamb could not make, for a function those that it failed too.",
			value: func(n *Node) any { return &n.Health.Errors }, check: func(n *Node) string { return n.Health.Errors.check() }},
		{Key: "health.response", Form: form, Help: "The same of the time from a call to its answer: of one function, and of all together. What streams is left out.",
			value: func(n *Node) any { return &n.Health.Response }, check: func(n *Node) string { return n.Health.Response.check() }},
	}
}
