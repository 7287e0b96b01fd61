package inside

import "syscall"

// received is called with each frame that comes, from the goroutine that runs the bridge. The streams have no descriptors yet: it opens,
// attaches or abandons each, at once or later.
type received func(k Kind, u *Unpacker, streams []*stream)

// run carries until the other end is gone or breaks a rule, or after finish.
func (b *bridge) run(handle received) error {
	chunk := make([]byte, maxData)
	for {
		fds, streams := b.wants()
		if err := poll(fds); err != nil {
			return err
		}
		if fds[0].result != 0 {
			for {
				if n, err := syscall.Read(b.wake[0], chunk); n < len(chunk) || err != nil {
					break
				}
			}
		}
		if fds[1].result != 0 {
			if err := b.receive(chunk, handle); err != nil {
				return err
			}
		}
		b.mu.Lock()
		for i, s := range streams {
			if fds[3+i].result != 0 && s.fd >= 0 {
				b.carry(s, chunk)
			}
		}
		err := b.write()
		done := b.last && b.printed()
		b.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil && !b.last:
			return err
		}
	}
}

// wants lists what the bridge waits for: to be woken, its pipes, and the streams that are returned.
func (b *bridge) wants() ([]pollFD, []*stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fds := []pollFD{{fd: int32(b.wake[0]), events: pollIn}, {fd: int32(b.in), events: pollIn}, {fd: -1}}
	if b.last {
		fds[1].fd = -1
	}
	if len(b.queue) > 0 && !b.last {
		fds[2] = pollFD{fd: int32(b.out), events: pollOut}
	}
	var streams []*stream
	for _, s := range b.streams {
		p := pollFD{fd: int32(s.fd)}
		if s.source && s.credit > 0 && len(b.queue)-b.written < queueRoom {
			p.events |= pollIn
		}
		if s.sink && len(s.buf) > 0 {
			p.events |= pollOut
		}
		if s.fd >= 0 && p.events != 0 {
			fds, streams = append(fds, p), append(streams, s)
		}
	}
	return fds, streams
}

// carry moves what can be moved to and from a stream's descriptor. The caller holds mu.
func (b *bridge) carry(s *stream, chunk []byte) {
	if s.sink && len(s.buf) > 0 {
		n, err := syscall.Write(s.fd, s.buf)
		switch {
		case err == nil:
			s.buf = s.buf[:copy(s.buf, s.buf[n:])]
			b.tell(s, n)
		case !again(err):
			b.breakSink(s)
		}
	}
	if s.source && s.credit > 0 {
		n, err := syscall.Read(s.fd, chunk[:min(s.credit, len(chunk))])
		switch {
		case err != nil && again(err):
		case err != nil || n == 0:
			b.endSource(s)
		default:
			s.credit -= n
			b.put(frameData, s.id, chunk[:n])
		}
	}
	b.settle(s)
}

func again(err error) bool { return err == syscall.EAGAIN || err == syscall.EINTR }

// tell lets the other end send more for what was taken, when that is worth a frame.
func (b *bridge) tell(s *stream, n int) {
	s.owed += n
	if s.owed < tellAfter || s.ended {
		return
	}
	b.put(frameRoom, s.id, append32(nil, uint32(s.owed)))
	s.given += s.owed
	s.owed = 0
}

// write writes what is waiting, as far as the pipe takes it. The caller holds mu.
func (b *bridge) write() error {
	for b.written < len(b.queue) {
		n, err := syscall.Write(b.out, b.queue[b.written:])
		if err != nil {
			if again(err) {
				break
			}
			return err
		}
		b.written += n
	}
	switch {
	case b.written == len(b.queue) && b.written > 0:
		b.queue, b.written = b.queue[:0], 0
		b.changed.Broadcast()
	case b.written > queueRoom:
		b.queue, b.written = b.queue[:copy(b.queue, b.queue[b.written:])], 0
	}
	return nil
}

// receive reads what has come, and does what the frames say that are whole.
func (b *bridge) receive(chunk []byte, handle received) error {
	n, err := syscall.Read(b.in, chunk)
	switch {
	case err != nil && again(err):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errEnd
	}
	b.input = append(b.input, chunk[:n]...)
	left := b.input
	for !b.last {
		f, rest, err := cutFrame(left)
		if err != nil {
			return err
		}
		if f == nil {
			break
		}
		left = rest
		if err := b.obey(f, handle); err != nil {
			return err
		}
	}
	b.input = b.input[:copy(b.input, left)]
	return nil
}

// obey does what a frame says. A stream that is gone here may still be spoken of there.
func (b *bridge) obey(f *frame, handle received) error {
	if f.kind == frameControl {
		return b.control(f, handle)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[f.stream]
	if s == nil {
		return nil
	}
	switch f.kind {
	case frameData:
		if len(f.body) > s.given || s.ended {
			return errFrame
		}
		s.given -= len(f.body)
		if s.sink {
			s.buf = append(s.buf, f.body...)
		}
	case frameRoom:
		s.credit = min(s.credit+int(value32(f.body)), streamRoom)
	case frameEnd:
		s.ended = true
	case frameBroken:
		if s.source && s.fd >= 0 {
			_ = syscall.Shutdown(s.fd, syscall.SHUT_RD) // a pipe is closed
		}
		s.source = false
	}
	b.settle(s)
	return nil
}

func (b *bridge) control(f *frame, handle received) error {
	u := &Unpacker{b: f.body}
	kind, ids, ways := Kind(u.Number()), u.Numbers(), u.Numbers()
	if len(ids) != len(ways) {
		return errFrame
	}
	var streams []*stream
	b.mu.Lock()
	for i, id := range ids {
		s, err := b.accepted(uint32(id), way(ways[i]))
		if err != nil {
			b.mu.Unlock()
			return err
		}
		streams = append(streams, s)
	}
	b.mu.Unlock()
	handle(kind, u, streams)
	return nil
}
