package disk

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/errors"
	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

func TestADamagedFileIsToldOfOnceWithWhatToDo(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	l, err := Open(Options{Dir: dir, Log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x", Value: bytes.Repeat([]byte{byte(i)}, 1000)}}); err != nil {
			t.Fatal(err)
		}
	}
	out.Reset()
	for range 2 {
		l.listener().DataCorruption(pebble.DataCorruptionInfo{Path: "db/000004.sst", Details: errors.New("checksum mismatch")})
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var told []string
	for _, line := range lines {
		if strings.Contains(line, "event log is damaged") {
			told = append(told, line)
		}
	}
	if len(told) != 2 || strings.Contains(told[0], "damage_test.go") || !strings.Contains(told[0], `"file":"db/000004.sst"`) || !strings.Contains(told[0], "dalamb backup verify") ||
		!strings.Contains(told[1], `"level":"DEBUG"`) || !strings.Contains(told[1], "damage_test.go") {
		t.Errorf("told\n%s\nwant one line with what to do, and one for debugging with the stack", strings.Join(told, "\n"))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	files, err := filepath.Glob(filepath.Join(dir, "db", "MANIFEST-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the manifests are %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		copy(text[len(text)/3:], "damaged")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err = Open(Options{Dir: dir})
	if err == nil {
		l.Close()
	}
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fmt.Sprint(err), "is damaged: ") || !strings.Contains(fault.HintOf(err), "dalamb restore") || strings.Contains(fmt.Sprint(err), "\n") {
		t.Errorf("Open of a damaged log = %v (%s), want one line that says so, and what to do", err, fault.HintOf(err))
	}
}
