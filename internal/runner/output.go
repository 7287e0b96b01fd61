package runner

import (
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	chunkSize   = 32 << 10
	chunksAhead = 32              // how far a writer may be behind: 1 MiB
	writerWait  = 2 * time.Second // how long a writer that is behind may hold the function up; a busy machine is no slow writer
	drainWait   = 2 * time.Second // how long a writer may hold Done up that takes nothing
	drainRounds = 5               // of drainWait, for which one that takes something is waited for
	settleWait  = 200 * time.Millisecond
)

// Output carries what a function prints from its pipe to the writer of its Spec, for the drivers. The pipe is always
// read on, so that a slow writer loses output but does not stop the function.
type Output struct {
	pipe io.ReadCloser
	raw  syscall.RawConn // of the pipe; nil = it is no file
	done chan struct{}
	lost atomic.Int64
	left atomic.Bool // Drain has left the writer behind

	given   atomic.Int64 // bytes of those that came, that the writer has taken or lost
	waiting atomic.Bool  // flushes has some

	mu      sync.Mutex // the reader's alone but for flushes: what carries much takes it for no chunk twice
	read    int64      // bytes that came
	flushes []*flush
}

// Carry starts to read pipe until its end and to give what comes to write. Drain ends it.
func Carry(pipe io.ReadCloser, write func(p []byte)) *Output {
	o := &Output{pipe: pipe, done: make(chan struct{})}
	if file, is := pipe.(syscall.Conn); is {
		o.raw, _ = file.SyscallConn() // only of a file that is closed there is none, and reading that says so
	}
	if write == nil {
		write = func([]byte) {}
	}
	chunks := make(chan []byte, chunksAhead)
	var both sync.WaitGroup
	both.Go(func() { o.pull(chunks) })
	both.Go(func() {
		for c := range chunks {
			if o.left.Load() {
				o.lost.Add(int64(len(c)))
			} else {
				write(c)
			}
			o.give(len(c))
		}
	})
	go func() {
		both.Wait()
		close(o.done)
	}()
	return o
}

func (o *Output) pull(chunks chan<- []byte) {
	defer close(chunks)
	buf := make([]byte, chunkSize)
	behind := false
	for {
		n, err := o.next(buf)
		if n > 0 {
			behind = o.pass(chunks, append([]byte(nil), buf[:n]...), behind)
		}
		if err != nil {
			return
		}
	}
}

// pass hands one chunk on. A writer that once made the function wait in vain gets no more patience until it has caught up.
func (o *Output) pass(chunks chan<- []byte, c []byte, behind bool) bool {
	select {
	case chunks <- c:
		return false
	default:
	}
	if !behind {
		t := time.NewTimer(writerWait)
		defer t.Stop()
		select {
		case chunks <- c:
			return false
		case <-t.C:
		}
	}
	o.lost.Add(int64(len(c)))
	o.give(len(c))
	return true
}

// Drain waits until all was read and written. It is called when nothing that could write is left; what still holds the pipe
// open beyond a short time is cut off, and a writer that does not return is left behind: what it has not taken is lost. A busy machine is no slow writer: one
// that goes on has longer.
func (o *Output) Drain() {
	for range drainRounds {
		before := o.given.Load()
		if o.await(drainWait) || o.given.Load() == before {
			break
		}
	}
	o.pipe.Close()
	o.await(drainWait)
	o.left.Store(true)
}

// Settle waits until all was read and written of a program that has ended. What that program left behind may hold the pipe open: then
// it waits for a moment only.
func (o *Output) Settle() { o.await(settleWait) }

func (o *Output) await(d time.Duration) (done bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-o.done:
		return true
	case <-t.C:
		return false
	}
}

// Lost is how many bytes the writer was too slow for; after Drain those among them that it had not taken by then.
func (o *Output) Lost() int64 {
	lost := o.lost.Load()
	if o.left.Load() {
		o.mu.Lock()
		defer o.mu.Unlock()
		lost += o.read - o.given.Load()
	}
	return lost
}
