package aws

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

func testTime() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) }

// AWS Signature Version 4 test suite, get-vanilla.
func TestAWSsOwnExampleIsVerified(t *testing.T) {
	r := httptest.NewRequest("GET", "http://example.amazonaws.com/", nil)
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
	s, err := readSignature(r)
	if err != nil {
		t.Fatal(err)
	}
	if !s.verify(r, sumOf(nil), testSecret) {
		t.Errorf("the example is not verified; canonical request:\n%s", s.canonical(r, sumOf(nil)))
	}
	if s.verify(r, sumOf(nil), testSecret+"x") {
		t.Error("it is verified with another secret too")
	}
}

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// received is what a server gets of what a client sends.
func received(t *testing.T, sent *http.Request) *http.Request {
	t.Helper()
	r := sent.Clone(t.Context())
	if r.Host == "" {
		r.Host = sent.URL.Host
	}
	return r
}

func TestWhatTheSDKSignsIsVerified(t *testing.T) {
	signer := v4.NewSigner()
	key := sdk.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
	for _, target := range []string{
		"http://127.0.0.1:8081/2015-03-31/functions",
		"http://127.0.0.1:8081/2015-03-31/functions/",
		"http://127.0.0.1:8081/2015-03-31/functions?Marker=a%2Fb%3D&MaxItems=2",
		"http://127.0.0.1:8081/2015-03-31/functions?b=2&a=2&a=1&a-b=0&empty=&sp=a%20b%2Bc",
		"http://127.0.0.1:8081/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Apay/invocations?Qualifier=%24LATEST",
		"http://localhost/2017-03-31/tags/arn%3Aaws%3Alambda%3A?tagKeys=%C3%A9",
	} {
		for _, body := range []string{"", `{"order":1}`} {
			t.Run(target+body, func(t *testing.T) {
				r, err := http.NewRequest("POST", target, bytes.NewReader([]byte(body)))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Amz-Client-Context", "  a   b ")
				r.Header.Set("Content-Type", "application/json")
				if err := signer.SignHTTP(t.Context(), key, r, sumOf([]byte(body)), lambdaService, "us-east-1", testTime()); err != nil {
					t.Fatal(err)
				}
				got := received(t, r)
				s, err := readSignature(got)
				if err != nil || !s.verify(got, sumOf([]byte(body)), testSecret) || s.unsigned(got) != "" || s.presigned {
					t.Errorf("signature = %+v, %v, not signed %q", s, err, s.unsigned(got))
				}
				link, header, err := signer.PresignHTTP(t.Context(), key, withExpires(r), sumOf([]byte(body)), lambdaService, "us-east-1", testTime())
				if err != nil {
					t.Fatal(err)
				}
				presigned := httptest.NewRequest("POST", link, nil)
				presigned.Header, presigned.ContentLength = header, r.ContentLength
				if s, err = readSignature(presigned); err != nil || !s.verify(presigned, sumOf([]byte(body)), testSecret) || s.lasts != 5*time.Minute {
					t.Errorf("presigned: %+v, %v", s, err)
				}
			})
		}
	}
}

func withExpires(r *http.Request) *http.Request {
	c := r.Clone(r.Context())
	c.Header = http.Header{}
	q := c.URL.Query()
	q.Set("X-Amz-Expires", "300")
	c.URL.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	return c
}

func TestWhatWasChangedIsNotVerified(t *testing.T) {
	sign := func() *http.Request {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8081/2015-03-31/functions/pay/invocations?Qualifier=1", strings.NewReader("{}"))
		r.Header.Set("X-Amz-Invocation-Type", "Event")
		if err := v4.NewSigner().SignHTTP(t.Context(), sdk.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, sumOf([]byte("{}")), lambdaService, "us-east-1", testTime()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for what, change := range map[string]func(*http.Request){
		"method":   func(r *http.Request) { r.Method = "DELETE" },
		"path":     func(r *http.Request) { r.URL.Path = "/2015-03-31/functions/other/invocations" },
		"encoding": func(r *http.Request) { r.URL.RawPath = "/2015-03-31/functions/p%61y/invocations" },
		"query":    func(r *http.Request) { r.URL.RawQuery = "Qualifier=2" },
		"more":     func(r *http.Request) { r.URL.RawQuery += "&Qualifier=2" },
		"host":     func(r *http.Request) { r.Host = "other:8081" },
		"header":   func(r *http.Request) { r.Header.Set("X-Amz-Invocation-Type", "DryRun") },
		"twice":    func(r *http.Request) { r.Header.Add("X-Amz-Invocation-Type", "DryRun") },
		"date":     func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150830T123700Z") },
		"region": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", "eu-west-1", 1))
		},
		"service": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/lambda/", "/s3/", 1))
		},
	} {
		r := sign()
		change(r)
		s, err := readSignature(r)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if s.verify(r, sumOf([]byte("{}")), testSecret) {
			t.Errorf("a changed %s is verified", what)
		}
	}
	r := sign()
	s, err := readSignature(r)
	if err != nil || !s.verify(r, sumOf([]byte("{}")), testSecret) {
		t.Fatalf("what was not changed is not verified: %v", err)
	}
	if s.verify(r, sumOf([]byte("[]")), testSecret) {
		t.Error("another body is verified")
	}
	r.Header.Set("X-Amz-Log-Type", "Tail")
	if name := s.unsigned(r); name != "x-amz-log-type" {
		t.Errorf("a header that came on the way is %q", name)
	}
}

