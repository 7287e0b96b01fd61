package entry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// behaviour is the variable that makes the test binary play a function instead of running tests.
const behaviour = "ENTRY_TEST_FUNCTION"

func TestMain(m *testing.M) {
	if name := os.Getenv(behaviour); name != "" {
		play(name)
	}
	os.Exit(m.Run())
}

// install puts the test binary into a code directory, as "fn".
func install(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	dir := codeDir(t)
	out, err := os.OpenFile(filepath.Join(dir, "fn"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// codeDir is a directory that everybody may read, as functions run under a user of their own.
func codeDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// play is the function's side. It does not return.
func play(name string) {
	kind, what, _ := strings.Cut(name, ":")
	switch kind {
	case "extension":
		playExtension(what)
	case "http":
		playHTTP(what)
	case "lambda":
		playLambda(what)
	case "stdio":
		playStdio(what)
	}
	fmt.Fprintln(os.Stderr, "no such behaviour:", name)
	os.Exit(3)
}

func playStdio(what string) {
	playLines(what)
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	switch verb, arg, _ := strings.Cut(what, "="); verb {
	case "echo":
		os.Stdout.Write(in)
	case "env":
		for _, e := range os.Environ() {
			fmt.Println(e)
		}
	case "print":
		fmt.Print(arg)
	case "exit":
		n, _ := strconv.Atoi(arg)
		fmt.Fprintln(os.Stderr, "the reason is on stderr")
		os.Exit(n)
	case "hang":
		fmt.Fprintln(os.Stderr, "hanging")
		time.Sleep(time.Hour)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
	case "big":
		n, _ := strconv.Atoi(arg)
		os.Stdout.Write(bytes.Repeat([]byte("x"), n))
	case "flood": // arg MiB of lines on stderr, then the answer
		n, _ := strconv.Atoi(arg)
		lines := bytes.Repeat([]byte("a line of a function that has much to say, again and again, now!\n"), 1<<20/64)
		for range n {
			os.Stderr.Write(lines)
		}
		fmt.Print("done")
	case "eat":
		eat()
	}
	os.Exit(0)
}

// eat takes memory until it is stopped.
func eat() {
	for all := [][]byte{}; len(all) >= 0; {
		all = append(all, bytes.Repeat([]byte{1}, 8<<20))
	}
}

func playHTTP(what string) {
	verb, arg, _ := strings.Cut(what, "=")
	switch verb {
	case "exit":
		fmt.Fprintln(os.Stderr, "cannot open the database")
		os.Exit(7)
	case "once": // accepts the connection that shows it ready, and no other
		l, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
		if err == nil {
			_, err = l.Accept()
		}
		fmt.Println("accepted", err)
		time.Sleep(time.Hour)
	case "one":
		serveOne()
	case "elsewhere":
		serveElsewhere()
	case "deaf":
		time.Sleep(time.Hour)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if playStream(verb, w, r) {
			return
		}
		body, _ := io.ReadAll(r.Body)
		switch verb {
		case "echo": // tells what it got
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Connection", "X-Private")
			w.Header().Set("X-Private", "for the next hop only")
			json.NewEncoder(w).Encode(map[string]any{
				"method": r.Method, "path": r.URL.EscapedPath(), "query": r.URL.RawQuery, "host": r.Host,
				"header": r.Header, "body": string(body), "env": os.Environ(),
			})
		case "status":
			n, _ := strconv.Atoi(arg)
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(n)
			fmt.Fprint(w, "so it goes")
		case "refuse": // in the words that lambda functions use
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, `{"errorType":"Refused","errorMessage":%q}`, arg)
		case "answer":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, arg)
		case "event":
			w.Header().Set("Ce-Specversion", "1.0")
			w.Header().Set("Ce-Type", arg)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"n":1}`)
		case "hang":
			fmt.Println("hanging")
			time.Sleep(time.Hour)
		case "crash":
			fmt.Fprintln(os.Stderr, "out of luck")
			os.Exit(9)
		case "eat":
			eat()
		case "cut":
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Close()
		case "big":
			n, _ := strconv.Atoi(arg)
			io.CopyN(w, endless{}, int64(n))
		case "noop":
		}
	})
	fmt.Fprintln(os.Stderr, listen())
	os.Exit(1)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// playLambda speaks the Runtime API by hand, so that it can also speak it wrong.
func playLambda(what string) {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	verb, arg, _ := strings.Cut(what, "=")
	post := func(path, body string, fields ...string) (int, string) {
		req, _ := http.NewRequest("POST", base+path, strings.NewReader(body))
		for i := 0; i+1 < len(fields); i += 2 {
			req.Header.Set(fields[i], fields[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	switch verb {
	case "initerror":
		post("init/error", `{"errorType":"Import.Error","errorMessage":"no module named shop"}`)
		os.Exit(1)
	case "exit":
		fmt.Fprint(os.Stderr, "cannot read the configuration")
		os.Exit(7)
	case "leave":
		os.Exit(0)
	case "deaf":
		time.Sleep(time.Hour)
	case "elsewhere":
		serveElsewhere()
	}
	for {
		resp, err := http.Get(base + "invocation/next")
		if err != nil {
			os.Exit(0)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if slices.Contains([]string{"flood", "forge", "repeat", "await"}, verb) {
			playHostile(verb, string(body), func(id, kind, answer string) string {
				status, text := post("invocation/"+id+"/"+kind, answer)
				_, typ, _ := strings.Cut(text, `"errorType":"`)
				typ, _, _ = strings.Cut(typ, `"`)
				return strings.TrimSpace(fmt.Sprint(status, " ", typ))
			}, id)
			continue
		}
		switch verb {
		case "echo":
			post("invocation/"+id+"/response", string(body))
		case "tell": // what came, and in which environment
			b, _ := json.Marshal(map[string]any{"header": resp.Header, "body": json.RawMessage(body), "env": os.Environ()})
			post("invocation/"+id+"/response", string(b))
		case "print":
			fmt.Println("line one")
			fmt.Fprintln(os.Stderr, "line two")
			post("invocation/"+id+"/response", `"ok"`)
		case "answer":
			post("invocation/"+id+"/response", arg)
		case "error":
			post("invocation/"+id+"/error", arg, "Lambda-Runtime-Function-Error-Type", "From.Header")
		case "eat":
			eat()
		case "once": // one answer, then the end
			post("invocation/"+id+"/response", `"last words"`)
			os.Exit(0)
		case "hang":
			fmt.Println("hanging")
			time.Sleep(time.Hour)
		case "linger": // ignores SIGTERM by answering after the fact
			time.Sleep(time.Hour)
		case "crash":
			fmt.Fprintln(os.Stderr, "segmentation fault, sort of")
			os.Exit(139)
		case "big":
			n, _ := strconv.Atoi(arg)
			status, text := post("invocation/"+id+"/response", strings.Repeat("x", n))
			fmt.Printf("%d %s", status, text)
		case "wrong": // goes through everything that is refused, and answers with what it was told
			var told []string
			add := func(status int, text string) {
				told = append(told, fmt.Sprintf("%d %s", status, strings.TrimSpace(text)))
			}
			add(post("invocation/another/response", "1"))
			add(post("invocation/another/error", "1"))
			add(post("init/error", "{}"))
			add(post("nothing", "{}"))
			add(post("invocation/"+id+"/response", "1", "Lambda-Runtime-Function-Response-Mode", "sideways"))
			r, err := http.Get(base + "invocation/next")
			if err == nil {
				b, _ := io.ReadAll(r.Body)
				add(r.StatusCode, string(b))
			}
			b, _ := json.Marshal(told)
			add(post("invocation/"+id+"/response", string(b)))
			add(post("invocation/"+id+"/response", "2"))
			fmt.Println(told[len(told)-2])
			fmt.Println(told[len(told)-1])
		case "stream":
			pr, pw := io.Pipe()
			req, _ := http.NewRequest("POST", base+"invocation/"+id+"/response", pr)
			req.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
			req.Trailer = http.Header{"Lambda-Runtime-Function-Error-Type": nil, "Lambda-Runtime-Function-Error-Body": nil}
			go func() {
				io.WriteString(pw, "part one, ")
				io.WriteString(pw, "part two")
				if arg != "" {
					req.Trailer.Set("Lambda-Runtime-Function-Error-Type", "Stream.Broken")
					req.Trailer.Set("Lambda-Runtime-Function-Error-Body", arg)
				}
				pw.Close()
			}()
			if r, err := http.DefaultClient.Do(req); err == nil {
				r.Body.Close()
			}
		}
	}
}

// serveElsewhere listens on two ports that nobody asked it for.
func serveElsewhere() {
	for _, at := range []string{"127.0.0.1:3000", "[::]:5000"} {
		if _, err := net.Listen("tcp", at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	time.Sleep(time.Hour)
}
