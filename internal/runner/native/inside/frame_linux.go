package inside

import "errors"

// What goes over a bridge: frames of a kind, the number of a stream, and a body. A control frame opens streams and so has no number.
const (
	frameControl byte = 'C' // Kind, the streams that it opens and their ways, fields
	frameData    byte = 'D'
	frameRoom    byte = 'R' // four bytes: how many more of data the other end may send
	frameEnd     byte = 'E' // no more data comes
	frameBroken  byte = 'B' // no more data is wanted
)

const (
	frameHead = 9 // kind, stream, length
	maxData   = 32 << 10
)

var errFrame = errors.New("the other end of a bridge does not keep to its rules")

type frame struct {
	kind   byte
	stream uint32
	body   []byte
}

func append32(b []byte, n uint32) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}

func value32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// append adds the frame's form to b.
func (f *frame) append(b []byte) []byte {
	b = append32(append32(append(b, f.kind), f.stream), uint32(len(f.body)))
	return append(b, f.body...)
}

// cutFrame takes the first frame off b, or none when it is not all there yet. The body is a part of b.
func cutFrame(b []byte) (f *frame, rest []byte, err error) {
	if len(b) < frameHead {
		return nil, b, nil
	}
	f = &frame{kind: b[0], stream: value32(b[1:])}
	size := value32(b[5:])
	most := uint32(0)
	switch f.kind {
	case frameControl:
		most = maxFrame
	case frameData:
		most = maxData
	case frameRoom:
		most = 4
	case frameEnd, frameBroken:
	default:
		return nil, b, errFrame
	}
	if size > most || f.kind == frameRoom && size != 4 {
		return nil, b, errFrame
	}
	if uint32(len(b)-frameHead) < size {
		return nil, b, nil
	}
	f.body = b[frameHead : frameHead+size]
	return f, b[frameHead+size:], nil
}
