package runner

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Flusher is a Sandbox that can say when what its function has printed has arrived.
type Flusher interface {
	// Flush blocks until all that the command and its companions had written when it was called has been given to Spec.Stdout and Spec.Stderr, and
	// to theirs, or until wait is over. What they keep in buffers of their own they have not written.
	Flush(wait time.Duration)
}

// flush is somebody who waits for what was in a pipe.
type flush struct {
	upto    int64         // Output.given that it waits for; -1 = not known before the pipe has been found empty
	reached chan struct{} // closed when that is so
}

// FlushAll waits for several pipes, for all of them together no longer than wait.
func FlushAll(outputs []*Output, wait time.Duration) {
	over := time.NewTimer(wait)
	defer over.Stop()
	for _, o := range outputs {
		f := o.flush()
		select {
		case <-f.reached:
		case <-o.done:
		case <-over.C:
			return
		}
	}
}

// flush notes who waits for what is in the pipe now, and for what was read of it. A pipe with something in it will be read until it is empty.
func (o *Output) flush() *flush {
	f := &flush{upto: -1, reached: make(chan struct{})}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.empty() {
		f.upto = o.read
	}
	o.flushes = append(o.flushes, f)
	o.waiting.Store(true) // before given is looked at: who gives more from here on looks at flushes
	o.settled()
	return f
}

// empty says that nothing can be read of the pipe. The caller holds mu, so that nobody is between reading and counting.
func (o *Output) empty() bool {
	if o.raw == nil {
		return true
	}
	var polled []unix.PollFd
	if err := o.raw.Control(func(fd uintptr) {
		polled = []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, _ = unix.Poll(polled, 0)
	}); err != nil {
		return true // it is closed
	}
	return polled[0].Revents&unix.POLLIN == 0
}

// next reads of the pipe. Of a file what is read is counted in one step with its being read, so that it is never neither in the pipe nor counted.
func (o *Output) next(buf []byte) (n int, err error) {
	if o.raw == nil {
		n, err = o.pipe.Read(buf)
		o.mu.Lock()
		o.read += int64(max(n, 0))
		o.mu.Unlock()
		return n, err
	}
	gone := o.raw.Read(func(fd uintptr) bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		n, err = retried(func() (int, error) { return unix.Read(int(fd), buf) })
		if errors.Is(err, unix.EAGAIN) {
			o.found()
			return false // until there is something
		}
		o.read += int64(max(n, 0))
		return true
	})
	switch {
	case gone != nil:
		return 0, gone
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func retried(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// found notes that the pipe is empty. The caller holds mu.
func (o *Output) found() {
	for _, f := range o.flushes {
		if f.upto < 0 {
			f.upto = o.read
		}
	}
	o.settled()
}

// give counts what the writer has taken.
func (o *Output) give(n int) {
	o.given.Add(int64(n))
	if !o.waiting.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settled()
}

// settled tells those who have waited long enough. The caller holds mu.
func (o *Output) settled() {
	left := o.flushes[:0]
	for _, f := range o.flushes {
		if f.upto >= 0 && o.given.Load() >= f.upto {
			close(f.reached)
			continue
		}
		left = append(left, f)
	}
	clear(o.flushes[len(left):])
	o.flushes = left
	o.waiting.Store(len(left) > 0)
}
