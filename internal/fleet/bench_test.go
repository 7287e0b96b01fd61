package fleet

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

var body = []byte(`{"order":42,"total":99.5}`)

// compare alternates between a yardstick and what is measured, and reports the medians in µs and their ratio.
func compare(b *testing.B, yardstick, measured func() error) {
	b.Helper()
	var yard, ours []time.Duration
	timed := func(f func() error) time.Duration {
		began := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	for range 3 { // warm both
		timed(yardstick)
		timed(measured)
	}
	for b.Loop() {
		yard = append(yard, timed(yardstick))
		ours = append(ours, timed(measured))
	}
	slices.Sort(yard)
	slices.Sort(ours)
	y, o := yard[len(yard)/2], ours[len(ours)/2]
	b.ReportMetric(float64(y.Nanoseconds())/1e3, "yard-µs")
	b.ReportMetric(float64(o.Nanoseconds())/1e3, "ours-µs")
	b.ReportMetric(float64(o)/float64(y), "ratio")
}

// child starts the installed function as a plain process.
func child(b *testing.B, dir string, env ...string) {
	b.Helper()
	c := exec.Command(filepath.Join(dir, "fn"))
	c.Env = env
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
}

// direct calls the function's own HTTP server.
func direct(b *testing.B, dir string) func() error {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := strings.Cut(addr, ":")
	child(b, dir, behaviour+"=http", "PORT="+port)
	for limit := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			break
		}
		if time.Now().After(limit) {
			b.Fatal("the function's server does not come up")
		}
	}
	return func() error {
		resp, err := http.Post("http://"+addr+"/", "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
}

// bareLoop is the least that a Runtime API on net/http can be: two handlers and two channels.
func bareLoop(b *testing.B, dir string) func() error {
	b.Helper()
	in, out := make(chan []byte), make(chan []byte)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case p := <-in:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10))
			w.Header().Set("Content-Type", "application/json")
			w.Write(p)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		p, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		out <- p
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	b.Cleanup(func() { server.Close() })
	child(b, dir, behaviour+"=lambda", "AWS_LAMBDA_RUNTIME_API="+l.Addr().String())
	return func() error {
		in <- body
		<-out
		return nil
	}
}

