package ship

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/function"
)

// SyslogOptions of NewSyslog. Network and Address are required.
type SyslogOptions struct {
	Network  string // udp, tcp, tls or unix
	Address  string // host:port, or the path of a socket
	Facility string // RFC 5424, section 6.2.1; "" = user
	Host     string // that messages say they are from; "" = the machine's name
	TLS      *tls.Config
}

// Syslog speaks RFC 5424: a message a datagram by UDP (RFC 5426) and to a socket of the machine, counted octets by TCP (RFC 6587) and TLS (RFC 5425).
// The protocol says nothing back: what a broken connection swallowed is not known.
type Syslog struct {
	o    SyslogOptions
	turn chan struct{} // has a value while somebody writes
	conn net.Conn      // of who has the turn; nil = none
}

// Bounds of messages. RFC 5426, section 3.2, asks receivers to take 2048 bytes.
const (
	mostDatagram = 2048
	dialPatience = 5 * time.Second
	// enterprise marks the names of structured data; it is the number that RFC 5612 has set aside for examples, since dalamb has none of its own.
	enterprise = "32473"
)

// NewSyslog connects to nobody yet.
func NewSyslog(o SyslogOptions) (*Syslog, error) {
	if o.Facility == "" {
		o.Facility = "user"
	}
	if o.Host == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "-"
		}
		o.Host = name
	}
	if _, ok := facility(o.Facility); !ok {
		return nil, fmt.Errorf("syslog has no facility %q", o.Facility)
	}
	return &Syslog{o: o, turn: make(chan struct{}, 1)}, nil
}

func facility(name string) (int, bool) {
	if text, ok := strings.CutPrefix(name, "local"); ok {
		n, err := strconv.Atoi(text)
		return 16 + n, err == nil && n >= 0 && n < 8
	}
	n, ok := map[string]int{"user": 1, "daemon": 3}[name]
	return n, ok
}

// severity: RFC 5424, section 6.2.1, table 2.
func severity(l function.LogLevel) int {
	switch l {
	case function.LogFatal:
		return 2
	case function.LogError:
		return 3
	case function.LogWarn:
		return 4
	case function.LogInfo:
		return 6
	}
	return 7
}

// Send writes a message for each line.
func (s *Syslog) Send(ctx context.Context, lines []Line) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	err := s.send(ctx, lines)
	if err != nil {
		if secured, ok := s.conn.(*tls.Conn); ok {
			secured.NetConn().Close() // or a farewell would wait for a receiver that does not read
		}
		s.shut()
		return fmt.Errorf("send to syslog at %s: %w", s.o.Address, err)
	}
	return nil
}

func (s *Syslog) send(ctx context.Context, lines []Line) error {
	if s.conn != nil && !s.datagrams() && s.ended() {
		s.shut()
	}
	if s.conn == nil {
		conn, err := s.dial(ctx)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.conn.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	conn := s.conn
	watched := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Now()) }) // of one that is closed there is nothing to end
	err := s.write(lines)
	if !watched() && err == nil {
		s.shut() // its deadline may be set while the next lines are written
	}
	return err
}

func (s *Syslog) write(lines []Line) error {
	if s.datagrams() {
		for i := range lines {
			if _, err := s.conn.Write(cut(s.message(&lines[i]), mostDatagram)); err != nil {
				return err
			}
		}
		return nil
	}
	var all []byte
	for i := range lines {
		m := s.message(&lines[i])
		all = append(strconv.AppendInt(all, int64(len(m)), 10), ' ')
		all = append(all, m...)
	}
	_, err := s.conn.Write(all)
	return err
}

func (s *Syslog) datagrams() bool { return s.o.Network == "udp" || s.o.Network == "unix" }

func (s *Syslog) dial(ctx context.Context) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialPatience}
	switch s.o.Network {
	case "tls":
		return (&tls.Dialer{NetDialer: d, Config: s.o.TLS}).DialContext(ctx, "tcp", s.o.Address)
	case "unix":
		return d.DialContext(ctx, "unixgram", s.o.Address)
	}
	return d.DialContext(ctx, s.o.Network, s.o.Address)
}

// ended says whether the other side has closed the connection, which the next write alone would not tell. Who speaks syslog says nothing.
func (s *Syslog) ended() bool {
	if s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return true
	}
	_, err := s.conn.Read(make([]byte, 1))
	var late net.Error
	return err != nil && (!errors.As(err, &late) || !late.Timeout())
}

// message: RFC 5424, section 6. The name of the program is the function's, its process the instance.
func (s *Syslog) message(l *Line) []byte {
	f, _ := facility(s.o.Facility) // was checked
	data := fmt.Sprintf(`[dalamb@%s id="%s" version="%d" stream="%s"`, enterprise, param(l.ID), l.Version, param(l.Stream))
	if l.Run != "" {
		data += fmt.Sprintf(` run="%s"`, param(l.Run))
	}
	return fmt.Appendf(nil, "<%d>1 %s %s %s %s - %s] %s", 8*f+severity(l.Said.Level), l.Time.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
		name(s.o.Host, 255), name(l.Function, 48), name(l.Instance, 128), data, strings.ToValidUTF8(oneLine(l.Text), "\ufffd"))
}

// name is a field of the header: printable ASCII without a space, or "-".
func name(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, text)
	if text == "" {
		return "-"
	}
	return text[:min(len(text), most)]
}

// param: RFC 5424, section 6.3.3.
func param(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(oneLine(text))
}

// cut keeps characters whole.
func cut(b []byte, most int) []byte {
	if len(b) <= most {
		return b
	}
	for most > 0 && !utf8.RuneStart(b[most]) {
		most--
	}
	return b[:most]
}

// Check connects once.
func (s *Syslog) Check(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (s *Syslog) shut() {
	if s.conn != nil {
		s.conn.Close() // what is not said yet is sent again
		s.conn = nil
	}
}

// Close ends the connection.
func (s *Syslog) Close() error {
	s.shut()
	return nil
}
