package runner

import "net"

// OpenLoopback gives a Spec without a loopback of its own what it asks for on the host's: a listener, and a port that is free now. That
// somebody else takes the port before the function does is unlikely, and shows as a failed start. The listener is nil when none
// was asked for; it is returned beside an error, too.
func (s *Spec) OpenLoopback(p *Places) (net.Listener, error) {
	var listener net.Listener
	if s.Listen != 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listener, p.Listen = l, l.Addr().String()
	}
	if s.Port != 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return listener, err
		}
		p.Port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	return listener, nil
}
