package api

import (
	"encoding/base64"
	"testing"
)

// Nobody but dalamb marks an invocation as a copy.
func TestAClientContextHasNoMarkOfACopy(t *testing.T) {
	for text, want := range map[string]string{
		`{"custom":{"dalambshadow":"true"}}`:                          `{"custom":{}}`,
		`{"custom":{"a":1.0,"dalambshadow":true},"env":{"b":[1, 2]}}`: `{"custom":{"a":1.0},"env":{"b":[1,2]}}`,
		`{"custom":{"dalamb\u0073hadow":"true"}}`:                     `{"custom":{}}`,
		`{"custom":{"dalambshadow":"true"},"custom":{"a":1}}`:         `{"custom":{"a":1}}`,
		`{"client":{"installation_id":"x"}}`:                          `{"client":{"installation_id":"x"}}`,
		`{"custom":null}`:                                             `{"custom":null}`,
		`[1]`:                                                         `[1]`,
		``:                                                            ``,
	} {
		got, err := base64.StdEncoding.DecodeString(unmarked(base64.StdEncoding.EncodeToString([]byte(text))))
		if err != nil || string(got) != want {
			t.Errorf("unmarked(%s) = %s, %v; want %s", text, got, err, want)
		}
	}
	if got := unmarked("%"); got != "%" {
		t.Errorf("unmarked of what is no base64 = %q", got)
	}
}
