//go:build linux

package inside

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// said is a control frame as it came.
type said struct {
	kind  Kind
	text  string
	files []*os.File
}

// bridges runs two ends of one, and gives what comes out of the second with a descriptor for each stream.
func bridges(t *testing.T) (a *bridge, frames <-chan said) {
	t.Helper()
	ends := [4]*os.File{}
	var err error
	for i := range 2 {
		if ends[2*i], ends[2*i+1], err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
	}
	a, err = newBridge(int(ends[0].Fd()), int(ends[3].Fd()), 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBridge(int(ends[2].Fd()), int(ends[1].Fd()), 2)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan said, 16)
	var runs sync.WaitGroup
	runs.Go(func() { _ = a.run(func(Kind, *Unpacker, []*stream) {}) }) // both end when their pipes are closed
	runs.Go(func() {
		_ = b.run(func(k Kind, u *Unpacker, streams []*stream) {
			s := said{kind: k, text: u.Text()}
			fds, _ := b.openAll(streams) // one that is missing fails the test
			for _, fd := range fds {
				s.files = append(s.files, os.NewFile(uintptr(fd), "stream"))
			}
			came <- s
		})
	})
	t.Cleanup(func() {
		ends[1].Close()
		ends[3].Close()
		runs.Wait()
		ends[0].Close()
		ends[2].Close()
	})
	return a, came
}

func receive(t *testing.T, frames <-chan said) said {
	t.Helper()
	select {
	case s := <-frames:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("nothing comes over the bridge")
		return said{}
	}
}

func pipes(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

func TestBridgeCarriesBothWays(t *testing.T) {
	a, frames := bridges(t)
	in, feed := pipes(t)
	print, out := pipes(t)
	if err := a.Send(Join, new(Packer).Text("hello"), int(in.Fd()), int(out.Fd())); err != nil {
		t.Fatal(err)
	}
	in.Close() // they are the bridge's now
	out.Close()
	s := receive(t, frames)
	if s.kind != Join || s.text != "hello" || len(s.files) != 2 {
		t.Fatalf("frame %c %q with %d streams, want J hello with two", s.kind, s.text, len(s.files))
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	go func() {
		_, _ = feed.Write(want) // a short one fails the test
		feed.Close()
	}()
	go func() {
		_, _ = io.Copy(s.files[1], s.files[0])
		s.files[1].Close()
	}()
	if got, err := io.ReadAll(print); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, %v; want the same %d", len(got), err, len(want))
	}
	a.awaitOutput()
}

func TestBridgeStreamThatNobodyReadsHoldsUpNoOther(t *testing.T) {
	a, frames := bridges(t)
	in, feed := pipes(t)
	stuck, _ := pipes(t)
	full, fill := pipes(t)
	if err := a.Send(Join, nil, int(full.Fd())); err != nil {
		t.Fatal(err)
	}
	receive(t, frames)
	go io.Copy(fill, zeros{}) // ends when the pipe is closed
	for range 3 {
		if err := a.Send(Join, nil, int(in.Fd()), int(stuck.Fd())); err != nil {
			t.Fatal(err)
		}
		s := receive(t, frames)
		if _, err := feed.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.files[0].Read(make([]byte, 1)); err != nil {
			t.Errorf("beside a stream that is stuck: %v", err)
		}
		in, feed = pipes(t)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// What is written to who reads no more fails there, too.
func TestBridgeTellsThatNobodyReads(t *testing.T) {
	a, frames := bridges(t)
	print, out := pipes(t)
	if err := a.Send(Join, nil, int(out.Fd())); err != nil {
		t.Fatal(err)
	}
	out.Close()
	s := receive(t, frames)
	print.Close()
	for {
		if _, err := s.files[0].Write(make([]byte, 1<<10)); err != nil {
			return // the test would not end otherwise
		}
	}
}

func TestBridgeEndsWhenARuleIsBroken(t *testing.T) {
	control := func(k Kind, ids, ways []int64) []byte {
		f := frame{frameControl, 0, new(Packer).Number(int64(k)).Numbers(ids).Numbers(ways).b}
		return f.append(nil)
	}
	open := control(Dialled, []int64{2}, []int64{int64(readable)})
	data := frame{frameData, 2, make([]byte, maxData)}
	flood := bytes.Clone(open)
	for range streamRoom/maxData + 1 {
		flood = data.append(flood)
	}
	end := frame{frameEnd, 2, nil}
	for name, sent := range map[string][]byte{
		"no frame":                 []byte("GET / HTTP/1.1\r\n"),
		"stream opened twice":      append(bytes.Clone(open), open...),
		"our own number":           control(Dialled, []int64{1}, []int64{int64(both)}),
		"no such way":              control(Dialled, []int64{2}, []int64{'?'}),
		"number without a way":     control(Dialled, []int64{2}, nil),
		"more than it was let in":  flood,
		"data after the end of it": data.append(end.append(bytes.Clone(open))),
	} {
		t.Run(name, func(t *testing.T) {
			in, theirs := pipes(t)
			_, out := pipes(t)
			b, err := newBridge(int(in.Fd()), int(out.Fd()), 1)
			if err != nil {
				t.Fatal(err)
			}
			over := make(chan error, 1)
			go func() { over <- b.run(func(Kind, *Unpacker, []*stream) {}) }() // a stream without a descriptor takes nothing
			go theirs.Write(sent)                                              // ends with the pipe
			select {
			case err := <-over:
				if !errors.Is(err, errFrame) {
					t.Errorf("run = %v, want %v", err, errFrame)
				}
			case <-time.After(10 * time.Second):
				t.Error("the bridge goes on")
			}
		})
	}
	t.Run("too many streams", func(t *testing.T) {
		b := &bridge{first: 1, streams: map[uint32]*stream{}}
		for i := range uint32(2 * maxStreams) {
			if _, err := b.accepted(2*i+2, both); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.accepted(1<<20, both); err == nil {
			t.Error("one more is accepted")
		}
	})
}

func TestBridgeEndsWithItsOtherEnd(t *testing.T) {
	in, theirs := pipes(t)
	_, out := pipes(t)
	b, err := newBridge(int(in.Fd()), int(out.Fd()), 1)
	if err != nil {
		t.Fatal(err)
	}
	f := frame{frameControl, 0, new(Packer).Number(int64(Failed)).Numbers(nil).Numbers(nil).Text(strings.Repeat("x", 100_000)).b}
	go func() {
		_, _ = theirs.Write(f.append(nil)) // a short one fails the test
		theirs.Close()
	}()
	var text string
	if err := b.run(func(_ Kind, u *Unpacker, _ []*stream) { text = u.Text() }); !errors.Is(err, errEnd) || len(text) != 100_000 {
		t.Errorf("run = %v after a text of %d bytes, want %v and 100000", err, len(text), errEnd)
	}
}
