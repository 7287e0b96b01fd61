package bisect

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"testing"
)

func TestTheFirstBadVersionIsFound(t *testing.T) {
	versions := []int{1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 20} // some are gone
	for k := 1; k < len(versions); k++ {
		first, tried := versions[k], []int{}
		good, bad, between, err := search(t.Context(), versions, func(_ context.Context, n int) (Verdict, error) {
			tried = append(tried, n)
			if n < first {
				return Good, nil
			}
			return Bad, nil
		})
		if err != nil || bad != first || good != versions[k-1] || len(between) > 0 {
			t.Errorf("first bad %d: good %d, bad %d, between %v, %v", first, good, bad, between, err)
		}
		if most := bits.Len(uint(len(versions))); len(tried) > most {
			t.Errorf("first bad %d: tried %v, want at most %d", first, tried, most)
		}
		if slices.Sort(tried); len(slices.Compact(slices.Clone(tried))) != len(tried) || slices.Contains(tried, 1) || slices.Contains(tried, 20) {
			t.Errorf("first bad %d: tried %v, want each once and no end", first, tried)
		}
	}
}

func TestVersionsThatCannotBeToldAreNamed(t *testing.T) {
	verdict := func(_ context.Context, n int) (Verdict, error) {
		switch {
		case n == 4 || n == 5:
			return Skip, nil
		case n < 4:
			return Good, nil
		}
		return Bad, nil
	}
	good, bad, between, err := search(t.Context(), []int{1, 2, 3, 4, 5, 6, 7, 8}, verdict)
	if err != nil || good != 3 || bad != 6 || !slices.Equal(between, []int{4, 5}) {
		t.Errorf("good %d, bad %d, between %v, %v; want 3, 6, 4 and 5", good, bad, between, err)
	}
	_, _, _, err = search(t.Context(), []int{1, 2, 3}, func(context.Context, int) (Verdict, error) { return "", errors.ErrUnsupported })
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a test that ends the search: %v", err)
	}
}
