package inside

import "syscall"

const backlog = 512

// place is an address on the loopback: 127.0.0.host:port.
type place struct {
	host byte
	port int
}

func loopback(port int) place { return place{1, port} }

// openPorts lets the command listen on ports below 1024 of its own network, as images expect that are made for Docker. Where the
// sandbox's maker does not let us, those stay root's: a comfort less, and the fence is the same. // ip(7), ip_unprivileged_port_start
func openPorts() {
	fd, err := syscall.Open("/proc/sys/net/ipv4/ip_unprivileged_port_start", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = syscall.Write(fd, []byte("0"))
	syscall.Close(fd)
}

// listen opens a listener on the loopback of this network namespace.
func listen(at place) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: at.port, Addr: [4]byte{127, 0, 0, at.host}})
	}
	if err == nil {
		err = syscall.Listen(fd, backlog)
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// dial connects in this network namespace. It gives up after some seconds: a function that listens and does not accept
// lets its queue run full, and then the kernel tries again for minutes.
func dial(to place) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &syscall.Timeval{Sec: 5})
	if err == nil {
		err = Again(func() error {
			return syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.port, Addr: [4]byte{127, 0, 0, to.host}})
		})
	}
	if err == nil {
		err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &syscall.Timeval{})
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}
