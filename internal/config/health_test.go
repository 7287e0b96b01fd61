package config

import (
	"strings"
	"testing"
)

func TestBoundsOfHealth(t *testing.T) {
	n, err := Load(Source{File: file(t, "health: {window: 1m, store: 1s:2s, queue: 5:6, errors: 2.5%:100%, response: 200ms:3s}\n")})
	if err != nil {
		t.Fatal(err)
	}
	h := n.Health
	if h.Store != (Bounds{1, 2, seconds}) || h.Queue != (Bounds{5, 6, count}) || h.Errors != (Bounds{0.025, 1, share}) || h.Response != (Bounds{0.2, 3, seconds}) {
		t.Errorf("bounds = %+v", h)
	}
	for _, b := range []Bounds{h.Store, h.Queue, h.Errors, h.Response, Default().Health.Errors, Default().Health.Response} {
		again := Bounds{unit: b.unit}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%+v is written %q and read as %+v, %v", b, b, again, err)
		}
	}
	if n, err = Load(Source{File: file(t, "health: {store: off}\n")}); err != nil || n.Health.Store != (Bounds{}) {
		t.Errorf("off = %+v, %v, want none", n, err)
	}
	for value, want := range map[string]string{
		"store: 1s":          `"1s" is not two bounds`,
		"store: 2s:1s":       "the second is more than the first",
		"store: 0s:1s":       "the first bound is more than nothing",
		"store: soon:1s":     `"soon"`,
		"store: -1s:1s":      "-1s",
		"queue: 1.5:2":       `"1.5" is not a whole number`,
		"errors: 5:50":       `"5" is not a share`,
		"errors: NaN%:50%":   "more than nothing",
		"errors: 50%:150%":   "nothing is more than 100%",
		"window: 10ms":       "allowed: 1s to 1h",
		"response: 1s:2s:3s": `"2s:3s"`,
	} {
		if _, err := Load(Source{File: file(t, "health: {"+value+"}\n")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", value, err, want)
		}
	}
}
