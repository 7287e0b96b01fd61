package api

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// awsStream writes messages in AWS's binary form. Smithy specification, "Amazon Event Stream".
type awsStream struct {
	to    io.Writer
	flush func() error
}

// stringHeader is the type of a header whose value is text.
const stringHeader = 7

// send writes one event: its length, the length of its headers, the checksum of both, the headers, the payload, the checksum of all. It goes to the client at once.
func (s awsStream) send(event, contentType string, payload []byte) error {
	var headers []byte
	for _, h := range [][2]string{{":message-type", "event"}, {":event-type", event}, {":content-type", contentType}} {
		headers = append(append(headers, byte(len(h[0]))), h[0]...)
		headers = append(binary.BigEndian.AppendUint16(append(headers, stringHeader), uint16(len(h[1]))), h[1]...)
	}
	const prelude, sum = 8, 4
	message := binary.BigEndian.AppendUint32(nil, uint32(prelude+sum+len(headers)+len(payload)+sum))
	message = binary.BigEndian.AppendUint32(message, uint32(len(headers)))
	message = binary.BigEndian.AppendUint32(message, crc32.ChecksumIEEE(message))
	message = append(append(message, headers...), payload...)
	message = binary.BigEndian.AppendUint32(message, crc32.ChecksumIEEE(message))
	if _, err := s.to.Write(message); err != nil {
		return err
	}
	return s.flush()
}
