package gateway

import (
	"bufio"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStopEndsTheTunnelsOnWhichNothingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all tunnels
		open := func() (client net.Conn, c *taken) {
			client, nc := net.Pipe()
			c = &taken{Conn: nc, first: bufio.NewReader(nc), among: &all}
			c.touch(1)
			if !all.add(c) {
				t.Fatal("a tunnel was refused")
			}
			return client, c
		}
		idle, _ := open()
		busy, theirs := open()
		go io.Copy(theirs, theirs) // an echo
		time.Sleep(time.Minute)
		say := func() error {
			if _, err := busy.Write([]byte("x")); err != nil {
				return err
			}
			_, err := io.ReadFull(busy, make([]byte, 1))
			return err
		}
		if err := say(); err != nil {
			t.Fatal(err)
		}
		begun, ended := time.Now(), make(chan struct{})
		go func() { all.end(); close(ended) }()
		if _, err := idle.Read(make([]byte, 1)); err != io.EOF || time.Since(begun) > 0 {
			t.Errorf("the idle one reads %v after %s, want that it has ended", err, time.Since(begun))
		}
		for range 10 {
			time.Sleep(time.Second)
			if err := say(); err != nil {
				t.Fatalf("the one in use ended after %s: %v", time.Since(begun), err)
			}
		}
		if _, err := busy.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read = %v, want the end", err)
		}
		<-ended
		if took := time.Since(begun); took > 10*time.Second+2*tunnelGrace {
			t.Errorf("the end took %s", took)
		}
		if all.add(&taken{}) {
			t.Error("there is a tunnel after the end")
		}
	})
}
