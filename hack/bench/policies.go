package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/wire"
)

// policiesManifest is the lab's web function behind policies, and one whose breaker opens with its first request: its instance is not there
// within a millisecond.
const policiesManifest = `
name: guarded
code: web
entry: {type: http, command: [./web], concurrency: 16}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: bare, route: {method: POST, path: /bench/bare}}
  - name: guarded
    route:
      method: POST
      path: /bench/guarded
      auth: {token: {names: [bench]}}
      limit: {rate: 1000000/s}
      breaker: {}
      timeout: {connect: 10s, firstByte: 10s, total: 20s}
  - {name: keyed, route: {method: POST, path: /bench/keyed, idempotency: true}}
  - {name: checked, route: {method: POST, path: /bench/checked, validate: orders.yaml}}
---
name: broken
code: web
entry: {type: http, command: [./web]}
triggers:
  - {name: broken, route: {method: POST, path: /bench/broken, timeout: {firstByte: 1ms}, breaker: {failures: 1, open: 1h}}}
`

// ordersDocument describes what calls of the bench send.
const ordersDocument = `openapi: 3.1.0
paths:
  /bench/checked:
    post:
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
components:
  schemas:
    Order:
      type: object
      required: [order, customer, total, items]
      properties:
        order: {type: string, pattern: "^[0-9]+$"}
        customer: {type: string}
        country: {enum: [AT, DE, FR]}
        total: {type: number, exclusiveMinimum: 0}
        express: {type: boolean}
        items: {type: array, minItems: 1, items: {$ref: "#/components/schemas/Item"}}
        address: {type: object, properties: {ip: {type: string, format: ipv4}}}
    Item: {type: object, required: [sku], properties: {sku: {type: string}, quantity: {type: integer, minimum: 1}, price: {type: number}}}
`

// policiesRow: calls through routes with policies, against one of the same function without any, and answers of a breaker that is open.
func policiesRow(ctx context.Context, b *bench) error {
	const turns, slice = 7, 350 * time.Millisecond
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	token, err := l.client.CreateToken(ctx, wire.TokenCreate{Name: "bench"})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "code", "web", "orders.yaml"), []byte(ordersDocument), 0o644); err != nil {
		return err
	}
	if err := b.deploy(ctx, l.node, "policies", policiesManifest); err != nil {
		return err
	}
	bare, guarded, checked := l.caller("/bench/bare"), l.caller("/bench/guarded"), l.caller("/bench/checked")
	keyed, again := l.caller("/bench/keyed"), l.caller("/bench/keyed").withKey()
	guarded.header.Set("Authorization", "Bearer "+token.Token)
	if _, err := bare.calls(ctx, 16, slice); err != nil {
		return err
	}
	broken := l.caller("/bench/broken")
	if err := broken.refused(ctx, http.StatusGatewayTimeout); err != nil {
		return err
	}
	for _, connections := range []int{1, 16} {
		median := func(c *caller) func() (float64, error) {
			return func() (float64, error) {
				x, err := c.calls(ctx, connections, slice)
				return x.p50, err
			}
		}
		times, err := inTurns(ctx, b.turns(turns), median(bare), median(guarded), func() (float64, error) {
			x, err := atOnce(connections, slice, func() error { return broken.refused(ctx, http.StatusServiceUnavailable) })
			return x.p50, err
		}, median(checked), func() (float64, error) {
			x, err := atOnce(connections, slice, func() error {
				_, err := keyed.withKey().call(ctx)
				return err
			})
			return x.p50, err
		}, median(again))
		if err != nil {
			return err
		}
		add := func(what string, thing int, t *target) {
			value, of, ratio := times.against(thing, 0)
			b.add(line{Case: fmt.Sprintf("%s p50, %d conn.", what, connections), Unit: "ms", Value: value, Yardstick: "the same function, bare route", Of: of, Ratio: ratio, Target: t})
		}
		add("auth, limit, breaker, timeout", 1, ratioAtMost(1.3))
		if connections == 1 {
			add("breaker open", 2, valueAtMost(1))
		}
		add("validate", 3, nil)
		add("idempotency, a new key", 4, nil)
		add("idempotency, a key again", 5, nil)
	}
	return nil
}

// refused makes a call whose answer has to have this status.
func (c *caller) refused(ctx context.Context, want int) error {
	status, answer, err := c.send(ctx)
	if err == nil && status != want {
		err = fmt.Errorf("%s %s: %d, want %d: %s", c.method, c.url, status, want, answer)
	}
	return err
}

// withKey makes the same calls under a key of their own.
func (c *caller) withKey() *caller {
	k := *c
	k.header = c.header.Clone()
	k.header.Set("Idempotency-Key", rand.Text())
	return &k
}
