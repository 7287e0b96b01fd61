package aws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AWS Identity and Access Management user guide, "AWS Signature Version 4 for API requests": "Create a signed AWS API request" and
// "Authenticate requests with the query string".
const (
	algorithm    = "AWS4-HMAC-SHA256"
	dateForm     = "20060102T150405Z"
	dayForm      = "20060102"
	scopeEnd     = "aws4_request"
	maxSkew      = 15 * time.Minute
	maxPresigned = 7 * 24 * time.Hour
)

// signature is what a request says of how it was signed.
type signature struct {
	key       string // id of the access key
	day       string
	region    string
	service   string
	headers   []string // that were signed, in lower case, sorted
	sum       []byte
	at        time.Time
	presigned bool
	lasts     time.Duration // of a presigned URL
}

// isSigned says whether a request claims to be signed, in either form.
func isSigned(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), algorithm) || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=")
}

// readSignature reads the claim, and believes nothing of it.
func readSignature(r *http.Request) (*signature, error) {
	if strings.HasPrefix(r.Header.Get("Authorization"), algorithm) {
		return readHeader(r)
	}
	return readQuery(r)
}

func readHeader(r *http.Request) (*signature, error) {
	if len(r.Header["Authorization"]) > 1 {
		return nil, incomplete("there are several Authorization headers")
	}
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), algorithm+" ")
	if !ok {
		return nil, incomplete("Authorization: the algorithm is not " + algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := fields[name]; !ok || twice {
			return nil, incomplete("Authorization: it is not Credential=..., SignedHeaders=..., Signature=..., each once")
		}
		fields[name] = value
	}
	return newSignature(claim{fields["Credential"], fields["SignedHeaders"], fields["Signature"], r.Header.Get("X-Amz-Date")})
}

func readQuery(r *http.Request) (*signature, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, incomplete("the query cannot be read")
	}
	for name, values := range q {
		if strings.HasPrefix(name, "X-Amz-") && len(values) > 1 {
			return nil, incomplete(name + " is there more than once")
		}
	}
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, incomplete("X-Amz-Algorithm is not " + algorithm)
	}
	s, err := newSignature(claim{q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature"), q.Get("X-Amz-Date")})
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > maxPresigned {
		return nil, incomplete("X-Amz-Expires is not a number of seconds from 1 to 604800")
	}
	s.presigned, s.lasts = true, time.Duration(seconds)*time.Second
	return s, nil
}

// claim is the text of a signature, wherever it stood.
type claim struct{ credential, headers, sum, date string }

func newSignature(c claim) (*signature, error) {
	scope := strings.Split(c.credential, "/")
	if len(scope) != 5 || scope[4] != scopeEnd || slices.Contains(scope, "") {
		return nil, incomplete("Credential is not KEY/DAY/REGION/SERVICE/" + scopeEnd)
	}
	s := &signature{key: scope[0], day: scope[1], region: scope[2], service: scope[3], headers: strings.Split(c.headers, ";")}
	var err error
	if s.sum, err = hex.DecodeString(c.sum); err != nil || len(s.sum) != sha256.Size {
		return nil, incomplete("Signature is not 64 digits in hex")
	}
	if s.at, err = time.Parse(dateForm, c.date); err != nil {
		return nil, incomplete("X-Amz-Date is not there, or is not a time such as " + dateForm)
	}
	if s.at.Format(dayForm) != s.day {
		return nil, invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " + s.day + " is not the day of " + c.date)
	}
	if !slices.IsSorted(s.headers) || !slices.Contains(s.headers, "host") || strings.ToLower(c.headers) != c.headers {
		return nil, incomplete("SignedHeaders is not a sorted list in lower case with host")
	}
	return s, nil
}

// timely refuses what was signed for another time.
func (s *signature) timely(now time.Time) error {
	said, is := s.at.Format(dateForm), now.UTC().Format(dateForm)
	last := s.at.Add(maxSkew)
	if s.presigned {
		last = s.at.Add(s.lasts)
	}
	switch {
	case s.at.After(now.Add(maxSkew)):
		return invalid("Signature not yet current: " + said + " is later than " + is + " (15 min.)")
	case now.After(last):
		return invalid("Signature expired: " + said + " is too long before " + is)
	}
	return nil
}

// verify says whether who holds the secret has signed the request with this body. It takes the same time whatever differs.
func (s *signature) verify(r *http.Request, bodySum, secret string) bool {
	return hmac.Equal(s.sum, s.sign(s.toSign(r, bodySum), secret))
}

func (s *signature) sign(text, secret string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.day, s.region, s.service, scopeEnd, text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part)) // a hash takes everything
		key = mac.Sum(nil)
	}
	return key
}

// toSign is the string to sign.
func (s *signature) toSign(r *http.Request, bodySum string) string {
	sum := sha256.Sum256([]byte(s.canonical(r, bodySum)))
	return strings.Join([]string{
		algorithm, s.at.Format(dateForm), strings.Join([]string{s.day, s.region, s.service, scopeEnd}, "/"), hex.EncodeToString(sum[:]),
	}, "\n")
}

// canonical is the canonical request.
func (s *signature) canonical(r *http.Request, bodySum string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n")
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	// Every service but S3 encodes the path once more than it is sent.
	b.WriteString(encode(path, true) + "\n")
	b.WriteString(s.canonicalQuery(r.URL.RawQuery) + "\n")
	for _, name := range s.headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.headers, ";") + "\n" + bodySum)
	return b.String()
}

func (s *signature) canonicalQuery(raw string) string {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return raw // which is what nobody has signed
	}
	if s.presigned {
		q.Del("X-Amz-Signature")
	}
	encoded := map[string][]string{}
	for name, values := range q {
		for _, v := range values {
			encoded[encode(name, false)] = append(encoded[encode(name, false)], encode(v, false))
		}
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(encoded)) {
		for _, v := range slices.Sorted(slices.Values(encoded[name])) {
			pairs = append(pairs, name+"="+v)
		}
	}
	return strings.Join(pairs, "&")
}

// headerValue is what was signed of a header: its values with single spaces, joined.
func headerValue(r *http.Request, name string) string {
	var values []string
	switch name {
	case "host":
		values = []string{r.Host}
	case "content-length": // which net/http keeps elsewhere
		values = []string{strconv.FormatInt(max(0, r.ContentLength), 10)}
	case "transfer-encoding":
		values = []string{strings.Join(r.TransferEncoding, ",")}
	default:
		values = slices.Clone(r.Header.Values(name))
	}
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}

// unsigned is an x-amz- header that the signature says nothing of: whoever carried the request may have put it there.
func (s *signature) unsigned(r *http.Request) string {
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.headers, lower) {
			return lower
		}
	}
	return ""
}

// encode is RFC 3986's encoding: all but unreserved characters, and where it is a path slashes.
func encode(s string, path bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			b.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
		}
	}
	return b.String()
}
