package function

// Chain is what leads to an invocation: functions that call functions, and events before them. The zero Chain begins with it.
type Chain struct {
	Cause       string   // the run of the function that asks, or of the request that this is a part of; "" = none, or nobody knows which
	Correlation string   // the id of the first event or run; "" = this run
	Hops        int      // functions that it has passed; the loop guard counts them
	Waiting     []string // the functions that wait for the answer, by their full names, the first one first
}
