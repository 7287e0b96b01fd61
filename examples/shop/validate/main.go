// Validate checks an order and states its total. It is an ordinary AWS Lambda function in Go.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
)

type item struct {
	SKU      string  `json:"sku"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
}

type order struct {
	Order string  `json:"order"`
	Items []item  `json:"items"`
	Card  string  `json:"card"`
	Email string  `json:"email"`
	Total float64 `json:"total"`
}

// cloudEvent holds the fields that this function needs of the event that it gets, and of the one that it gives.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	Subject     string          `json:"subject,omitempty"`
	Data        json.RawMessage `json:"data"`
}

func validate(_ context.Context, in cloudEvent) (cloudEvent, error) {
	var o order
	if err := json.Unmarshal(in.Data, &o); err != nil {
		return cloudEvent{}, fmt.Errorf("read the order: %w", err)
	}
	for _, i := range o.Items {
		o.Total += float64(i.Quantity) * i.Price
	}
	data, err := json.Marshal(o)
	if err != nil {
		return cloudEvent{}, fmt.Errorf("write the order: %w", err)
	}
	out := cloudEvent{SpecVersion: "1.0", Type: "order.validated", Source: "/shop/validate", Subject: o.Order, Data: data}
	if o.Order == "" || o.Total <= 0 {
		out.Type = "order.rejected"
	}
	return out, nil
}

func main() { lambda.Start(validate) }
