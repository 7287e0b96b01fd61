package cli

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/wire"
)

func TestATerminalIsShownHowFarAnImageIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		asked := 0
		list := func(context.Context) (wire.ImagePullList, error) {
			if asked++; asked == 1 {
				return wire.ImagePullList{}, errors.New("not now")
			}
			return wire.ImagePullList{Pulls: []wire.ImagePull{
				{Reference: "other:1", Layers: 9},
				{Reference: "pay:1", Layers: 3, Done: 1, Bytes: 64 << 20, Came: int64(asked) << 20},
			}}, nil
		}
		failed := errors.New("no such layer")
		err := progress{&b}.pulls(t.Context(), "pay", "pay:1", list, func() error {
			time.Sleep(700 * time.Millisecond)
			return failed
		})
		const erase = "\r\x1b[K"
		want := erase + "pay: 1 of 3 layers, 2.0 MiB of 64.0 MiB" + erase + "pay: 1 of 3 layers, 3.0 MiB of 64.0 MiB" + erase
		if err != failed || b.String() != want {
			t.Errorf("pulls = %v, %q, want %v, %q", err, b.String(), failed, want)
		}

		b.Reset()
		sent := progress{&b}.sending("pay")
		for done := int64(0); done <= 4<<20; done += 1 << 20 {
			sent(done, 4<<20)
			time.Sleep(150 * time.Millisecond)
		}
		want = erase + "pay: sending its image, 0 B of 4.0 MiB" + erase + "pay: sending its image, 2.0 MiB of 4.0 MiB" + erase + "pay: sending its image, 4.0 MiB of 4.0 MiB"
		if b.String() != want {
			t.Errorf("sending shows %q, want %q", b.String(), want)
		}
	})
}

func TestWhatIsNoTerminalIsShownNothing(t *testing.T) {
	var b bytes.Buffer
	p := progressOn(&b)
	p.show("here")
	if err := p.pulls(t.Context(), "pay", "pay:1", nil, func() error { return nil }); err != nil || p.sending("pay") != nil || b.Len() > 0 {
		t.Errorf("pulls = %v, shown %q, want nothing", err, b.String())
	}
}
