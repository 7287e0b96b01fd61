package function

import (
	"math/big"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// TopicUsage holds what functions used, by the hour.
const TopicUsage = "_dalamb.usage"

// Usage is what a function used in an hour: the data of an event.TypeUsage event in TopicUsage.
type Usage struct {
	Hour     time.Time `json:"hour"` // that begins then, in UTC
	Function string    `json:"function,omitempty"`
	Used
}

// Used is an amount of usage. All of it are whole numbers, so that sums are exact.
type Used struct {
	Invocations int64 `json:"invocations"`
	Millis      int64 `json:"millis"`      // that the invocations took, each rounded up
	MiBMillis   int64 `json:"mibMillis"`   // each of these times the memory that its version may have, in MiB
	BytesIn     int64 `json:"bytesIn"`     // bodies of requests
	BytesOut    int64 `json:"bytesOut"`    // and of their answers
	BuildMillis int64 `json:"buildMillis"` // of builds
}

// UsageHour is the data of an event.TypeUsageCompleted event, which follows the usage of an hour.
type UsageHour struct {
	Hour time.Time `json:"hour"` // that is complete
	// Counted is the offset up to which was counted, by partition: TOPIC/ID. What goes from the log behind it was not counted.
	Counted map[string]int64 `json:"counted,omitempty"`
	// Lacking are the partitions of which records of the hour, or such as may be of it, went before they were counted.
	Lacking []string `json:"lacking,omitempty"`
}

// Add adds what else was used.
func (u *Used) Add(o Used) {
	u.Invocations += o.Invocations
	u.Millis += o.Millis
	u.MiBMillis += o.MiBMillis
	u.BytesIn += o.BytesIn
	u.BytesOut += o.BytesOut
	u.BuildMillis += o.BuildMillis
}

// GBSeconds are GiB times seconds, exactly.
func (u *Used) GBSeconds() *big.Rat { return big.NewRat(u.MiBMillis, 1024*1000) }

// Prices are of units of usage, in one currency, as decimal numbers; "" = nothing.
type Prices struct {
	Currency    string `json:"currency"`
	Invocation  string `json:"invocation,omitempty"`  // of one
	GBSecond    string `json:"gbSecond,omitempty"`    // of a GiB for a second
	GBIn        string `json:"gbIn,omitempty"`        // of a GiB of requests' bodies
	GBOut       string `json:"gbOut,omitempty"`       // of a GiB of answers
	BuildMinute string `json:"buildMinute,omitempty"` // of a minute of building
}

// Of is the price of usage, exactly. Invalid when a price is no decimal number.
func (p *Prices) Of(u *Used) (*big.Rat, error) {
	sum := new(big.Rat)
	for _, one := range []struct {
		field, price string
		amount       *big.Rat
	}{
		{"invocation", p.Invocation, big.NewRat(u.Invocations, 1)},
		{"gbSecond", p.GBSecond, u.GBSeconds()},
		{"gbIn", p.GBIn, big.NewRat(u.BytesIn, 1<<30)},
		{"gbOut", p.GBOut, big.NewRat(u.BytesOut, 1<<30)},
		{"buildMinute", p.BuildMinute, big.NewRat(u.BuildMillis, 60_000)},
	} {
		if one.price == "" {
			continue
		}
		price, err := decimal(one.price)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s: %w", one.field, err).WithHint("a decimal number, such as 0.0000166667")
		}
		sum.Add(sum, price.Mul(price, one.amount))
	}
	return sum, nil
}

// decimal reads digits with a point at most: what else big.Rat reads, such as 1e999999, would take memory without a bound.
func decimal(text string) (*big.Rat, error) {
	whole, part, _ := strings.Cut(text, ".")
	if len(text) > 40 || whole == "" || strings.Trim(whole+part, "0123456789") != "" {
		return nil, fault.New(fault.Invalid, "%q is no price", clip(text))
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, fault.New(fault.Invalid, "%q is no price", clip(text))
	}
	return r, nil
}
