package inside

import (
	"syscall"
	"unsafe"
)

// The sandbox's end of its way out; package egress has the other one. // RFC 7335
const (
	tunName   = "egress"
	tunMTU    = 65520
	tunDevice = "/dev/net/tun"
)

const (
	ioctlTunSetIff   = 0x400454ca
	ioctlAddRoute    = 0x890b // SIOCADDRT
	ioctlIfAddress   = 0x8916 // SIOCSIFADDR
	ioctlIfMTU       = 0x8922 // SIOCSIFMTU
	tunWithoutHeader = 0x1 | 0x1000
	routeUp          = 0x1 // RTF_UP
)

// OpenTUN opens the device that makes network interfaces of descriptors: of the network namespace that this thread is in now, wherever
// the descriptor goes to. // drivers/net/tun.c, tun_chr_open
func OpenTUN() (int, error) {
	return syscall.Open(tunDevice, syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
}

// address is a struct sockaddr_in.
type address struct {
	family uint16
	port   uint16
	ip     [4]byte
	_      [8]byte
}

// request is a struct ifreq.
type request struct {
	name [16]byte
	body [24]byte
}

// raiseTUN makes an interface of the descriptor, with the address and the route that every sandbox with a way out has. It goes when the last
// copy of the descriptor is closed, and these are the node's: the function can neither see nor keep it. // netdevice(7)
func raiseTUN(tun int) error {
	if tun < 0 {
		return &failure{"open " + tunDevice, syscall.ENODEV}
	}
	sock, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(sock)
	own := address{family: syscall.AF_INET, ip: [4]byte{192, 0, 0, 2}}
	return all([]step{
		{"name the interface", func() error { return configure(tun, ioctlTunSetIff, uint16(tunWithoutHeader)) }},
		{"set its MTU", func() error { return configure(sock, ioctlIfMTU, int32(tunMTU)) }},
		{"set its address", func() error { return configure(sock, ioctlIfAddress, own) }},
		{"raise it", func() error { return configure(sock, ioctlIfFlags, uint16(linkUpAndRunning)) }},
		{"route to it", func() error { return routeAll(sock) }},
	})
}

// configure asks one thing of the interface.
func configure[T uint16 | int32 | address](fd int, what uintptr, value T) error {
	var req request
	copy(req.name[:], tunName)
	*(*T)(unsafe.Pointer(&req.body[0])) = value
	return ioctl(fd, what, unsafe.Pointer(&req))
}

// routeAll sends everything that is not the sandbox's own through the interface. // struct rtentry, linux/route.h
func routeAll(sock int) error {
	name := [16]byte{}
	copy(name[:], tunName)
	route := struct {
		_            uintptr
		to, by, mask address
		flags        uint16
		_            int16
		_            uintptr
		_            uintptr
		metric       int16
		device       *byte
		mtu, window  uintptr
		_            uint16
	}{flags: routeUp, device: &name[0]}
	for _, a := range []*address{&route.to, &route.by, &route.mask} {
		a.family = syscall.AF_INET
	}
	return ioctl(sock, ioctlAddRoute, unsafe.Pointer(&route))
}

func ioctl(fd int, what uintptr, arg unsafe.Pointer) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), what, uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}
