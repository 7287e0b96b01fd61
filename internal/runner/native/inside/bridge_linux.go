package inside

import (
	"sync"
	"syscall"
	"unsafe"
)

const (
	streamRoom = 256 << 10 // of data that is under way in one direction of a stream
	tellAfter  = streamRoom / 4
	queueRoom  = 256 << 10 // of frames that wait to be written; then nothing more is read from the streams' files
	maxStreams = 1024
)

// way says what the end of a stream that the other side is given can do.
type way byte

const (
	readable way = 'r'
	writable way = 'w'
	both     way = 'b'
)

// bridge carries what a Conn does to where no descriptor can be passed on, into another kernel: a descriptor that is sent becomes a stream
// of bytes, and who receives it gets one of its own kernel for it. All goes over two pipes, so streams have bounds: one that nobody
// reads holds up no other.
//
// One goroutine runs it; any may send.
type bridge struct {
	in, out int
	wake    [2]int // a pipe
	first   uint32 // number of the first stream that this end opens, of which every second is its own

	// Of the goroutine that runs it.
	input []byte
	last  bool // nothing more that comes is of interest

	mu      sync.Mutex
	changed sync.Cond // a stream is gone, or all is written
	streams map[uint32]*stream
	next    uint32
	queue   []byte // frames
	written int    // bytes of queue
}

// stream is one end of one.
type stream struct {
	id     uint32
	way    way
	fd     int    // -1 = not given yet
	source bool   // what can be read from fd is wanted
	sink   bool   // more may come for fd
	credit int    // bytes that may be sent
	given  int    // bytes that the other end may send
	owed   int    // bytes that fd has taken since the other end was told
	buf    []byte // for fd
	ended  bool   // nothing comes after buf
}

