package inside

import (
	"errors"
	"syscall"
)

// Kind says what a frame between node and init means.
type Kind byte

// What the node says, what the init says, and what the node and a zygote say.
const (
	Start  Kind = 'S' // Task; descriptors: stdin, stdout, stderr, the code's mount when Task.CodeMount, the device when Task.EgressGiven, mounts of this program and of the runtime when Task.Runtime, then those of the layers when Task.LayerMounts, or of the directories when Task.MountsGiven
	Dial   Kind = 'D' // number of the dial, port
	Signal Kind = 'K' // number of the signal, for the command's process group
	Join   Kind = 'J' // number and command of a companion; descriptors: stdin, stdout, stderr
	Begin  Kind = 'B' // start the command, which Task.Hold kept back

	Ready      Kind = 'r' // the sandbox waits for Start
	Failed     Kind = 'f' // text: what dalamb or the machine could not do; the init is about to end
	Listening  Kind = 'l' // descriptor: the listener
	Calling    Kind = 'c' // descriptor: the listener for Task.Calls
	Linked     Kind = 't' // descriptor: the device that is the sandbox's way out
	Started    Kind = 's' // the command runs
	Left       Kind = 'p' // number of the companion, errno of its exec, wait status
	NotStarted Kind = 'n' // number: errno of the command's exec, or of its directory when a second number is 1; the init is about to end
	Dialled    Kind = 'd' // number of the dial, errno; descriptor: the connection when errno is 0
	Ended      Kind = 'e' // wait status, nanoseconds of CPU, KiB of memory, whether nothing else lives inside; the init is about to end

	Make    Kind = 'M' // Nest; descriptor: the init's end of its socket
	Made    Kind = 'm' // pid; descriptor: the init's pidfd
	NotMade Kind = 'x' // text: what the machine could not do
)

const (
	maxFrame = 8 << 20
	maxFiles = 7 + maxLayers // more than there are mounts, which exclude layers
)

// Conn is one end of the stream socket between the node and an init or a zygote. One reader and one writer at a time.
type Conn struct{ fd int }

// NewConn makes a Conn of a connected stream socket of the unix family.
func NewConn(fd int) *Conn { return &Conn{fd} }

// Send writes a frame: length and kind, to which the descriptors are attached, then the fields. It goes out in one piece where it
// can, so that the other end is woken once.
func (c *Conn) Send(k Kind, p *Packer, files ...int) error {
	var body []byte
	if p != nil {
		body = p.b
	}
	if len(body) > maxFrame {
		return syscall.E2BIG
	}
	frame := append(append(number(nil, uint64(len(body))), byte(k)), body...)
	var rights []byte
	if len(files) > 0 {
		rights = syscall.UnixRights(files...)
	}
	for len(frame) > 0 {
		var n int
		err := Again(func() (err error) {
			n, err = syscall.SendmsgN(c.fd, frame, rights, nil, syscall.MSG_NOSIGNAL)
			return err
		})
		if err != nil {
			return err
		}
		frame, rights = frame[n:], nil
	}
	return nil
}

var errEnd = errors.New("the other end is gone")

// Receive reads a frame. The descriptors that came with it are the caller's. It never reads beyond the frame: the kernel may
// give plain bytes and a next frame's descriptors in one.
func (c *Conn) Receive() (Kind, *Unpacker, []int, error) {
	head := make([]byte, 9)
	files, err := c.read(head)
	if err != nil {
		return 0, nil, files, err
	}
	size := value(head)
	if size > maxFrame {
		return 0, nil, files, syscall.EMSGSIZE
	}
	body := make([]byte, size)
	more, err := c.read(body)
	return Kind(head[8]), &Unpacker{b: body}, append(files, more...), err
}

// read fills b.
func (c *Conn) read(b []byte) ([]int, error) {
	var files []int
	oob := make([]byte, syscall.CmsgSpace(4*maxFiles))
	for len(b) > 0 {
		var n, oobn int
		err := Again(func() (err error) {
			n, oobn, _, _, err = syscall.Recvmsg(c.fd, b, oob, syscall.MSG_CMSG_CLOEXEC)
			return err
		})
		if err == nil && n == 0 {
			err = errEnd
		}
		if err != nil {
			return files, err
		}
		b = b[n:]
		messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return files, err
		}
		for _, m := range messages {
			got, err := syscall.ParseUnixRights(&m)
			if err != nil {
				return files, err
			}
			files = append(files, got...)
		}
	}
	return files, nil
}

// Again repeats a call while a signal interrupts it: Go's runtime sends itself some, and not every call is resumed. // signal(7)
func Again(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// Packer collects the fields of a frame. The zero value is ready.
type Packer struct{ b []byte }

func number(b []byte, n uint64) []byte {
	for i := range 8 {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

func value(b []byte) uint64 {
	var n uint64
	for i := range 8 {
		n |= uint64(b[i]) << (8 * i)
	}
	return n
}

// Number adds a number.
func (p *Packer) Number(n int64) *Packer {
	p.b = number(p.b, uint64(n))
	return p
}

// Text adds a string.
func (p *Packer) Text(s string) *Packer {
	p.b = append(number(p.b, uint64(len(s))), s...)
	return p
}

// Texts adds a list of strings.
func (p *Packer) Texts(list []string) *Packer {
	p.Number(int64(len(list)))
	for _, s := range list {
		p.Text(s)
	}
	return p
}

// Unpacker gives the fields of a frame back in their order. A field that is not there is zero: both ends are the same
// program, and who is in the sandbox cannot write to the socket.
type Unpacker struct{ b []byte }

// Number returns the next field.
func (u *Unpacker) Number() int64 {
	if len(u.b) < 8 {
		u.b = nil
		return 0
	}
	n := value(u.b)
	u.b = u.b[8:]
	return int64(n)
}

// Text returns the next field.
func (u *Unpacker) Text() string {
	n := uint64(u.Number())
	if n > uint64(len(u.b)) {
		u.b = nil
		return ""
	}
	s := string(u.b[:n])
	u.b = u.b[n:]
	return s
}

// Numbers adds a list of numbers.
func (p *Packer) Numbers(list []int64) *Packer {
	p.Number(int64(len(list)))
	for _, n := range list {
		p.Number(n)
	}
	return p
}

// Numbers returns the next field.
func (u *Unpacker) Numbers() []int64 {
	n := uint64(u.Number())
	var list []int64
	for range min(n, uint64(len(u.b))) {
		list = append(list, u.Number())
	}
	return list
}

// Texts returns the next field.
func (u *Unpacker) Texts() []string {
	n := uint64(u.Number())
	var list []string
	for range min(n, uint64(len(u.b))) {
		list = append(list, u.Text())
	}
	return list
}
