package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Invocation is a synchronous or asynchronous call of a function, through the AWS Invoke route.
type Invocation struct {
	Function  string
	Qualifier string // alias or version; "" = live
	Key       string // that stays on one version while the alias has several; "" = each call may meet another
	Payload   []byte // JSON; nil = {}
	Later     bool   // append it and do not wait
}

// Invoked is what came of it.
type Invoked struct {
	RequestID string
	Version   int    // 0 when Later
	Error     string // "" = the function succeeded; else Payload tells what went wrong
	Payload   []byte
}

// Invoke calls a function. What the function did is never an error.
func (c *Client) Invoke(ctx context.Context, i Invocation) (Invoked, error) {
	r := request{
		method: http.MethodPost, path: []string{"2015-03-31", "functions", i.Function, "invocations"},
		body: io.Reader(bytes.NewReader(i.Payload)), header: http.Header{"Content-Type": {"application/json"}},
	}
	if i.Qualifier != "" {
		r.query = url.Values{"Qualifier": {i.Qualifier}}
	}
	if i.Key != "" {
		r.header.Set("Dalamb-Key", i.Key)
	}
	if i.Later {
		r.header.Set("X-Amz-Invocation-Type", "Event")
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return Invoked{}, err
	}
	defer resp.Body.Close()
	out := Invoked{RequestID: resp.Header.Get("X-Amzn-Requestid"), Error: resp.Header.Get("X-Amz-Function-Error")}
	if out.Payload, err = io.ReadAll(resp.Body); err != nil {
		return Invoked{}, fmt.Errorf("read answer: %w", err)
	}
	if v := resp.Header.Get("X-Amz-Executed-Version"); v != "" {
		if out.Version, err = strconv.Atoi(v); err != nil {
			return Invoked{}, fmt.Errorf("read answer: executed version %q", v)
		}
	}
	return out, nil
}
