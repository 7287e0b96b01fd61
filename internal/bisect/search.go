// Package bisect finds the version of a function that changed an outcome: it runs captured events again on versions between a good and a bad one,
// without publishing what they return, and halves what is left. It asks a node by client, and changes nothing but the node's list of replays.
package bisect

import (
	"context"
)

// Verdict is what a version was found to be.
type Verdict string

const (
	Good Verdict = "good"
	Bad  Verdict = "bad"
	Skip Verdict = "skip" // it cannot be told
)

// search halves the versions between a good and a bad one, both of which are known to be so: versions rises, its first is good, its last bad. test is asked of
// others, each once. bad is the first that is; before it stands good, and between them only such as cannot be told: where there are any the change
// may be theirs.
func search(ctx context.Context, versions []int, test func(context.Context, int) (Verdict, error)) (good, bad int, between []int, err error) {
	low, high := 0, len(versions)-1
	skipped := map[int]bool{}
	for {
		i := middle(low, high, skipped)
		if i < 0 {
			return versions[low], versions[high], versions[low+1 : high], nil
		}
		v, err := test(ctx, versions[i])
		if err != nil {
			return 0, 0, nil, err
		}
		switch v {
		case Good:
			low = i
		case Bad:
			high = i
		default:
			skipped[i] = true
		}
	}
}

// middle is the place between two that is nearest to their middle and was not skipped; -1 = there is none.
func middle(low, high int, skipped map[int]bool) int {
	best := -1
	far := func(i int) int { return max(2*i-low-high, low+high-2*i) }
	for i := low + 1; i < high; i++ {
		if !skipped[i] && (best < 0 || far(i) < far(best)) {
			best = i
		}
	}
	return best
}
