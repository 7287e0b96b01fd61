package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// order is one customer's wish. Its card decides how its payment goes: "ok", "flaky" (passes at the third attempt) or "declined".
type order struct {
	ID    string
	Card  string
	Items []item
}

type item struct {
	SKU      string  `json:"sku"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
}

// newOrders makes count orders, the second of which cannot be paid and the third only with patience.
func newOrders(count int, now time.Time) []order {
	goods := []item{{"tea", 1, 4.50}, {"cup", 2, 7.25}, {"pot", 1, 31.00}, {"sugar", 3, 1.10}}
	orders := make([]order, count)
	for i := range orders {
		orders[i] = order{
			ID: fmt.Sprintf("o-%s-%02d", now.Format("150405"), i+1), Card: "ok",
			Items: []item{goods[i%len(goods)], goods[(i/2)%len(goods)]},
		}
	}
	orders[1].Card = "declined"
	if count > 2 {
		orders[2].Card = "flaky"
	}
	return orders
}

func (o order) event() map[string]any {
	return map[string]any{
		"specversion": "1.0", "id": "request-" + o.ID, "type": "order.requested", "source": "/shop/web",
		"subject": o.ID, "partitionkey": o.ID, "time": time.Now().UTC().Format(time.RFC3339Nano),
		"data": map[string]any{"order": o.ID, "items": o.Items, "card": o.Card, "email": o.ID + "@example.org"},
	}
}

// stages are the facts in the life of an order, in order.
var stages = []string{"order.requested", "order.validated", "payment.processed", "order.confirmed", "order.shipped", delivered}

const delivered = "order.delivered"

// progress is where one order stands.
type progress struct {
	id, card string
	seen     map[string]int // event type -> how often it stands in the log
	attempts int            // of the payment, once it is a dead letter
	earlier  bool           // of an earlier demo: its dead letter may have been redriven or discarded since
}

// finished says whether the order is in its last state.
func (p *progress) finished() bool {
	if p.card == "declined" {
		return p.attempts > 0 || p.earlier
	}
	return p.seen[delivered] > 0
}

// wrong says what is not as it should be with a finished order, or "".
func (p *progress) wrong() string {
	for typ, n := range p.seen {
		if n > 1 {
			return fmt.Sprintf("%s stands %d times in the log", typ, n)
		}
	}
	switch {
	case p.card == "declined" && p.earlier:
		return ""
	case p.card == "declined" && p.attempts == 0:
		return "its payment should be a dead letter"
	case p.card == "declined" && p.attempts != 4:
		return fmt.Sprintf("its dead letter has %d attempts, want 4", p.attempts)
	case p.card == "declined" && p.seen["payment.processed"] > 0:
		return "it was paid with a card that is declined"
	case p.card != "declined" && p.seen[delivered] == 0:
		return "it was not delivered"
	}
	return ""
}

// board shows the orders as they move.
type board struct {
	orders map[string]*progress
	mine   []string // the orders of this demo, as sent
	live   bool     // the output is a terminal: draw over the last table
	drawn  int      // lines of the last table
	last   string
}

func newBoard(orders []order) *board {
	b := &board{orders: map[string]*progress{}}
	for _, o := range orders {
		b.orders[o.ID] = &progress{id: o.ID, card: o.Card, seen: map[string]int{}}
		b.mine = append(b.mine, o.ID)
	}
	info, err := os.Stdout.Stat()
	b.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	return b
}

// take notes an event of the topic. Orders of earlier demos on the same data are followed too: nothing may be lost.
func (b *board) take(line []byte) {
	var at struct {
		Event struct {
			Type, Subject string
			Source        string
			Data          struct{ Order, Card string }
		}
	}
	if json.Unmarshal(line, &at) != nil || at.Event.Data.Order == "" {
		return
	}
	e := at.Event
	p := b.orders[e.Data.Order]
	if p == nil {
		if e.Source != "/shop/web" {
			return // somebody's own order, or one whose request is older than the topic's retention
		}
		p = &progress{id: e.Data.Order, card: e.Data.Card, seen: map[string]int{}, earlier: true}
		b.orders[p.id] = p
	}
	p.seen[e.Type]++
}

func (b *board) dead(id string, attempts int) {
	if p := b.orders[id]; p != nil {
		p.attempts = attempts
	}
}

func (b *board) done() bool {
	for _, p := range b.orders {
		if !p.finished() {
			return false
		}
	}
	return true
}

// late names the orders that are not where they should be, and why.
func (b *board) late() []string {
	var names []string
	for id, p := range b.orders {
		if why := p.wrong(); why != "" {
			names = append(names, id+": "+why)
		}
	}
	return names
}

func (b *board) count(typ string) int {
	n := 0
	for _, p := range b.orders {
		if p.seen[typ] > 0 {
			n++
		}
	}
	return n
}

// draw shows how far the orders are: on a terminal the table, over the last one; else one line when something moved.
func (b *board) draw() {
	if b.live {
		b.table()
		return
	}
	line := fmt.Sprintf("%d orders:", len(b.orders))
	for _, s := range stages {
		line += fmt.Sprintf("  %d %s", b.count(s), s[strings.IndexByte(s, '.')+1:])
	}
	if line != b.last {
		fmt.Println(line)
		b.last = line
	}
}

// table prints this demo's orders, a row each.
func (b *board) table() {
	var t strings.Builder
	fmt.Fprintf(&t, "%-14s %-9s", "order", "card")
	for _, s := range stages {
		fmt.Fprintf(&t, " %-9s", s[strings.IndexByte(s, '.')+1:])
	}
	t.WriteString("\n")
	for _, id := range b.mine {
		p := b.orders[id]
		fmt.Fprintf(&t, "%-14s %-9s", p.id, p.card)
		for _, s := range stages {
			mark := "."
			switch {
			case p.seen[s] > 0:
				mark = "done"
			case s == "payment.processed" && p.attempts > 0:
				mark = fmt.Sprintf("dead (%d)", p.attempts)
			}
			fmt.Fprintf(&t, " %-9s", mark)
		}
		t.WriteString("\n")
	}
	if t.String() == b.last {
		return
	}
	b.last = t.String()
	if b.live && b.drawn > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", b.drawn)
	}
	fmt.Print(b.last)
	b.drawn = strings.Count(b.last, "\n")
}
