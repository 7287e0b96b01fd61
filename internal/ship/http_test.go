package ship

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// server answers with a status and a body, and notes the last request.
type server struct {
	*httptest.Server
	status int
	answer []byte
	header http.Header
	body   []byte
	path   string
}

func listen(t *testing.T) *server {
	s := &server{status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.header, s.path = r.Header, r.URL.Path
		s.body, _ = io.ReadAll(r.Body)
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(s.status)
		_, _ = w.Write(s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestABatchIsPosted(t *testing.T) {
	s := listen(t)
	word := "Bearer one"
	h := NewHTTP(HTTPOptions{URL: s.URL + "/in", Header: "Authorization", Value: func() (string, error) { return word, nil }})
	defer h.Close()
	send(t, h, "a", "b")
	if s.path != "/in" || s.header.Get("Content-Type") != "application/x-ndjson" || s.header.Get("Authorization") != word || strings.Count(string(s.body), "\n") != 2 || !strings.Contains(string(s.body), `"message":"b"`) {
		t.Errorf("got %s %v %s", s.path, s.header, s.body)
	}
	word = "Bearer two" // the file has another one now
	send(t, h, "a")
	if s.header.Get("Authorization") != word {
		t.Errorf("header = %q, want the new value", s.header.Get("Authorization"))
	}
	if err := h.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	s := listen(t)
	h := NewHTTP(HTTPOptions{URL: s.URL + "/in?key=word", Header: "X", Value: func() (string, error) { return "word", nil }})
	defer h.Close()
	for status, never := range map[int]bool{400: true, 413: true, 422: true, 401: false, 404: false, 429: false, 500: false, 503: false, 307: false} {
		s.status = status
		err := h.Send(t.Context(), some("a"))
		var wait busy
		if err == nil || refused(err) != never || errors.As(err, &wait) == never || !never && wait.again != 7*time.Second || strings.Contains(err.Error(), "word") || s.path != "/in" {
			t.Errorf("%d: %v, refused %v, %+v; want refused %v, nobody else asked and no word of the address", status, err, refused(err), wait, never)
		}
	}
	s.Close()
	if err := h.Send(t.Context(), some("a")); err == nil || refused(err) || strings.Contains(err.Error(), "word") {
		t.Errorf("nobody there: %v", err)
	}
	if err := h.Check(t.Context()); err == nil {
		t.Error("nobody can be had")
	}
	broken := NewHTTP(HTTPOptions{URL: s.URL, Header: "X", Value: func() (string, error) { return "", errors.New("no file") }})
	if err := broken.Send(t.Context(), some("a")); err == nil || refused(err) {
		t.Errorf("no value: %v", err)
	}
}

func TestOTLPHasTheFunctionAsTheService(t *testing.T) {
	s := listen(t)
	o := NewOTLP(HTTPOptions{URL: s.URL + "/v1/logs"})
	defer o.Close()
	lines := some(`{"level":"error","msg":"no flour","n":3,"half":0.5,"who":{"a":[true,null]}}`, "plain \xff")
	other := some("x")[0]
	other.Function = "bake"
	if err := o.Send(t.Context(), append(lines, other)); err != nil {
		t.Fatal(err)
	}
	var got logspb.LogsData
	if err := proto.Unmarshal(s.body, &got); err != nil {
		t.Fatal(err)
	}
	if s.path != "/v1/logs" || s.header.Get("Content-Type") != "application/x-protobuf" || len(got.ResourceLogs) != 2 {
		t.Fatalf("got %s %v %v", s.path, s.header, &got)
	}
	said := ""
	for _, r := range got.ResourceLogs {
		for _, a := range r.Resource.Attributes {
			said += a.Key + "=" + a.Value.GetStringValue() + " "
		}
		for _, l := range r.ScopeLogs[0].LogRecords {
			said += fmt.Sprintf("(%d %s %d %s", l.TimeUnixNano, l.SeverityText, l.SeverityNumber, l.Body.GetStringValue())
			for _, a := range l.Attributes {
				said += " " + a.Key + "=" + strings.ReplaceAll(fmt.Sprint(a.Value), "  ", " ")
			}
			said += ") "
		}
	}
	for _, want := range []string{
		"service.name=pay service.version=2 service.instance.id=i-1 (1700000000005000000 ERROR 17 no flour log.record.uid=", "log.iostream=", "faas.invocation_id=",
		"half=double_value:0.5 n=int_value:3", "bool_value:true", "INFO 9 plain \ufffd", "service.name=bake",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("got %s, want %q in it", said, want)
		}
	}
}

func TestWhatOTLPRejectsIsRefused(t *testing.T) {
	s := listen(t)
	o := NewOTLP(HTTPOptions{URL: s.URL})
	defer o.Close()
	partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), "too old")
	s.answer = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
	var part partly
	if err := o.Send(t.Context(), some("a", "b")); err == nil || refused(err) || !errors.As(err, &part) || part.refused != 1 || !strings.Contains(err.Error(), "too old") {
		t.Errorf("a partial success: %v", err)
	}
	for _, nothing := range []string{"", "\n", "\n\x00", "{}", "<html>", "\n\x05ab"} {
		s.answer = []byte(nothing)
		if err := o.Send(t.Context(), some("a")); err != nil {
			t.Errorf("answer %q: %v", nothing, err)
		}
	}
}
