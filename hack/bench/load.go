package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// caller sends the same request again and again, on connections that are kept.
type caller struct {
	method string
	url    string
	header http.Header
	body   []byte
	client *http.Client
}

// payload is the body of every call: about 512 bytes of JSON.
func payload() []byte { return orderEvent().Data }

func newCaller(url string) *caller {
	return &caller{
		method: http.MethodPost, url: url, header: http.Header{"Content-Type": {"application/json"}}, body: payload(),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute},
	}
}

// send makes a request and reads the answer to its end.
func (c *caller) send(ctx context.Context) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = c.header
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, errors.Join(err, resp.Body.Close())
}

// call returns the body of a good answer.
func (c *caller) call(ctx context.Context) ([]byte, error) {
	status, answer, err := c.send(ctx)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("%s %s: %d: %s", c.method, c.url, status, answer)
	}
	return answer, err
}

// burst is what a while of calls gave.
type burst struct {
	p50  float64 // ms
	rate float64 // per second
}

// atOnce makes calls in so many goroutines for d, each waiting for its answer before it goes on.
func atOnce(goroutines int, d time.Duration, call func() error) (burst, error) {
	var wg sync.WaitGroup
	took, errs := make([][]float64, goroutines), make([]error, goroutines)
	begun := time.Now()
	for g := range goroutines {
		wg.Go(func() {
			for at := time.Now(); at.Sub(begun) < d && errs[g] == nil; {
				errs[g] = call()
				now := time.Now()
				took[g] = append(took[g], milliseconds(now.Sub(at)))
				at = now
			}
		})
	}
	wg.Wait()
	var all []float64
	for _, ts := range took {
		all = append(all, ts...)
	}
	return burst{p50: median(all), rate: float64(len(all)) / time.Since(begun).Seconds()}, errors.Join(errs...)
}

// calls is atOnce over HTTP.
func (c *caller) calls(ctx context.Context, connections int, d time.Duration) (burst, error) {
	return atOnce(connections, d, func() error {
		_, err := c.call(ctx)
		return err
	})
}