func TestSignaturesAreGoodForAWhile(t *testing.T) {
	at := testTime()
	for _, tt := range []struct {
		s    signature
		now  time.Duration
		good bool
	}{
		{signature{at: at}, 0, true},
		{signature{at: at}, 15 * time.Minute, true},
		{signature{at: at}, 15*time.Minute + time.Second, false},
		{signature{at: at}, -15 * time.Minute, true},
		{signature{at: at}, -15*time.Minute - time.Second, false},
		{signature{at: at, presigned: true, lasts: time.Hour}, time.Hour, true},
		{signature{at: at, presigned: true, lasts: time.Hour}, time.Hour + time.Second, false},
		{signature{at: at, presigned: true, lasts: time.Minute}, 2 * time.Minute, false},
		{signature{at: at, presigned: true, lasts: time.Hour}, -16 * time.Minute, false},
	} {
		if err := tt.s.timely(at.Add(tt.now)); (err == nil) != tt.good {
			t.Errorf("presigned %v, %s later: %v, want good %v", tt.s.presigned, tt.now, err, tt.good)
		}
	}
}

func TestClaimsThatAreNone(t *testing.T) {
	const good = "Credential=K/20150830/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	for what, header := range map[string]string{
		"nothing":         "",
		"another":         strings.Replace(good, "Credential", "Credentials", 1),
		"scope":           strings.Replace(good, "/lambda", "", 1),
		"an empty key":    strings.Replace(good, "=K/", "=/", 1),
		"end":             strings.Replace(good, "aws4_request", "aws5_request", 1),
		"day":             strings.Replace(good, "20150830", "20150831", 1),
		"short":           strings.Replace(good, "bf31", "", 1),
		"no hex":          strings.Replace(good, "bf31", "bfzz", 1),
		"no host":         strings.Replace(good, "host;", "", 1),
		"not sorted":      strings.Replace(good, "host;x-amz-date", "x-amz-date;host", 1),
		"capitals":        strings.Replace(good, "host;x", "host;X", 1),
		"twice":           good + ", Signature=00",
		"without a value": good + ", more",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Amz-Date", "20150830T123600Z")
		r.Header.Set("Authorization", algorithm+" "+header)
		if s, err := readSignature(r); err == nil {
			t.Errorf("%s: %+v, want an error", what, s)
		}
	}
	for what, query := range map[string]string{
		"no algorithm": "X-Amz-Signature=00",
		"for ever":     presigned("604801"), "no time": presigned(""), "negative": presigned("-1"),
		"twice": presigned("60") + "&X-Amz-Signature=00",
	} {
		r := httptest.NewRequest("GET", "/?"+query, nil)
		if s, err := readSignature(r); err == nil {
			t.Errorf("%s: %+v, want an error", what, s)
		}
	}
	if _, err := readSignature(httptest.NewRequest("GET", "/?"+presigned("60"), nil)); err != nil {
		t.Errorf("a whole claim: %v", err)
	}
}

func presigned(expires string) string {
	return url.Values{
		"X-Amz-Algorithm": {algorithm}, "X-Amz-Credential": {"K/20150830/us-east-1/lambda/aws4_request"}, "X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Expires": {expires},
		"X-Amz-SignedHeaders": {"host"}, "X-Amz-Signature": {"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	}.Encode()
}

func FuzzReadSignature(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=K/20150830/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "20150830T123600Z", "")
	f.Add("", "", presigned("60"))
	f.Add("AWS4-HMAC-SHA256 ,=,=", "20150830T123600Z", "X-Amz-Signature=%zz;")
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := &http.Request{Method: "GET", Host: "h", Header: http.Header{"Authorization": {authorization}, "X-Amz-Date": {date}}, URL: &url.URL{Path: "/2015-03-31/functions", RawQuery: query}}
		s, err := readSignature(r)
		if err != nil {
			return
		}
		if s.key == "" || len(s.sum) != sha256.Size || s.at.Format(dayForm) != s.day {
			t.Errorf("%q, %q, %q gives %+v", authorization, date, query, s)
		}
		if s.verify(r, sumOf(nil), fmt.Sprint("no secret of ", s.key)) {
			t.Errorf("%+v is verified without the secret", s)
		}
	})
}
