package broker

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"time"
)

// Ports are taken from below those that systems give to outgoing connections: a broker that is away for a while must find its
// port free when it comes back.
const (
	firstPort = 20000
	lastPort  = 31999
)

// freePorts finds n times each ports that nobody listens on.
func freePorts(n, each int) ([][]int, error) {
	taken := map[int]bool{}
	all := make([][]int, n)
	for i := range all {
		for len(all[i]) < each {
			port, err := freePort(taken)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], port)
		}
	}
	return all, nil
}

func freePort(taken map[int]bool) (int, error) {
	const tries = 1000
	for range tries {
		r, err := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort+1))
		if err != nil {
			return 0, fmt.Errorf("choose a port: %w", err)
		}
		port := firstPort + int(r.Int64())
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		l.Close()
		taken[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("find a free port: %d of %d to %d are all taken", tries, firstPort, lastPort)
}

// newID makes an id as Kafka writes them: 16 bytes in base64. One that begins with "-" Kafka's own tools avoid.
func newID() (string, error) {
	for {
		var b [16]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", fmt.Errorf("make an id: %w", err)
		}
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id, nil
		}
	}
}

// newTicker is how often a file is looked at that a broker writes.
func newTicker() *time.Ticker { return time.NewTicker(20 * time.Millisecond) }
