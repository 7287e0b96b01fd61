package kafka

import "time"

// sayAgain is how often a trouble that goes on is told of at most.
const sayAgain = 10 * time.Second

// trouble is something that goes wrong again and again for one reason, which is told of at once, now and then, and when it is over. It is for
// one goroutine.
type trouble struct{ began, said time.Time }

// tell says whether it is to be told of now that it has happened, again.
func (t *trouble) tell(now time.Time) bool {
	if t.began.IsZero() {
		t.began = now
	}
	if !t.said.IsZero() && now.Sub(t.said) < sayAgain {
		return false
	}
	t.said = now
	return true
}

// over ends it. It returns how long it went on, and whether anybody was told of it.
func (t *trouble) over(now time.Time) (lasted time.Duration, told bool) {
	lasted, told = now.Sub(t.began), !t.said.IsZero()
	*t = trouble{}
	return lasted, told
}
