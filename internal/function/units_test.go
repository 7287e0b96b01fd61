package function

import (
	"testing"
	"time"
)

func TestDurationTextReadsBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 200 * time.Millisecond: "200ms", 30 * time.Second: "30s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m",
		6 * time.Hour: "6h", time.Hour + time.Second: "1h0m1s", 90 * time.Minute: "1h30m", 24 * time.Hour: "1d", 30 * 24 * time.Hour: "30d", 36 * time.Hour: "36h",
		10 * time.Minute: "10m", 20 * time.Hour: "20h",
	} {
		got := Duration(d).String()
		if got != want {
			t.Errorf("Duration(%v).String() = %q, want %q", d, got, want)
		}
		var back Duration
		if err := back.UnmarshalText([]byte(got)); err != nil || back.Std() != d {
			t.Errorf("%q reads back as %v, %v, want %v", got, back.Std(), err, d)
		}
	}
}

func TestUnitsRefuse(t *testing.T) {
	for _, text := range []string{"", "x", "-1s", "5", "1e9d", "-2d", "NaNd", "1dd"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("duration %q was read as %v", text, d)
		}
	}
	for _, text := range []string{"", "x", "-1", "1Qi", "NaN", "1e300", "InfGi"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q was read as %v", text, b)
		}
	}
}

func TestBytesTextReadsBack(t *testing.T) {
	for b, want := range map[Bytes]string{0: "0", 1: "1", 1024: "1Ki", 128 << 20: "128Mi", 10 << 30: "10Gi", 1500: "1500", 3 << 40: "3Ti"} {
		if got := b.String(); got != want {
			t.Errorf("Bytes(%d).String() = %q, want %q", int64(b), got, want)
		}
		var back Bytes
		if err := back.UnmarshalText([]byte(want)); err != nil || back != b {
			t.Errorf("%q reads back as %d, %v, want %d", want, back, err, b)
		}
	}
}
