//go:build linux

package inside

import (
	"bytes"
	"testing"
)

func TestFrameRoundTrip(t *testing.T) {
	var all []byte
	frames := []frame{
		{frameControl, 0, bytes.Repeat([]byte("x"), maxData+1)}, {frameData, 1<<32 - 1, []byte{0}}, {frameData, 2, nil},
		{frameRoom, 3, []byte{1, 2, 3, 4}}, {frameEnd, 4, nil}, {frameBroken, 5, nil},
	}
	for _, f := range frames {
		all = f.append(all)
	}
	for _, want := range frames {
		for short := range min(len(all), frameHead+len(want.body)) {
			if f, _, err := cutFrame(all[:short]); f != nil || err != nil {
				t.Fatalf("cutFrame of %d bytes of %c = %v, %v; want to wait for more", short, want.kind, f, err)
			}
		}
		f, rest, err := cutFrame(all)
		if err != nil || f == nil || f.kind != want.kind || f.stream != want.stream || !bytes.Equal(f.body, want.body) {
			t.Fatalf("cutFrame = %.40v, %v; want %.40v", f, err, want)
		}
		all = rest
	}
	if len(all) > 0 {
		t.Errorf("%d bytes are left", len(all))
	}
}

func TestFramesThatBreakTheRules(t *testing.T) {
	for name, b := range map[string][]byte{
		"kind":          {'?', 0, 0, 0, 0, 0, 0, 0, 0},
		"long control":  {frameControl, 0, 0, 0, 0, 1, 0, 0x80, 0},
		"long data":     {frameData, 0, 0, 0, 0, 1, 0x80, 0, 0},
		"long room":     {frameRoom, 0, 0, 0, 0, 5, 0, 0, 0},
		"short room":    {frameRoom, 0, 0, 0, 0, 3, 0, 0, 0},
		"end with body": {frameEnd, 0, 0, 0, 0, 1, 0, 0, 0},
		"huge":          {frameData, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
	} {
		if f, _, err := cutFrame(b); err == nil {
			t.Errorf("%s: cutFrame = %v, want an error", name, f)
		}
	}
}

func FuzzCutFrame(f *testing.F) {
	for _, seed := range []frame{{frameControl, 0, []byte("body")}, {frameData, 7, nil}, {frameRoom, 9, []byte{0, 0, 1, 0}}, {frameEnd, 1, nil}} {
		f.Add(seed.append(nil))
	}
	f.Add([]byte{frameData, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			got, rest, err := cutFrame(b)
			if err != nil || got == nil {
				return
			}
			if back := got.append(nil); !bytes.Equal(append(back, rest...), b) {
				t.Fatalf("a frame %q of %q does not give it back", got.body, b)
			}
			b = rest
		}
	})
}
