package openapi

import (
	"sync"
	"testing"
)

// More requests at a time than there are compiled schemas wait for each other, and each has its own faults.
func TestManyRequestsAtATime(t *testing.T) {
	d := parse(t, shop)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 50 {
				want, body := "", `{"sku":"ABC","qty":1}`
				if i%2 == 0 {
					want, body = "body /qty is 0, not above 0", `{"sku":"ABC","qty":0}`
				}
				if got := ask(t, d, "POST", "/orders", body, "Content-Type", "application/json"); got != want {
					t.Errorf("%s: got %q, want %q", body, got, want)
				}
			}
		})
	}
	all.Wait()
	if len(d.sets) != cap(d.sets) {
		t.Errorf("%d of %d sets of schemas came back", len(d.sets), cap(d.sets))
	}
}
