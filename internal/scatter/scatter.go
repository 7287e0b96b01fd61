// Package scatter owns what it is to ask several at once: it waits for as long as there is time, asks who is slow again, and puts together what has
// come, naming what has not. It does not know who is asked, or by what: the gateway asks functions.
package scatter

import (
	"context"
	"time"
)

// Leaf is one of those that are asked.
type Leaf struct {
	Name string // a function's name, or a number
	// Ask asks, on a goroutine of its own, and blocks until there is an answer; attempt counts from 1. When ctx is done nobody waits for it any more.
	Ask func(ctx context.Context, attempt int) Part
	// After is how long an answer may take before the leaf is asked again; 0 = as long as it takes. Again says then whether it may be.
	After time.Duration
	Again func() bool
}

// Part is what came of a leaf.
type Part struct {
	Leaf    string
	Body    []byte // JSON, without white space around it
	Missing string // why there is no Body: a word of this package, or a status such as 502; "" = there is one
}

// Why a part is missing.
const (
	Timeout     = "timeout"     // it did not come in time
	Failed      = "failed"      // the leaf broke down before it had answered
	Unavailable = "unavailable" // nobody took the question
	NotJSON     = "not-json"
	TooLarge    = "too-large"
)

// came is an answer of a leaf, by its number.
type came struct {
	leaf int
	part Part
}

// All asks all leaves at the same time, and returns their parts, in the same order, when each has answered or ctx is done. start runs a function on a
// goroutine whose end its owner awaits: an answer that is late is nobody's.
func All(ctx context.Context, leaves []Leaf, start func(func())) []Part {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan came, 2*len(leaves)) // room for all, so that nobody waits who is late
	slow := make(chan int, len(leaves))
	parts, asked := make([]Part, len(leaves)), make([]int, len(leaves))
	under := make([]int, len(leaves)) // attempts of a leaf that is open
	ask := func(i int) {
		asked[i]++
		under[i]++
		attempt := asked[i]
		start(func() { answers <- came{i, leaves[i].Ask(ctx, attempt)} })
	}
	for i, l := range leaves {
		parts[i] = Part{Leaf: l.Name, Missing: Timeout}
		ask(i)
		if l.After > 0 {
			defer time.AfterFunc(l.After, func() { slow <- i }).Stop()
		}
	}
	for open := len(leaves); open > 0; {
		select {
		case a := <-answers:
			i := a.leaf
			if under[i]--; under[i] < 0 || a.part.Missing != "" && under[i] > 0 {
				continue // the other attempt has answered, or still may
			}
			parts[i] = a.part
			parts[i].Leaf = leaves[i].Name
			under[i] = 0
			open--
		case i := <-slow:
			if under[i] > 0 && leaves[i].Again() {
				ask(i)
			}
		case <-ctx.Done():
			return parts
		}
	}
	return parts
}

// Here counts the parts that are there.
func Here(parts []Part) (n int) {
	for _, p := range parts {
		if p.Missing == "" {
			n++
		}
	}
	return n
}
