package gateway

import (
	"net/http"
	"testing"
)

func TestATraceOfAWSGoesOn(t *testing.T) {
	const w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	tests := []struct{ parent, xray, want string }{
		{"", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1", w3c},
		{"", "Sampled=0; Self=1-2; Parent=b7ad6b7169203331; Root=1-0af76519-16cd43dd8448eb211c80319c", w3c[:53] + "00"},
		{w3c, "Root=1-11111111-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331", w3c},
		{"", "Root=1-0af76519-16cd43dd8448eb211c80319c", ""},
		{"", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=xx", ""},
		{"", "Root=1-0af7651916cd43dd8448eb211c80319c;Parent=b7ad6b7169203331", ""},
		{"", "Root=2-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331", ""},
		{"", "Root=1-00000000-000000000000000000000000;Parent=b7ad6b7169203331", ""},
		{"", ";;=;Root", ""},
	}
	for _, tt := range tests {
		h := http.Header{"X-Amzn-Trace-Id": {tt.xray}}
		if tt.parent != "" {
			h.Set("Traceparent", tt.parent)
		}
		got := traceParent(h)
		if !validTraceParent(got) || tt.want != "" && got != tt.want {
			t.Errorf("traceParent(%q, %q) = %s, want %s", tt.parent, tt.xray, got, tt.want)
		}
	}
}

func FuzzXRayTrace(f *testing.F) {
	f.Add("Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1")
	f.Add("Root=1-;Parent;Sampled=?")
	f.Fuzz(func(t *testing.T, header string) {
		if id := fromXRay(header); id != "" && !validTraceParent(id) {
			t.Errorf("fromXRay(%q) = %q", header, id)
		}
	})
}
