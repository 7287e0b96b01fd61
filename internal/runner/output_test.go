package runner

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCarryGivesAllToAWriterThatKeepsUp(t *testing.T) {
	r, w := io.Pipe()
	var got strings.Builder
	o := Carry(r, func(p []byte) { got.Write(p) })
	want := strings.Repeat("0123456789", 100_000)
	if _, err := io.WriteString(w, want); err != nil {
		t.Fatal(err)
	}
	w.Close()
	o.Drain()
	if got.String() != want || o.Lost() != 0 {
		t.Errorf("got %d bytes and lost %d, want %d and none", got.Len(), o.Lost(), len(want))
	}
}

func TestCarryLosesWhatASlowWriterCannotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		hold := make(chan struct{})
		var got int64
		o := Carry(r, func(p []byte) {
			<-hold
			got += int64(len(p))
		})
		const n = 10 * chunksAhead * chunkSize
		begin := time.Now()
		if _, err := w.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > writerWait {
			t.Errorf("the function waited %v, want %v at most", d, writerWait)
		}
		w.Close()
		close(hold)
		o.Drain()
		if got+o.Lost() != n || o.Lost() == 0 || got == 0 {
			t.Errorf("got %d bytes and lost %d, want %d together, some of each", got, o.Lost(), n)
		}
	})
}

func TestDrainWaitsForAWriterThatGoesOnAndCountsWhatItLeaves(t *testing.T) {
	for each, all := range map[time.Duration]bool{200 * time.Millisecond: true, 700 * time.Millisecond: false} {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			var got atomic.Int64
			o := Carry(r, func(p []byte) {
				time.Sleep(each)
				got.Add(int64(len(p)))
			})
			const n = 30 * chunkSize // fewer than may be ahead
			if _, err := w.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			w.Close()
			begin := time.Now()
			o.Drain()
			if took, most := time.Since(begin), (drainRounds+1)*drainWait; got.Load()+o.Lost() != n || (o.Lost() == 0) != all || took > most {
				t.Errorf("%s for each chunk: got %d bytes and lost %d in %s, want %d together, within %s, and all of them: %v", each, got.Load(), o.Lost(), took, n, most, all)
			}
			<-o.done
			if got.Load()+o.Lost() != n {
				t.Errorf("%s for each chunk: got %d bytes and lost %d in the end, want %d together", each, got.Load(), o.Lost(), n)
			}
		})
	}
}

func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close() // somebody holds the pipe until after the test
		o := Carry(r, nil)
		begin := time.Now()
		o.Drain()
		if d := time.Since(begin); d > 2*drainWait {
			t.Errorf("Drain took %v, want %v at most", d, 2*drainWait)
		}
	})
}
