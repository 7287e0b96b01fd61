package entry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// playExtension is an external extension in a program of its own. It prints what it is told.
func playExtension(what string) {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API")
	if what == "crash" {
		fmt.Fprintln(os.Stderr, "no licence")
		os.Exit(3)
	}
	if what == "mute" {
		time.Sleep(time.Hour)
	}
	ask := func(method, path, body, id string) (*http.Response, string) {
		req, _ := http.NewRequest(method, base+path, strings.NewReader(body))
		req.Header.Set("Lambda-Extension-Name", filepath.Base(os.Args[0]))
		if id != "" {
			req.Header.Set(extensionID, id)
		}
		req.Header.Set("Lambda-Extension-Function-Error-Type", "Extension.Tired")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			os.Exit(9)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return resp, string(b)
	}
	resp, body := ask("POST", "/2020-01-01/extension/register", `{"events":["INVOKE","SHUTDOWN"]}`, "")
	id := resp.Header.Get(extensionID)
	fmt.Println("registered", resp.StatusCode, body)
	if what == "watch" {
		for path, port := range map[string]string{"/2022-07-01/telemetry": "4321", "/2020-08-15/logs": "4322"} {
			l, err := net.Listen("tcp", "sandbox.localdomain:"+port)
			if err != nil {
				fmt.Println(err)
				os.Exit(8)
			}
			go http.Serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				var records []json.RawMessage
				json.NewDecoder(r.Body).Decode(&records)
				for _, rec := range records {
					if !strings.Contains(string(rec), `"type":"extension"`) { // what it prints itself would come again and again
						fmt.Printf("%s %s\n", strings.Split(path, "/")[2], rec)
					}
				}
			}))
			schema := map[string]string{"4321": "2022-12-13", "4322": "2021-03-18"}[port]
			resp, body := ask("PUT", path, `{"schemaVersion":"`+schema+`","types":["platform","function","extension"],"buffering":{"timeoutMs":25},
				"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:`+port+`"}}`, id)
			fmt.Println("subscribed", resp.StatusCode, body)
		}
	}
	for {
		_, body := ask("GET", "/2020-01-01/extension/event/next", "", id)
		fmt.Println("event", body)
		switch {
		case what == "tired":
			ask("POST", "/2020-01-01/extension/exit/error", `{"errorMessage":"too much work","errorType":"Extension.Tired"}`, id)
			os.Exit(1)
		case what == "slow":
			time.Sleep(time.Hour)
		case strings.Contains(body, "SHUTDOWN"):
			os.Exit(0)
		}
	}
}

