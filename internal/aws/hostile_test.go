package aws_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
)

// attempt is a request that somebody signs, and what he changes afterwards.
type attempt struct {
	method, path, body string
	key                sdk.Credentials
	service, region    string
	at                 time.Time
	after              func(*http.Request)
}

func (n *node) attempt(a attempt) (status int, typ, message string) {
	n.Helper()
	sum := sha256.Sum256([]byte(a.body))
	r, err := http.NewRequestWithContext(n.Context(), a.method, n.control+a.path, bytes.NewReader([]byte(a.body)))
	ok(n.T, err)
	ok(n.T, v4.NewSigner().SignHTTP(n.Context(), a.key, r, hex.EncodeToString(sum[:]), a.service, a.region, a.at))
	if a.after != nil {
		a.after(r)
	}
	answer, err := http.DefaultClient.Do(r)
	ok(n.T, err)
	defer answer.Body.Close()
	var told struct{ Message string }
	text, err := io.ReadAll(answer.Body)
	ok(n.T, err)
	if answer.StatusCode >= 400 && json.Unmarshal(text, &told) != nil {
		n.Errorf("%s %s = %s %q, which is no JSON", a.method, a.path, answer.Status, text)
	}
	return answer.StatusCode, answer.Header.Get("X-Amzn-Errortype"), told.Message
}

func TestStrangersAreRefused(t *testing.T) {
	n := startNode(t)
	n.create("pay", "one")
	good := attempt{method: "GET", path: "/2015-03-31/functions/pay", key: n.key, service: "lambda", region: "us-east-1", at: time.Now()}
	if status, typ, message := n.attempt(good); status != 200 {
		t.Fatalf("a good request = %d %s %s", status, typ, message)
	}
	with := func(change func(*attempt)) attempt {
		a := good
		change(&a)
		return a
	}
	body := func(a *attempt) {
		a.method, a.path, a.body = "POST", "/2015-03-31/functions/pay/invocations", `{"order":1}`
	}
	for what, tt := range map[string]struct {
		a    attempt
		typ  string
		part string
	}{
		"another secret":  {with(func(a *attempt) { a.key.SecretAccessKey += "x" }), "InvalidSignatureException", "does not match"},
		"nobody's key":    {with(func(a *attempt) { a.key.AccessKeyID = "DLMBNOBODY" }), "UnrecognizedClientException", "security token"},
		"a session":       {with(func(a *attempt) { a.key.SessionToken = "session" }), "UnrecognizedClientException", "security token"},
		"yesterday":       {with(func(a *attempt) { a.at = time.Now().Add(-24 * time.Hour) }), "InvalidSignatureException", "Signature expired"},
		"16 minutes ago":  {with(func(a *attempt) { a.at = time.Now().Add(-16 * time.Minute) }), "InvalidSignatureException", "Signature expired"},
		"tomorrow":        {with(func(a *attempt) { a.at = time.Now().Add(24 * time.Hour) }), "InvalidSignatureException", "not yet current"},
		"another service": {with(func(a *attempt) { a.service = "s3" }), "InvalidSignatureException", "correct service: 'lambda'"},
		"another region":  {with(func(a *attempt) { a.region = "eu-west-1" }), "InvalidSignatureException", "us-east-1"},
		"another path":    {with(func(a *attempt) { a.after = func(r *http.Request) { r.URL.Path = "/2015-03-31/functions/other" } }), "InvalidSignatureException", "does not match"},
		"another body": {with(func(a *attempt) {
			body(a)
			a.after = func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"order":2}`)) }
		}), "InvalidSignatureException", "does not match"},
		"another sum": {with(func(a *attempt) {
			body(a)
			a.after = func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }
		}), "InvalidSignatureException", "not signed"},
		"no sum": {with(func(a *attempt) {
			body(a)
			a.after = func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }
		}), "InvalidSignatureException", "not signed"},
		"a header on the way": {with(func(a *attempt) {
			body(a)
			a.after = func(r *http.Request) { r.Header.Set("X-Amz-Invocation-Type", "Event") }
		}), "InvalidSignatureException", "x-amz-invocation-type"},
		"half a claim": {with(func(a *attempt) {
			a.after = func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") }
		}), "IncompleteSignatureException", ""},
		"no claim":      {with(func(a *attempt) { a.after = func(r *http.Request) { r.Header.Del("Authorization") } }), "UnrecognizedClientException", "token"},
		"a wrong token": {with(func(a *attempt) { a.after = func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") } }), "UnrecognizedClientException", "token"},
	} {
		status, typ, message := n.attempt(tt.a)
		if status != 403 && status != 401 && status != 400 || typ != tt.typ || !strings.Contains(message, tt.part) {
			t.Errorf("%s: %d %s %q, want %s with %q", what, status, typ, message, tt.typ, tt.part)
		}
	}
	ok(t, n.client.RemoveToken(t.Context(), "ci"))
	if status, typ, _ := n.attempt(good); status != 403 || typ != "UnrecognizedClientException" {
		t.Errorf("with a key that was removed: %d %s", status, typ)
	}
	if a := with(func(a *attempt) { a.after = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+n.token) } }); true {
		if status, typ, message := n.attempt(a); status != 200 {
			t.Errorf("with the node's token: %d %s %s", status, typ, message)
		}
	}
}

func TestPresignedRequestsAndTheirReplay(t *testing.T) {
	n := startNode(t)
	n.create("pay", "one")
	presign := func(at time.Time) string {
		r, err := http.NewRequest("GET", n.control+"/2015-03-31/functions/pay?X-Amz-Expires=60", nil)
		ok(t, err)
		sum := sha256.Sum256(nil)
		link, _, err := v4.NewSigner().PresignHTTP(t.Context(), n.key, r, hex.EncodeToString(sum[:]), "lambda", "us-east-1", at)
		ok(t, err)
		return link
	}
	for link, want := range map[string]int{presign(time.Now()): 200, presign(time.Now().Add(-61 * time.Second)): 403, presign(time.Now()) + "&more=1": 403} {
		r, err := http.Get(link)
		ok(t, err)
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s = %s, want %d", link, r.Status, want)
		}
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	n := startNode(t)
	n.create("pay", "one")
	_, err := n.lambda.Invoke(t.Context(), &service.InvokeInput{FunctionName: sdk.String("pay"), Payload: []byte(`"` + strings.Repeat("x", 6<<20) + `"`)})
	refused(t, "a payload of more than 6 MiB", err, "RequestTooLargeException", 413)
	_, err = n.lambda.UpdateFunctionConfiguration(t.Context(), &service.UpdateFunctionConfigurationInput{FunctionName: sdk.String("pay"), Description: sdk.String(strings.Repeat("x", 1<<20))})
	refused(t, "settings of more than 1 MiB", err, "RequestTooLargeException", 413)
}

func TestAnEmptyQualifierIsNotTheFunction(t *testing.T) {
	n := startNode(t)
	n.create("pay", "one")
	a := attempt{method: "DELETE", path: "/2015-03-31/functions/pay?Qualifier=", key: n.key, service: "lambda", region: "us-east-1", at: time.Now()}
	if status, typ, message := n.attempt(a); status != 400 || typ != "InvalidParameterValueException" {
		t.Errorf("DeleteFunction = %d %s %s", status, typ, message)
	}
	n.newest("pay")
}
