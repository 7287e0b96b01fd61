package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// etcd are the servers that the keys below a prefix name.
type etcd struct {
	*directory
	prefix string
	scheme function.UpstreamScheme
}

// etcdRange asks for keys. etcd API v3, by its JSON gateway: rpc.proto RangeRequest, WatchCreateRequest; bytes are base64, 64-bit numbers texts.
type etcdRange struct {
	Key      []byte `json:"key"`
	RangeEnd []byte `json:"range_end"`
	Start    int64  `json:"start_revision,omitempty,string"`
}

type etcdFound struct {
	Header struct {
		Revision int64 `json:"revision,string"`
	} `json:"header"`
	KVs []struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	} `json:"kvs"`
}

// Watch implements Source: all keys, and again whenever one of them has changed, or after a while.
func (e *etcd) Watch(ctx context.Context, take func([]Server)) error {
	for {
		var found etcdFound
		all := etcdRange{Key: []byte(e.prefix), RangeEnd: prefixEnd(e.prefix)}
		if _, err := e.ask(ctx, request{path: "/v3/kv/range", body: all}, directoryTime, &found); err != nil {
			return err
		}
		var list []Server
		for _, kv := range found.KVs {
			if s, ok := etcdServer(kv.Value, e.scheme); ok {
				list = append(list, s)
			}
		}
		take(list)
		all.Start = found.Header.Revision + 1
		if err := e.wait(ctx, all); err != nil {
			return err
		}
		select {
		case <-time.After(directoryPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// wait blocks until a key has changed, but not for ever: a connection that is lost may not say so.
func (e *etcd) wait(ctx context.Context, from etcdRange) error {
	ctx, cancel := context.WithTimeout(ctx, directoryWait)
	defer cancel()
	res, err := e.begin(ctx, request{path: "/v3/watch", body: map[string]etcdRange{"create_request": from}})
	if err != nil {
		return over(ctx, err)
	}
	defer res.Body.Close()
	in := json.NewDecoder(io.LimitReader(res.Body, maxDirectory))
	for {
		var news struct {
			Result struct {
				Canceled bool              `json:"canceled"`
				Events   []json.RawMessage `json:"events"`
			} `json:"result"`
			Error json.RawMessage `json:"error"`
		}
		if err := in.Decode(&news); err != nil {
			return over(ctx, fmt.Errorf("follow %s: %w", e.name, err))
		}
		switch {
		case news.Error != nil:
			return fmt.Errorf("follow %s: it answered %s", e.name, news.Error[:min(200, len(news.Error))])
		case news.Result.Canceled, len(news.Result.Events) > 0:
			return nil
		}
	}
}

// over is no error where only the time was.
func over(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return err
}

// prefixEnd is the first key behind all that begin with a prefix. etcd API v3, "Key ranges".
func prefixEnd(prefix string) []byte {
	end := []byte(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return []byte{0} // to the end of all keys
}

// etcdServer reads a value: HOST:PORT, or an object of JSON with it, as etcd's own client for gRPC writes it (Addr) or by our names. What is no address is left out, and told.
func etcdServer(value []byte, scheme function.UpstreamScheme) (Server, bool) {
	s := Server{Scheme: scheme, Address: strings.TrimSpace(string(value))}
	if strings.HasPrefix(s.Address, "{") {
		var v struct {
			Addr, Address string
			Weight        int
		}
		if json.Unmarshal(value, &v) != nil {
			return s, false
		}
		s.Address, s.Weight = v.Addr, v.Weight
		if s.Address == "" {
			s.Address = v.Address
		}
	}
	return s, true
}
