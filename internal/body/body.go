// Package body keeps in the log the bodies of requests that are answered later and are too long for the event that the request becomes: the event says where its
// body stands, and by which digest it is known again. It does not decide which bodies those are (gateway does), nor who is given them (dispatch does).
package body

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/dalamb/dalamb/internal/chunk"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// heldMost bounds the memory of all bodies that are given out at a time, in bytes; one that is longer is alone.
const heldMost = 128 << 20

// shares is how many functions it takes to have all of that memory: what one has given out, it waits for by itself, so that one that hangs leaves the
// others theirs.
const shares = 4

// What became of a body.
const (
	resultStored  = "stored"
	resultGiven   = "given"
	resultLost    = "lost"    // what should be in the log is not
	resultRefused = "refused" // the log has little room left, or bodies have had theirs
)

// Options of New. Log and Most are required.
type Options struct {
	Log     eventlog.Log
	Most    int64                 // bytes of one body
	Room    int64                 // bytes that all of them may take of the log, as far as that says so; 0 = no bound
	Logger  *slog.Logger          // nil = discarded
	Metrics prometheus.Registerer // nil = counted, not shown
}

// Store keeps bodies. Safe for concurrent use.
type Store struct {
	log     eventlog.Log
	chunks  chunk.Store
	most    int64
	quota   quota
	held    int64 // bound of room
	room    *semaphore.Weighted
	results *prometheus.CounterVec

	mu    sync.Mutex
	parts map[string]*part // function -> its part of room, while it has or wants some
}

// part is a function's part of the memory.
type part struct {
	room  *semaphore.Weighted
	users int
}

// New checks the options.
func New(o Options) (*Store, error) {
	if o.Log == nil || o.Most <= 0 {
		return nil, errors.New("body needs a log and the length of the longest body")
	}
	s := &Store{
		log: o.Log, chunks: chunk.Store{Log: o.Log, Topic: function.TopicBodies}, most: o.Most, held: heldMost, room: semaphore.NewWeighted(heldMost), parts: map[string]*part{},
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dalamb_bodies_total", Help: "Bodies of requests that are too long for an event, by what became of them."}, []string{"result"}),
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s.quota.room, s.quota.logger, s.quota.asking = o.Room, o.Logger, make(chan struct{}, 1)
	if sizer, ok := o.Log.(eventlog.Sizer); ok {
		s.quota.sizer = sizer
	}
	if o.Metrics != nil {
		if err := o.Metrics.Register(s.results); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return s, nil
}

// Put stores a body and returns where it stands. Blocks until it is durable. Unavailable where the log has little room left, also while it still takes
// events: those are worth more than the body of one request. The same where bodies take all that they may.
func (s *Store) Put(ctx context.Context, body []byte) (*function.StoredBody, error) {
	if l, ok := s.log.(eventlog.SpaceReporter); ok && l.Space() != eventlog.SpaceOK {
		s.results.WithLabelValues(resultRefused).Inc()
		return nil, fault.New(fault.Unavailable, "the log has no room for a body of %d bytes", len(body)).WithHint("the node's disk is nearly full; free some space")
	}
	done, err := s.quota.admit(ctx, int64(len(body)))
	if err != nil {
		s.results.WithLabelValues(resultRefused).Inc()
		return nil, err
	}
	digest := digestOf(body)
	at, err := s.chunks.Append(ctx, digest, bytes.NewReader(body))
	done(err == nil)
	if err != nil {
		return nil, fmt.Errorf("store a body of %d bytes: %w", len(body), err)
	}
	s.results.WithLabelValues(resultStored).Inc()
	return &function.StoredBody{Stored: *at, Digest: digest}, nil
}

// take blocks until there is memory for so many bytes, first of a function's part and then of all.
func (s *Store) take(ctx context.Context, fn string, bytes int64) (free func(), err error) {
	all := max(0, min(bytes, s.held))
	own := min(all, s.held/shares)
	s.mu.Lock()
	p := s.parts[fn]
	if p == nil {
		p = &part{room: semaphore.NewWeighted(s.held / shares)}
		s.parts[fn] = p
	}
	p.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.users--; p.users == 0 {
			delete(s.parts, fn)
		}
	}
	if err = p.room.Acquire(ctx, own); err == nil {
		if err = s.room.Acquire(ctx, all); err == nil {
			return func() {
				s.room.Release(all)
				p.room.Release(own)
				leave()
			}, nil
		}
		p.room.Release(own)
	}
	leave()
	return nil, fmt.Errorf("wait for memory for a body of %d bytes: %w", bytes, err)
}

// Get returns a body for a function, which is what was stored, byte for byte. Blocks while the bodies that are given out, to the function or to all, have all the memory that they may. The caller calls free when
// it is done with the body. NotFound when the body is not in the log any more, Invalid when something else is, TooLarge when it is longer than this node takes: to try
// again is no use with these.
func (s *Store) Get(ctx context.Context, fn string, at *function.StoredBody) (body []byte, free func(), err error) {
	if at.Bytes > s.most {
		return nil, nil, fault.New(fault.TooLarge, "the request's body has %d bytes, and this node takes %s", at.Bytes, function.Bytes(s.most)).WithHint("raise limits.request to what it was")
	}
	release, err := s.take(ctx, fn, at.Bytes)
	if err != nil {
		return nil, nil, err
	}
	got := &bounded{most: at.Bytes}
	err = s.chunks.Copy(ctx, at.Digest, at.Stored, got)
	if err == nil && (int64(got.Len()) != at.Bytes || digestOf(got.Bytes()) != at.Digest) {
		err = errOther
	}
	switch fault.KindOf(err) {
	case fault.NotFound:
		err = fault.New(fault.NotFound, "the request's body is gone: %w", err)
	case fault.Invalid:
		err = fault.New(fault.Invalid, "the request's body, %s: %w", at.Digest, err)
	}
	if err != nil {
		release()
		if kind := fault.KindOf(err); kind == fault.NotFound || kind == fault.Invalid {
			s.results.WithLabelValues(resultLost).Inc()
		}
		return nil, nil, err
	}
	s.results.WithLabelValues(resultGiven).Inc()
	return got.Bytes(), release, nil
}

// errOther is that the chunks are there and are not the body.
var errOther = fault.New(fault.Invalid, "the log has other bytes where it should be")

// bounded holds no more than what was announced, whatever the chunks have.
type bounded struct {
	bytes.Buffer
	most int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(b.Len()+len(p)) > b.most {
		return 0, errOther
	}
	return b.Buffer.Write(p)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
