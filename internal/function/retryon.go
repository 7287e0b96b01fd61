package function

// RetryOn says which version runs an event again.
type RetryOn string

const (
	RetryOnNewest RetryOn = "newest" // what "" means: what the alias has by then, because the fix is usually in it
	RetryOnSame   RetryOn = "same"   // the one that the run began with
)

func retryOns() []RetryOn { return []RetryOn{RetryOnSame, RetryOnNewest} }

func (c *checker) retryOn(at string, r RetryOn) {
	if r != "" {
		oneOf(c, at, r, retryOns())
	}
}

// LastVersion is the version of the last attempt of which it is known; 0 = of none.
func LastVersion(attempts []Attempt) int {
	for i := len(attempts) - 1; i >= 0; i-- {
		if v := attempts[i].Version; v != 0 {
			return v
		}
	}
	return 0
}
