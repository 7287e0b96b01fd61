package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

const patience = 5 * time.Second

// reach tries each destination, such as tcp/192.0.2.1:80, udp/192.0.2.1:7 or name/example.com, and says what came of it.
func reach(all []string) {
	for _, a := range all {
		how, to, _ := strings.Cut(a, "/")
		fmt.Printf("%s %s\n", a, reachOne(how, to))
	}
}

func reachOne(how, to string) string {
	if how == "name" {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		found, err := net.DefaultResolver.LookupHost(ctx, to)
		if err != nil {
			return "no: " + err.Error()
		}
		return strings.Join(found, ",")
	}
	c, err := net.DialTimeout(how, to, patience)
	if err == nil {
		defer c.Close()
		err = c.SetDeadline(time.Now().Add(patience))
	}
	if err == nil {
		_, err = io.WriteString(c, "hello")
	}
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		err = t.CloseWrite()
	}
	b := make([]byte, 1<<10)
	n := 0
	if err == nil {
		n, err = c.Read(b)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case err != nil:
		return "no: " + err.Error()
	}
	return string(b[:n])
}