// newBridge makes one of a pipe in each direction. first is 1 on one side and 2 on the other.
func newBridge(in, out int, first uint32) (*bridge, error) {
	b := &bridge{in: in, out: out, first: first, next: first, streams: map[uint32]*stream{}}
	b.changed.L = &b.mu
	if err := syscall.Pipe2(b.wake[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, err
	}
	for _, fd := range []int{in, out} {
		if err := syscall.SetNonblock(fd, true); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Send sends a frame; what the descriptors give and take is carried from now on. They stay the caller's.
func (b *bridge) Send(k Kind, p *Packer, files ...int) error {
	var ids, ways []int64
	var opened []*stream
	for _, fd := range files {
		s, err := newStream(fd)
		if err != nil {
			return err
		}
		opened = append(opened, s)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range opened {
		s.id = b.next
		b.next += 2
		b.streams[s.id] = s
		ids, ways = append(ids, int64(s.id)), append(ways, int64(s.way))
	}
	head := new(Packer).Number(int64(k)).Numbers(ids).Numbers(ways)
	if p != nil {
		head.b = append(head.b, p.b...)
	}
	if len(head.b) > maxFrame {
		return syscall.E2BIG
	}
	b.put(frameControl, 0, head.b)
	b.notify()
	return nil
}

// newStream makes this side's end of a stream out of a copy of a descriptor.
func newStream(fd int) (*stream, error) {
	flags, err := fcntl(fd, syscall.F_GETFL, 0)
	if err != nil {
		return nil, err
	}
	fd, err = fcntl(fd, syscall.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	s := &stream{fd: fd, credit: streamRoom, given: streamRoom}
	switch flags & syscall.O_ACCMODE {
	case syscall.O_RDONLY:
		s.way, s.source = readable, true
	case syscall.O_WRONLY:
		s.way, s.sink = writable, true
	default:
		s.way, s.source, s.sink = both, true, true
	}
	return s, syscall.SetNonblock(fd, true)
}

func fcntl(fd, what, arg int) (int, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(what), uintptr(arg))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// accepted is this side's end of a stream that the other side opened, without a descriptor yet.
func (b *bridge) accepted(id uint32, w way) (*stream, error) {
	_, taken := b.streams[id]
	if taken || id%2 == b.first%2 || len(b.streams) >= 2*maxStreams {
		return nil, errFrame
	}
	s := &stream{id: id, way: w, fd: -1, credit: streamRoom, given: streamRoom}
	switch w {
	case readable:
		s.sink = true
	case writable:
		s.source = true
	case both:
		s.source, s.sink = true, true
	default:
		return nil, errFrame
	}
	b.streams[id] = s
	return s, nil
}

// attach gives a stream its descriptor, which is the bridge's from now on.
func (b *bridge) attach(s *stream, fd int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if syscall.SetNonblock(fd, true) != nil {
		syscall.Close(fd)
		b.refuse(s)
		return
	}
	s.fd = fd
	b.settle(s)
	b.notify()
}

// abandon ends a stream that has no descriptor.
func (b *bridge) abandon(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse(s)
	b.notify()
}

func (b *bridge) refuse(s *stream) {
	b.endSource(s)
	b.breakSink(s)
	b.settle(s)
}

// open makes the descriptor that the other side's is on this one: of a pipe, or of a socket.
func (b *bridge) open(s *stream) (int, error) {
	var fds [2]int
	var err error
	mine, theirs := 0, 1
	switch s.way {
	case both:
		fds, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	case readable:
		mine, theirs = 1, 0
		fallthrough
	default:
		err = syscall.Pipe2(fds[:], syscall.O_CLOEXEC)
	}
	if err != nil {
		b.abandon(s)
		return -1, err
	}
	b.attach(s, fds[mine])
	return fds[theirs], nil
}

// openAll is open for the streams of a frame.
func (b *bridge) openAll(streams []*stream) ([]int, error) {
	var fds []int
	for _, s := range streams {
		fd, err := b.open(s)
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// put adds a frame to what is to be written. The caller holds mu.
func (b *bridge) put(kind byte, id uint32, body []byte) {
	f := frame{kind, id, body}
	b.queue = f.append(b.queue)
}

// notify lets the goroutine that runs the bridge see what has changed. The caller may hold mu: a full pipe says the same.
func (b *bridge) notify() { _, _ = syscall.Write(b.wake[1], []byte{0}) }

// endSource tells the other end that no more comes. The caller holds mu, here and below.
func (b *bridge) endSource(s *stream) {
	if s.source {
		s.source = false
		b.put(frameEnd, s.id, nil)
	}
}

// breakSink tells the other end that no more is wanted.
func (b *bridge) breakSink(s *stream) {
	if s.sink && !s.ended {
		b.put(frameBroken, s.id, nil)
	}
	s.sink, s.buf = false, nil
}

// settle closes what is over of a stream.
func (b *bridge) settle(s *stream) {
	if s.sink && s.ended && len(s.buf) == 0 && s.fd >= 0 {
		s.sink = false
		if s.source {
			_ = syscall.Shutdown(s.fd, syscall.SHUT_WR) // who is there no more needs no end
		}
	}
	if s.source || s.sink {
		return
	}
	if s.fd >= 0 {
		syscall.Close(s.fd)
		s.fd = -1
	}
	delete(b.streams, s.id)
	b.changed.Broadcast()
}

// awaitOutput waits until nothing of what was printed, on either side, is under way.
func (b *bridge) awaitOutput() { b.await(b.printed) }

// printed says whether that is so. The caller holds mu.
func (b *bridge) printed() bool {
	for _, s := range b.streams {
		if s.way == writable {
			return false
		}
	}
	return true
}

// finish lets run end as soon as all that was printed is there. It is for the goroutine that runs the bridge.
func (b *bridge) finish() { b.last = true }

// flush writes all that was sent, and nothing is sent after it: the process is about to end.
func (b *bridge) flush() {
	b.mu.Lock()
	if syscall.SetNonblock(b.out, false) == nil {
		_ = b.write() // who is there no more need not hear it
	}
}

// awaitRoom waits until there are not too many streams.
func (b *bridge) awaitRoom() { b.await(func() bool { return len(b.streams) < maxStreams/2 }) }

func (b *bridge) await(ok func() bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !ok() {
		b.changed.Wait()
	}
}

// pollFD is a struct pollfd. // poll(2)
type pollFD struct {
	fd             int32
	events, result int16
}

const (
	pollIn  = 0x1
	pollOut = 0x4
)

func poll(fds []pollFD) error {
	return Again(func() error {
		_, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
}
