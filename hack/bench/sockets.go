package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const socketsManifest = `
name: sockets
code: sockets
entry: {type: http, command: [./sockets], concurrency: 1000}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: sockets, route: {method: GET, path: /bench/sockets}}
`

// socketsRow: what a websocket that nobody uses takes of the node's memory, against the same through a plain reverse proxy.
func socketsRow(ctx context.Context, b *bench) error {
	const sockets, settle = 500, 6 * time.Second
	program, err := b.program(ctx, "sockets")
	if err != nil {
		return err
	}
	proxy, err := b.program(ctx, "proxy")
	if err != nil {
		return err
	}
	n, err := b.startNode(ctx, "sockets")
	if err != nil {
		return err
	}
	if err := b.deploy(ctx, n, "sockets", socketsManifest); err != nil {
		return err
	}
	url, p, err := plainServer(ctx, program)
	if err != nil {
		return err
	}
	b.atEnd(p.stop)
	through, hop, err := plainServer(ctx, proxy, url)
	if err != nil {
		return err
	}
	b.atEnd(hop.stop)
	measure := func(url string, pid int) func() (float64, error) {
		return func() (kib float64, err error) {
			if err := pause(ctx, settle); err != nil { // what an earlier turn left is collected
				return 0, err
			}
			before, err := residentMiB(pid)
			if err != nil {
				return 0, err
			}
			open := make([]net.Conn, 0, sockets)
			defer func() {
				for _, nc := range open {
					err = errors.Join(err, nc.Close())
				}
			}()
			for range sockets {
				nc, err := socket(url)
				if err != nil {
					return 0, err
				}
				open = append(open, nc)
			}
			if err := pause(ctx, settle); err != nil {
				return 0, err
			}
			after, err := residentMiB(pid)
			return (after - before) * 1024 / sockets, err
		}
	}
	// The first of each is left out: it is what the programs themselves grow by when they are used at all.
	node, plain := measure(n.gateway+"/bench/sockets", n.cmd.Process.Pid), measure(through, hop.cmd.Process.Pid)
	if _, err := inTurns(ctx, 1, node, plain); err != nil {
		return err
	}
	s, err := inTurns(ctx, b.turns(3), node, plain)
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{Case: "memory of an idle websocket", Unit: "KiB", Value: value, Yardstick: "through a net/http proxy", Of: of, Ratio: ratio})
	return nil
}

// socket opens one by HTTP/1.1.
func socket(url string) (net.Conn, error) {
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	nc, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(nc, "GET /"+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(bufio.NewReader(nc), nil); err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
			err = fmt.Errorf("GET %s: %s", url, resp.Status)
		}
	}
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return nc, nil
}
