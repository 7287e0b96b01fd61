package function

import "io"

// Upload is the Body of an Invocation's Request that comes while the function reads it, from a client that may be slow, or gone. One goroutine reads it.
// Either Open or Gather comes first, from the goroutine of the call.
type Upload interface {
	// Open says that Read follows: from then on the answer may begin before the body has ended.
	Open()
	// ReadCloser's Read waits for the client. Close, from any goroutine, ends a Read that waits, and all that come later; its error says that one
	// waited when it was closed first, however often it is called.
	io.ReadCloser
	// Gather reads it whole into memory, in place of Read, for a function that takes it only so. The bound is that of bodies in memory.
	Gather() ([]byte, error)
	// Err is what the client did wrong so far: it broke off, sent nothing for long, or sent more than it may. It is known when Read has returned it.
	Err() error
}
