package config

import "strings"

// badItem is what is wrong with one item of a list.
type badItem struct {
	index int // of those that are written, from 0
	err   error
}

// badItems is what is wrong with a list, in its order.
type badItems []badItem

func (b badItems) Error() string {
	texts := make([]string, len(b))
	for i, bad := range b {
		texts[i] = bad.err.Error()
	}
	return strings.Join(texts, "; ")
}

// parseItems reads each item of a list, which parse gets with those before it that are right. All items that are wrong are told, and not the first alone:
// who mends one is not to find the next at the next start.
func parseItems[T any](text string, parse func(text string, before []T) (T, error)) ([]T, error) {
	var list []T
	var wrong badItems
	index := -1
	for item := range strings.SplitSeq(text, ",") {
		index++
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		one, err := parse(item, list)
		if err != nil {
			wrong = append(wrong, badItem{index, err})
			continue
		}
		list = append(list, one)
	}
	if wrong != nil {
		return nil, wrong
	}
	return list, nil
}
