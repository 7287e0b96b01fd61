package runner

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFlushWaitsForAllThatWasWritten(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got strings.Builder
	o := Carry(r, func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		got.Write(p)
	})
	var want strings.Builder
	for n := range 2000 {
		text := strings.Repeat("x", n%97+1) + "\n"
		want.WriteString(text)
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		FlushAll([]*Output{o}, time.Minute)
		mu.Lock()
		have := got.Len()
		mu.Unlock()
		if have != want.Len() {
			t.Fatalf("after Flush %d the writer has %d bytes, want %d", n, have, want.Len())
		}
	}
	w.Close()
	o.Drain()
	FlushAll([]*Output{o}, time.Minute) // of one that has ended it does not wait
	if got.String() != want.String() {
		t.Errorf("got %d bytes, want the %d that were written", got.Len(), want.Len())
	}
}

func TestFlushIsBounded(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	o := Carry(r, func([]byte) { <-hold })
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	FlushAll([]*Output{o}, time.Millisecond) // returns although the writer holds on to it
	close(hold)
	FlushAll([]*Output{o}, time.Minute)
	w.Close()
	o.Drain()
}
