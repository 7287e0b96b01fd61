//go:build linux

package inside

import (
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func pair(t *testing.T) (*Conn, *Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Close(fds[0])
		syscall.Close(fds[1])
	})
	return NewConn(fds[0]), NewConn(fds[1])
}

func TestTaskRoundTrip(t *testing.T) {
	want := &Task{
		Function: "f", Base: "host", CodeDir: "/code", CodeMount: true, Command: []string{"./x", "", "ä"},
		Env: []string{"A=" + strings.Repeat("x", 300_000)}, Tmp: 1 << 40, PIDs: 3, Listen: 9001, Resolv: "r", Filter: "\x00\xff", Switch: true,
		Layers: []string{"/l/0", "/l/1"}, LayerMounts: true, WorkDir: "/w", UID: 33, GID: 44, Groups: []int64{5, 6},
		Egress: true, EgressGiven: true, Runtime: []string{"runsc", "run"}, Bundle: "{}", Nested: 65536,
	}
	a, b := pair(t)
	sent := make(chan error, 1)
	go func() { sent <- a.Send(Start, want.Pack()) }()
	kind, u, files, err := b.Receive()
	if err != nil || kind != Start || files != nil {
		t.Fatalf("Receive = %c, %v, %v; want a Start without files", kind, files, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if got := unpackTask(u); !reflect.DeepEqual(got, want) {
		t.Errorf("task = %.200v, want %.200v", got, want)
	}
}

func TestFramesKeepTheirOrderAndTheirFiles(t *testing.T) {
	a, b := pair(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for i := range 5 {
		var files []int
		if i%2 == 1 {
			files = []int{int(file.Fd()), int(file.Fd())}
		}
		if err := a.Send(Dialled, new(Packer).Number(int64(i)).Number(-1), files...); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		_, u, files, err := b.Receive()
		if err != nil || u.Number() != int64(i) || u.Number() != -1 || len(files) != i%2*2 {
			t.Fatalf("frame %d came with %d files, %v; want it in order with its own %d", i, len(files), err, i%2*2)
		}
		for _, fd := range files {
			syscall.Close(fd)
		}
	}
}

func TestReceiveOfAnEnd(t *testing.T) {
	a, b := pair(t)
	if _, err := syscall.Write(a.fd, []byte{5, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Shutdown(a.fd, syscall.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := b.Receive(); err != errEnd {
		t.Errorf("Receive = %v, want %v", err, errEnd)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add((&Task{Command: []string{"a", "b"}}).Pack().b)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := unpackTask(&Unpacker{b: b})
		if again := unpackTask(&Unpacker{b: got.Pack().b}); !reflect.DeepEqual(again, got) {
			t.Errorf("unpacked, packed and unpacked = %v, want %v", again, got)
		}
	})
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		name, path string
		want       []string
	}{
		{"./x", "PATH=/bin", []string{"./x"}},
		{"/x", "PATH=/bin", []string{"/x"}},
		{"x", "PATH=/bin::/usr/bin:", []string{"/bin/x", "/usr/bin/x"}},
		{"x", "PATH=", nil},
		{"x", "OTHER=/bin", nil},
	} {
		if got := candidates(c.name, []string{"A=b", c.path}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("candidates(%q, %q) = %q, want %q", c.name, c.path, got, c.want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 10: "10", 1 << 62: "4611686018427387904"} {
		if got := decimal(n); got != want {
			t.Errorf("decimal(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAgainRepeatsOnlyWhatWasInterrupted(t *testing.T) {
	for _, last := range []error{nil, syscall.EIO} {
		answers := []error{syscall.EINTR, syscall.EINTR, last}
		calls := 0
		got := Again(func() error { calls++; return answers[calls-1] })
		if got != last || calls != len(answers) {
			t.Errorf("Again = %v after %d calls, want %v after %d", got, calls, last, len(answers))
		}
	}
}