// extended is a stage whose function has an extension of that behaviour.
func extended(t *testing.T, what string) *stage {
	t.Helper()
	s := newNativeStage(t, func(o *Options) { o.InitTimeout = 2 * time.Second })
	dir := filepath.Join(s.code, extensionDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/bash\n" + behaviour + "=extension:" + what + " exec -a watcher /var/task/fn\n"
	if err := os.WriteFile(filepath.Join(dir, "watcher"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnExtensionRunsBesideItsFunction(t *testing.T) {
	s := extended(t, "watch")
	v := version("lambda:print")
	c := s.start(v)
	s.line(`registered 200 {"functionName":"shop","functionVersion":"3","handler":"fn"}`)
	s.line(`subscribed 200 "OK"`)
	inv := payload("{}")
	inv.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	wantOutcome(t, s.invoke(c, inv), function.Succeeded)
	if rests, ok := c.(Rester); !ok {
		t.Error("a lambda is no Rester")
	} else if rests.Rest(); rests.Rests() {
		t.Error("the instance rests after Rest")
	}
	for _, want := range []string{
		`"eventType":"INVOKE","deadlineMs":`,
		`"requestId":"` + inv.ID + `","invokedFunctionArn":"arn:aws:lambda:us-east-1:000000000000:function:shop:3","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-0af76519-`,
		`"type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","functionName":"shop","functionVersion":"3",`,
		`"type":"platform.initRuntimeDone","record":{"initializationType":"on-demand","phase":"init","status":"success"}`,
		`"type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"success","metrics":{"durationMs":`,
		`"type":"platform.extension","record":{"name":"watcher","state":"Ready","events":["INVOKE","SHUTDOWN"]}`,
		`"type":"platform.telemetrySubscription","record":{"name":"watcher","state":"Subscribed","types":["platform","function","extension"]}`,
		`"type":"platform.logsSubscription"`,
		`telemetry {"time":`,
		`"type":"platform.start","record":{"requestId":"` + inv.ID + `","version":"3","tracing":{`,
		`"type":"platform.start","record":{"requestId":"` + inv.ID + `","version":"3"}`, // as the Logs API has it
		`"type":"function","record":"line one"`,
		`"type":"platform.runtimeDone","record":{"requestId":"` + inv.ID + `","status":"success","metrics":{"durationMs":`,
		`"type":"platform.runtimeDone","record":{"requestId":"` + inv.ID + `","status":"success"}`,
		`"type":"platform.report","record":{"requestId":"` + inv.ID + `","status":"success","metrics":{"durationMs":`,
		`logs {"time":`,
	} {
		s.line(want)
	}
	c.Stop(500 * time.Millisecond)
	s.line(`event {"eventType":"SHUTDOWN","shutdownReason":"spindown","deadlineMs":`)
}

func TestAnExtensionThatFailsEndsItsInstance(t *testing.T) {
	for _, tt := range []struct{ what, typ, message string }{
		{"crash", "Extension.Crash", "extension watcher ended with exit status 3: no licence"},
		{"mute", "Sandbox.Timedout", "not ready within 2s: of its extensions, these have not registered: watcher"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			s := extended(t, tt.what)
			wantFailure(t, s.startError(version("lambda:echo")).Result(), function.InitError, tt.typ, tt.message)
		})
	}
	t.Run("tired", func(t *testing.T) {
		s := extended(t, "tired")
		c := s.start(version("lambda:hang"))
		r := s.invoke(c, payload("{}"))
		wantFailure(t, r, function.Crashed, "Extension.Tired", "extension watcher: too much work")
	})
	t.Run("slow", func(t *testing.T) {
		s := extended(t, "slow")
		c := s.start(version("lambda:echo", within(500*time.Millisecond)))
		wantOutcome(t, s.invoke(c, payload("{}")), function.Succeeded) // the caller does not wait for it
		c.(Rester).Rest()
		<-c.Done()
	})
	t.Run("without a runner for it", func(t *testing.T) {
		s := newStage(t)
		dir := filepath.Join(s.code, extensionDir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "watcher"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, s.startError(version("lambda:echo")).Result(), function.InitError, "Extension.NotSupported", "--runner native")
	})
}

// extensionClient speaks the Extensions API to a lambdaConn of this process.
type extensionClient struct {
	t  *testing.T
	nc net.Conn
	id string
}

func (x *extensionClient) send(method, path, body string, fields ...string) {
	if x.id != "" {
		fields = append(fields, extensionID+": "+x.id)
	}
	fields = append(fields, fmt.Sprintf("Content-Length: %d", len(body)))
	fmt.Fprintf(x.nc, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n%s", method, path, strings.Join(fields, "\r\n"), body)
}

func (x *extensionClient) receive() (int, string) {
	x.t.Helper()
	resp, err := http.ReadResponse(newReader(x.nc), nil)
	if err != nil {
		x.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	if id := resp.Header.Get(extensionID); id != "" {
		x.id = id
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func (x *extensionClient) ask(method, path, body string, fields ...string) (int, string) {
	x.t.Helper()
	x.send(method, path, body, fields...)
	return x.receive()
}

func TestWhatTheExtensionsAPIRefuses(t *testing.T) {
	const register, next = "/2020-01-01/extension/register", "/2020-01-01/extension/event/next"
	subscription := func(field string) string {
		return `{"schemaVersion":"2022-12-13","types":["function"],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:80"}` + field + `}`
	}
	c, dial := playRuntime(t)
	x := &extensionClient{t: t, nc: dial()}
	named := "Lambda-Extension-Name: inner"
	tests := []struct {
		method, path, body string
		fields             []string
		status             int
		answer             string
	}{
		{"GET", next, "", nil, 403, "Extension.MissingExtensionIdentifier"},
		{"GET", next, "", []string{extensionID + ": 1-2-3"}, 403, "Extension.UnknownExtensionIdentifier"},
		{"POST", register, "{}", nil, 403, "Extension.InvalidExtensionName"},
		{"POST", register, "[]", []string{named}, 403, "InvalidRequestFormat"},
		{"POST", register, strings.Repeat(" ", maxExtensionBody+1), []string{named}, 403, "InvalidRequestFormat"},
		{"POST", register, `{"events":["INVOKE"],"configurationKeys":["a"]}`, []string{named}, 403, "configurationKeys are deprecated"},
		{"POST", register, `{"events":["LUNCH"]}`, []string{named}, 403, "Extension.InvalidEventType"},
		{"POST", register, `{"events":["SHUTDOWN"]}`, []string{named}, 403, "not supported for internal extensions"},
		{"GET", register, "", []string{named}, 405, "MethodNotAllowed"},
		{"POST", next, "", []string{named}, 405, "MethodNotAllowed"},
		{"POST", "/2020-01-01/extension/lunch", "", nil, 404, "NotFound"},
		{"POST", register, `{"events":["INVOKE"]}`, []string{named, "Lambda-Extension-Accept-Feature: accountId"}, 200, `"accountId":"000000000000"`},
		{"POST", register, `{"events":["INVOKE"]}`, []string{named}, 403, "already registered"},
		{"POST", "/2020-01-01/extension/init/error", "{}", nil, 403, "Extension.MissingHeader"},
		{"POST", "/2020-01-01/extension/exit/error", "{}", []string{"Lambda-Extension-Function-Error-Type: A"}, 403, "from Registered to ExitError"},
		{"PUT", "/2022-07-01/telemetry", "{", nil, 400, "ValidationError"},
		{"PUT", "/2022-07-01/telemetry", `{"schemaVersion":"1999"}`, nil, 400, "schemaVersion"},
		{"PUT", "/2022-07-01/telemetry", `{"schemaVersion":"2022-07-01"}`, nil, 400, "types is empty"},
		{"PUT", "/2022-07-01/telemetry", `{"schemaVersion":"2022-07-01","types":["lunch"]}`, nil, 400, "lunch"},
		{"PUT", "/2022-07-01/telemetry", `{"schemaVersion":"2022-07-01","types":["function"]}`, nil, 400, "destination.protocol"},
		{"PUT", "/2022-07-01/telemetry", `{"schemaVersion":"2022-07-01","types":["function"],"destination":{"protocol":"HTTP","URI":"http://example.com/"}}`, nil, 400, "sandbox.localdomain"},
		{"PUT", "/2022-07-01/telemetry", `{"schemaVersion":"2022-07-01","types":["function"],"destination":{"protocol":"TCP","port":9001}}`, nil, 400, "port 9001"},
		{"PUT", "/2022-07-01/telemetry", subscription(`,"buffering":{"maxItems":1}`), nil, 400, "buffering.maxItems 1 is not from 1000 to 10000"},
		{"PUT", "/2022-07-01/telemetry", subscription(`,"buffering":{"maxBytes":-1}`), nil, 400, "buffering.maxBytes"},
		{"PUT", "/2020-08-15/logs", subscription(`,"buffering":{"timeoutMs":10}`), nil, 400, "schemaVersion"},
		{"POST", "/2022-07-01/telemetry", subscription(""), nil, 405, "MethodNotAllowed"},
		{"PUT", "/2022-07-01/telemetry", subscription(""), nil, 202, "Telemetry.NotSupported"}, // by this test's sandbox
	}
	for _, tt := range tests {
		if status, answer := x.ask(tt.method, tt.path, tt.body, tt.fields...); status != tt.status || !strings.Contains(answer, tt.answer) {
			t.Errorf("%s %s %.60s = %d %s, want %d and %q", tt.method, tt.path, tt.body, status, answer, tt.status, tt.answer)
		}
	}
	for i := range maxExtensions - 1 {
		if status, answer := x.ask("POST", register, `{"events":[]}`, fmt.Sprintf("Lambda-Extension-Name: e%d", i)); status != 200 {
			t.Errorf("extension %d = %d %s", i, status, answer)
		}
	}
	if status, answer := x.ask("POST", register, `{"events":[]}`, "Lambda-Extension-Name: more"); status != 403 || !strings.Contains(answer, "limit (10) reached") {
		t.Errorf("one more = %d %s", status, answer)
	}
	select {
	case <-c.ready:
		t.Error("the instance is ready before the runtime and its extensions are")
	default:
	}
}

func TestAnInstanceIsReadyWhenAllHaveAsked(t *testing.T) {
	c, dial := playRuntime(t)
	x := &extensionClient{t: t, nc: dial()}
	if status, answer := x.ask("POST", "/2020-01-01/extension/register", `{"events":["INVOKE"]}`, "Lambda-Extension-Name: inner"); status != 200 {
		t.Fatalf("register = %d %s", status, answer)
	}
	runtime := dial()
	io.WriteString(runtime, getNext)
	x.send("GET", "/2020-01-01/extension/event/next", "")
	<-c.ready
	results := make(chan *function.Result, 1)
	go func() {
		r, err := c.Invoke(context.Background(), payload(`"hello"`))
		if err != nil {
			t.Errorf("Invoke: %v", err)
		}
		results <- r
	}()
	status, told := x.receive()
	if status != 200 || !strings.Contains(told, `"eventType":"INVOKE"`) {
		t.Errorf("event = %d %s, want the invocation", status, told)
	}
	next, err := http.ReadResponse(newReader(runtime), nil)
	if err != nil {
		t.Fatal(err)
	}
	id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
	fmt.Fprintf(runtime, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1", id)
	wantOutcome(t, <-results, function.Succeeded)
	if !c.Rests() {
		t.Error("the instance does not wait for its extension")
	}
	rested := make(chan struct{})
	go func() {
		defer close(rested)
		c.Rest()
	}()
	x.send("GET", "/2020-01-01/extension/event/next", "")
	<-rested
	if c.Rests() {
		t.Error("the instance waits although its extension has finished")
	}
	late := &extensionClient{t: t, nc: dial()}
	if status, answer := late.ask("POST", "/2020-01-01/extension/register", `{"events":[]}`, "Lambda-Extension-Name: late"); status != 403 || !strings.Contains(answer, "closed already") {
		t.Errorf("register after the start = %d %s", status, answer)
	}
}

func TestTelemetryThatNobodyTakesIsCounted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan [][]byte)
	s := &subscription{
		kinds: map[kind]bool{kindFunction: true}, limits: buffering{Items: 1000, Bytes: 256 << 10, Timeout: 25},
		done: ctx.Done(), end: cancel, changed: make(chan struct{}, 1), empty: make(chan struct{}),
		dropped: func(n, size int) []byte { return fmt.Appendf(nil, "lost %d of %d bytes", n, size) },
		deliver: func(_ context.Context, records [][]byte) error {
			select {
			case sent <- records:
			case <-ctx.Done():
			}
			return nil
		},
	}
	one := slices.Repeat([]byte("x"), 1<<10)
	for range 600 { // the queue holds 512 of them
		s.add(fact{kindFunction, one, one})
		s.add(fact{kindPlatform, one, one}) // not asked for
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.run(ctx)
	}()
	first := <-sent
	if string(first[0]) != "lost 88 of 90112 bytes" || len(first) != 257 {
		t.Errorf("first batch has %d records and begins with %.40q, want 257 and the 88 that were lost", len(first), first[0])
	}
	if second := <-sent; len(second) != 256 {
		t.Errorf("second batch has %d records, want 256", len(second))
	}
	cancel()
	<-over
}

// The Telemetry API has the word of the Logs API: who decodes records by their types would not know another one.
func TestLostRecordsAreToldByAWSsWord(t *testing.T) {
	const want = `{"time":"2026-01-02T03:04:05.000Z","type":"platform.logsDropped","record":{"reason":"Consumer seems to have fallen behind as it has not acknowledged receipt of logs.","droppedRecords":3,"droppedBytes":700}}`
	if got := encodeDropped(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), 3, 700); string(got) != want {
		t.Errorf("record = %s, want %s", got, want)
	}
}

func FuzzSubscription(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":"2022-12-13","types":["function"],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:80"}}`))
	f.Add([]byte(`{"schemaVersion":"2021-03-18","types":["platform"],"destination":{"protocol":"TCP","port":70000},"buffering":{"maxItems":1e9}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, d := range dialects() {
			var s subscribing
			if json.Unmarshal(text, &s) != nil {
				return
			}
			port, refused := d.check(&s)
			if refused == nil && (port < 1 || port > 65535 || s.Buffering.Bytes > 1<<20 || s.Buffering.Items > 10_000) {
				t.Errorf("%s: port %d, %+v", text, port, s.Buffering)
			}
		}
	})
}
