package kafka

import (
	"slices"
	"testing"
	"time"
)

func TestTroubleIsToldOfNowAndThen(t *testing.T) {
	begin := time.Unix(1_000_000, 0)
	var tr trouble
	for range 2 {
		if _, told := tr.over(begin); told {
			t.Error("it is over before it began")
		}
		var got []int
		for ms := 0; ms <= 25_000; ms += 500 {
			if tr.tell(begin.Add(time.Duration(ms) * time.Millisecond)) {
				got = append(got, ms)
			}
		}
		if want := []int{0, 10_000, 20_000}; !slices.Equal(got, want) {
			t.Errorf("told of it after %v ms, want %v", got, want)
		}
		if lasted, told := tr.over(begin.Add(26 * time.Second)); lasted != 26*time.Second || !told {
			t.Errorf("over() = %s, %t, want 26s, true", lasted, told)
		}
	}
}
