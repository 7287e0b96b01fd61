package function

import (
	"fmt"
	"testing"
)

func TestTextsOfLinesAreUnderstood(t *testing.T) {
	for text, want := range map[string]string{
		`{"time":"2026-01-02T03:04:05Z","level":"ERROR","msg":"no flour","order":"o-1","n":3}`: `error|no flour|n=3 order="o-1"`, // slog
		`{"level":40,"time":1531171074631,"msg":"slow","pid":7}`:                               `warn|slow|pid=7`,                // pino
		`{"severity":"CRITICAL","message":"gone"}`:                                             `fatal|gone|`,                    // Google
		`{"@timestamp":"x","log.level":"debug","message":"m"}`:                                 `debug|m|`,                       // ECS
		`{"timestamp":"x","level":"INFO","message":{"a":1},"requestId":"r"}`:                   `info|{"timestamp":"x","level":"INFO","message":{"a":1},"requestId":"r"}|message={"a":1} requestId="r"`,
		`{"level":"none such","msg":"m"}`:                                                      `info|m|level="none such"`,
		`{"msg":"cut`:                                                                          `info|{"msg":"cut|`,
		`time=x level=WARN msg="a b"`:                                                          `warn|time=x level=WARN msg="a b"|`,
		`ERROR: no flour`:                                                                      `error|ERROR: no flour|`,
		`[warn] late`:                                                                          `warn|[warn] late|`,
		"2026-01-02T03:04:05.000Z\t3f2c\tERROR\tno flour":                                      "error|2026-01-02T03:04:05.000Z\t3f2c\tERROR\tno flour|", // AWS's Node.js
		`an error is a word of a sentence`:                                                     `info|an error is a word of a sentence|`,
		`50 loaves`:                                                                            `info|50 loaves|`,
		``:                                                                                     `info||`,
		`null`:                                                                                 `info|null|`,
	} {
		l := LogLine{Text: text}
		read := l.Read()
		fields := ""
		for i, f := range read.Fields {
			if i > 0 {
				fields += " "
			}
			fields += f.Name + "=" + string(f.Value)
		}
		if got := fmt.Sprintf("%s|%s|%s", read.Level, read.Message, fields); got != want {
			t.Errorf("Read(%s) = %s, want %s", text, got, want)
		}
	}
}

func TestLevelsHaveAnOrder(t *testing.T) {
	if !LogError.AtLeast(LogWarn) || !LogWarn.AtLeast(LogWarn) || LogInfo.AtLeast(LogWarn) || !LogTrace.AtLeast("") {
		t.Error("levels are not in the order of how serious they are")
	}
}

func FuzzLinesAreRead(f *testing.F) {
	f.Add(`{"level":"x","msg":1,"a":[]}`)
	f.Add(`level= ERROR |`)
	f.Fuzz(func(t *testing.T, text string) {
		l := LogLine{Text: text}
		if read := l.Read(); !read.Level.AtLeast(LogTrace) || read.Message == "" && text != "" && text[0] != '{' {
			t.Errorf("Read(%q) = %+v", text, read)
		}
	})
}
