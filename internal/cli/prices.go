package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/yamlfault"
)

// maxPrices is far beyond any price list.
const maxPrices = 64 << 10

// readPrices reads a price list; nil where there is no file.
func readPrices(path string) (*function.Prices, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read prices: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPrices))
	if err != nil {
		return nil, fault.New(fault.Invalid, "read prices: %w", err)
	}
	return parsePrices(path, text)
}

// parsePrices takes a price as it is written: as a number it would be a binary fraction near it.
func parsePrices(path string, text []byte) (*function.Prices, error) {
	var p function.Prices
	fields := map[string]*string{
		"currency": &p.Currency, "invocation": &p.Invocation, "gbSecond": &p.GBSecond, "gbIn": &p.GBIn, "gbOut": &p.GBOut, "buildMinute": &p.BuildMinute,
	}
	names := slices.Sorted(maps.Keys(fields))
	wrong := func(line, column int, format string, a ...any) *fault.Error {
		return fault.New(fault.Invalid, "%s:%d:%d: %s", path, line, column, fmt.Sprintf(format, a...))
	}
	var doc yaml.Node
	switch err := yaml.Unmarshal(text, &doc); {
	case err != nil:
		f := yamlfault.Find(text, err)
		return nil, wrong(f.Line, f.Column, "not valid YAML: %s", f.Message).WithHint("%s", f.Hint)
	case len(doc.Content) == 0, doc.Content[0].ShortTag() == "!!null":
		return &p, nil
	case doc.Content[0].Kind != yaml.MappingNode:
		return nil, wrong(doc.Content[0].Line, doc.Content[0].Column, "is not a mapping of prices").WithHint("fields: %s", strings.Join(names, ", "))
	}
	seen := map[string]bool{}
	for m := doc.Content[0].Content; len(m) > 1; m = m[2:] {
		k, v := m[0], m[1]
		to := fields[k.Value]
		switch {
		case to == nil:
			err := wrong(k.Line, k.Column, "there is no price %q", fault.Clip(k.Value))
			if near := fault.Nearest(k.Value, names); len(near) > 0 {
				return nil, err.WithHint("did you mean %s?", strings.Join(near, " or "))
			}
			return nil, err.WithHint("fields: %s", strings.Join(names, ", "))
		case seen[k.Value]:
			return nil, wrong(k.Line, k.Column, "%s is given twice", k.Value)
		case v.Kind != yaml.ScalarNode:
			return nil, wrong(v.Line, v.Column, "%s is not one value", k.Value)
		}
		seen[k.Value] = true
		if v.ShortTag() != "!!null" {
			*to = v.Value
		}
	}
	if _, err := p.Of(&function.Used{}); err != nil {
		told := fault.New(fault.Invalid, "%s: %w", path, err)
		var f *fault.Error
		if errors.As(err, &f) {
			told = told.WithHint("%s", f.Hint)
		}
		return nil, told
	}
	return &p, nil
}