func invoke(f *Fleet, typ function.EntryType) func() error {
	return func() error {
		c := call("real-" + string(typ))
		c.Invocation.Payload = body
		r, err := f.Invoke(context.Background(), c)
		if err == nil && r.Outcome != function.Succeeded {
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

// BenchmarkWarm measures a call of a warm instance, against a call of the same function's HTTP server and against the barest
// Runtime API loop.
//
//	go test -run=^$ -bench=Warm -benchtime=3000x ./internal/fleet
func BenchmarkWarm(b *testing.B) {
	for name, make := range map[string]func(testing.TB) runner.Runner{"process": processRunner, "native": nativeRunner} {
		b.Run(name, func(b *testing.B) {
			dir := install(b)
			f := realFleet(b, make(b), dir, real(function.EntryHTTP), real(function.EntryLambda))
			b.Run("http over direct", func(b *testing.B) { compare(b, direct(b, dir), invoke(f, function.EntryHTTP)) })
			b.Run("lambda over direct", func(b *testing.B) { compare(b, direct(b, dir), invoke(f, function.EntryLambda)) })
			b.Run("lambda over bare loop", func(b *testing.B) { compare(b, bareLoop(b, dir), invoke(f, function.EntryLambda)) })
		})
	}
	b.Run("bare loop over direct", func(b *testing.B) {
		dir := install(b)
		compare(b, direct(b, dir), bareLoop(b, dir))
	})
}

// BenchmarkCold measures a call that starts its instance, against fork and exec of the same program.
//
//	go test -run=^$ -bench=Cold -benchtime=50x ./internal/fleet
func BenchmarkCold(b *testing.B) {
	for name, make := range map[string]func(testing.TB) runner.Runner{"process": processRunner, "native": nativeRunner} {
		for _, typ := range []function.EntryType{function.EntryStdio, function.EntryLambda, function.EntryHTTP} {
			b.Run(name+"/"+string(typ), func(b *testing.B) {
				dir := install(b)
				f := realFleet(b, make(b), dir, real(typ))
				compare(b, func() error {
					c := exec.Command(filepath.Join(dir, "fn"))
					c.Env, c.Stdin = []string{behaviour + "=stdio"}, bytes.NewReader(body)
					_, err := c.Output()
					return err
				}, func() error {
					if err := invoke(f, typ)(); err != nil {
						return err
					}
					stopIdle(f)
					return nil
				})
			})
		}
	}
}

// stopIdle makes the next call a cold one.
func stopIdle(f *Fleet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pools {
		f.retireIdle(p)
	}
}

// BenchmarkThaw measures a call of a frozen instance, from the call to its answer, against one of the same instance while it is warm.
//
//	go test -run=^$ -bench=Thaw -benchtime=200x ./internal/fleet
func BenchmarkThaw(b *testing.B) {
	for _, typ := range []function.EntryType{function.EntryLambda, function.EntryHTTP} {
		b.Run(string(typ), func(b *testing.B) {
			f := realFleet(b, nativeRunner(b), install(b), real(typ))
			if err := invoke(f, typ)(); err != nil {
				b.Fatal(err)
			}
			var warmed, thawed []time.Duration
			for b.Loop() {
				for _, cold := range []bool{false, true} {
					if cold {
						freezeIdle(f)
					}
					began := time.Now()
					if err := invoke(f, typ)(); err != nil {
						b.Fatal(err)
					}
					if took := time.Since(began); cold {
						thawed = append(thawed, took)
					} else {
						warmed = append(warmed, took)
					}
				}
			}
			slices.Sort(warmed)
			slices.Sort(thawed)
			w, c := warmed[len(warmed)/2], thawed[len(thawed)/2]
			b.ReportMetric(float64(w.Nanoseconds())/1e3, "warm-µs")
			b.ReportMetric(float64(c.Nanoseconds())/1e3, "frozen-µs")
			b.ReportMetric(float64(c)/float64(w), "ratio")
		})
	}
}

// freezeIdle freezes the instances that are idle, waits until that is done, and says whether they can be.
func freezeIdle(f *Fleet) bool {
	f.mu.Lock()
	var over []chan struct{}
	for _, p := range f.pools {
		for _, i := range p.avail {
			if i.busy == 0 && i.frost.temper == warm {
				f.chill(i)
				over = append(over, i.frost.settled)
			}
		}
	}
	f.mu.Unlock()
	for _, o := range over {
		<-o
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pools {
		if p.unfreezable {
			return false
		}
	}
	return true
}

// BenchmarkReuseNever measures a call that has an instance of its own, initialised ahead, against one of an instance that is kept. Between
// two calls the next instance has the time to come.
//
//	go test -run=^$ -bench=ReuseNever -benchtime=50x ./internal/fleet
func BenchmarkReuseNever(b *testing.B) {
	dir := install(b)
	fresh := real(function.EntryLambda, never, func(s *function.Spec) { s.Name = "real-fresh" })
	f := realFleet(b, nativeRunner(b), dir, real(function.EntryLambda), fresh)
	var kept, own []time.Duration
	for b.Loop() {
		for typ, took := range map[function.EntryType]*[]time.Duration{function.EntryLambda: &kept, "fresh": &own} {
			for len(kept) > 0 && len(own) > 0 && states(f)[Idle] < 2 { // of each function one
				<-time.After(time.Millisecond)
			}
			began := time.Now()
			if err := invoke(f, typ)(); err != nil {
				b.Fatal(err)
			}
			*took = append(*took, time.Since(began))
		}
	}
	slices.Sort(kept)
	slices.Sort(own)
	k, o := kept[len(kept)/2], own[len(own)/2]
	b.ReportMetric(float64(k.Nanoseconds())/1e3, "kept-µs")
	b.ReportMetric(float64(o.Nanoseconds())/1e3, "own-µs")
	b.ReportMetric(float64(o)/float64(k), "ratio")
}
