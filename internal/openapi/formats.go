package openapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// formats are those that OpenAPI has beside JSON Schema's. OpenAPI 3.0.3, section 4.4.
func formats() []*jsonschema.Format {
	return []*jsonschema.Format{
		{Name: "int32", Validate: integer(31)},
		{Name: "int64", Validate: integer(63)},
		{Name: "byte", Validate: isBase64},
	}
}

func integer(bits uint) func(v any) error {
	limit := new(big.Int).Lsh(big.NewInt(1), bits)
	least := new(big.Rat).SetInt(new(big.Int).Neg(limit))
	most := new(big.Rat).SetInt(limit.Sub(limit, big.NewInt(1)))
	return func(v any) error {
		n, is := v.(json.Number)
		if !is {
			return nil
		}
		r, ok := new(big.Rat).SetString(string(n))
		if !ok || !r.IsInt() || r.Cmp(least) < 0 || r.Cmp(most) > 0 {
			return errors.New("out of range")
		}
		return nil
	}
}

func isBase64(v any) error {
	text, is := v.(string)
	if !is {
		return nil
	}
	_, err := base64.StdEncoding.DecodeString(text)
	return err
}
