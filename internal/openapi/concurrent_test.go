package openapi

import (
	"net/http"
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
	if sets := d.sets[inbound]; len(sets) != cap(sets) {
		t.Errorf("%d of %d sets of schemas came back", len(sets), cap(sets))
	}
}

func TestRequestsDoNotWaitForAnswersThatAreLookedAt(t *testing.T) {
	d := parse(t, "openapi: 3.1.0\npaths: {/a: {post: {requestBody: {content: {application/json: {schema: {type: integer}}}}, responses: {default: {content: {application/json: {schema: {type: integer}}}}}}}}")
	answered := make(chan struct{})
	s := <-d.sets[outbound]
	m, _ := d.Find("POST", "/a")
	go func() {
		defer close(answered)
		m.CheckAnswer(200, http.Header{"Content-Type": {"application/json"}}, []byte("1"))
	}()
	if got := ask(t, d, "POST", "/a", "1", "Content-Type", "application/json"); got != "" {
		t.Errorf("the request is not taken: %s", got)
	}
	d.sets[outbound] <- s
	<-answered
}
