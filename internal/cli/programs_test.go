package cli_test

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// headers are repeated -H flags.
type headers http.Header

func (h headers) String() string { return "" }

func (h headers) Set(v string) error {
	name, value, ok := strings.Cut(v, ": ")
	if !ok {
		return fmt.Errorf("%q is not NAME: VALUE", v)
	}
	http.Header(h).Add(name, value)
	return nil
}

// httpCommand sends one request and prints the status and the body, as a person would with curl:
// http [-H 'Name: value'] [-d BODY|@FILE] [-sign SECRET] [-ca FILE] [-name NAME] [-cert FILE -key FILE] METHOD URL
// -sign signs the body as GitHub does. A redirect is not followed.
func httpCommand(args []string) int {
	f := flag.NewFlagSet("http", flag.ContinueOnError)
	h := headers{}
	f.Var(h, "H", "header")
	data := f.String("d", "", "body")
	secret := f.String("sign", "", "secret to sign the body with")
	ca := f.String("ca", "", "authority that the server is believed by")
	name := f.String("name", "", "what the server has to prove in the place of the URL's host")
	cert, key := f.String("cert", "", "certificate to show"), f.String("key", "", "its key")
	if f.Parse(args) != nil || f.NArg() != 2 {
		return 2
	}
	body := []byte(*data)
	if path, ok := strings.CutPrefix(*data, "@"); ok {
		var err error
		if body, err = os.ReadFile(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	r, err := http.NewRequest(f.Arg(0), f.Arg(1), bytes.NewReader(body))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	r.Header, r.Host = http.Header(h), http.Header(h).Get("Host")
	if *secret != "" {
		mac := hmac.New(sha256.New, []byte(*secret))
		mac.Write(body)
		r.Header.Set("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", mac.Sum(nil)))
	}
	client, err := httpClient(*ca, *name, *cert, *key)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	resp, err := client.Do(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	for _, name := range []string{"X-Amz-Function-Error", "X-Echo", "Retry-After", "Dalamb-Duplicates", "WWW-Authenticate", "RateLimit", "Location", "Preference-Applied", "Vary", "Cache-Control", "Age", "Cache-Status", "Ce-Type", "Dalamb-Missing", "Idempotent-Replayed"} {
		if v := resp.Header.Get(name); v != "" {
			fmt.Printf("%s: %s\n", name, v)
		}
	}
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println()
	return 0
}

// httpClient believes an authority and shows a certificate, where there are any.
func httpClient(ca, name, cert, key string) (*http.Client, error) {
	conf := &tls.Config{ServerName: name}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM(text)
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}, CheckRedirect: stay}, nil
}

// functionCommand is a function in Go: fn http, or fn lambda. What it is asked to do is in its payload:
// {"fail": MESSAGE}, {"emit": TYPE}, {"say": LINE}, {"until": FILE}; else it answers {"got": PAYLOAD}.
func functionCommand(args []string) int {
	if len(args) == 1 && args[0] == "http" {
		return serveHTTP()
	}
	if len(args) == 1 && args[0] == "lambda" {
		return serveLambda()
	}
	fmt.Fprintln(os.Stderr, "usage: fn http|lambda")
	return 2
}

// wish is what a payload asks for.
type wish struct {
	Fail, Emit, Say string
	Until           string // a file: it answers when that is there
	Status          int    // in place of 200
	Hang            bool   // it never answers
}

// answer does what the payload wants. Of an event, its data is the payload.
func answer(payload []byte) (status int, contentType string, body []byte) {
	var e struct{ Data json.RawMessage }
	if json.Unmarshal(payload, &e) == nil && len(e.Data) > 0 {
		payload = e.Data
	}
	var w wish
	_ = json.Unmarshal(payload, &w) // a payload that is no wish is echoed
	if w.Say != "" {
		fmt.Println(w.Say)
	}
	if w.Hang {
		select {}
	}
	for tick := time.NewTicker(interval); w.Until != ""; <-tick.C {
		if _, err := os.Stat(w.Until); err == nil {
			break
		}
	}
	switch {
	case w.Fail != "":
		body, _ = json.Marshal(map[string]string{"errorType": "Refused", "errorMessage": w.Fail})
		return http.StatusInternalServerError, "application/json", body
	case w.Emit != "":
		body, _ = json.Marshal(map[string]any{"specversion": "1.0", "id": "own", "source": "/fn", "type": w.Emit, "data": map[string]string{"by": "fn"}})
		return http.StatusOK, "application/cloudevents+json", body
	}
	if !json.Valid(payload) {
		payload, _ = json.Marshal(string(payload))
	}
	body, _ = json.Marshal(map[string]json.RawMessage{"got": payload})
	return cmp.Or(w.Status, http.StatusOK), "application/json", body
}

func serveHTTP() int {
	err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		status, contentType, body := answer(payload)
		w.Header().Set("Content-Type", contentType)
		echo := r.Method + " " + r.URL.Path
		if who := r.Header.Get("Dalamb-Auth-Id"); who != "" {
			echo += " by " + r.Header.Get("Dalamb-Auth-Type") + " " + who
		}
		w.Header().Set("X-Echo", echo)
		w.WriteHeader(status)
		w.Write(body)
	}))
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func serveLambda() int {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		payload, err := io.ReadAll(next.Body)
		next.Body.Close()
		if err != nil {
			return 1
		}
		status, contentType, body := answer(payload)
		way := "/response"
		if status != http.StatusOK {
			way = "/error"
		}
		posted, err := http.Post(api+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+way, contentType, bytes.NewReader(body))
		if err != nil {
			return 1
		}
		posted.Body.Close()
	}
}
