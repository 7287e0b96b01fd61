package function

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestStickyKey(t *testing.T) {
	for _, tc := range []struct {
		sticky *Sticky
		header http.Header
		want   string
	}{
		{nil, http.Header{"X-Customer": {"c1"}}, ""},
		{&Sticky{Header: "x-customer"}, http.Header{"X-Customer": {"c1", "c2"}}, "c1"},
		{&Sticky{Header: "X-Customer"}, nil, ""},
		{&Sticky{Cookie: "sid"}, http.Header{"Cookie": {"a=b; sid=s1"}}, "s1"},
		{&Sticky{Cookie: "sid"}, http.Header{"Cookie": {"SID=s1"}}, ""},
		{&Sticky{Cookie: "sid"}, nil, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = tc.header
		if got := tc.sticky.Key(r); got != tc.want {
			t.Errorf("%+v.Key(%v) = %q, want %q", tc.sticky, tc.header, got, tc.want)
		}
	}
}
