package hook

import (
	"bytes"
	"encoding/json"

	"github.com/dalamb/dalamb/internal/fault"
)

// maxListed is beyond what any provider lists in one request.
const maxListed = 1000

// listed is an array in a request. One that is far too long is refused while it is read: empty elements are three bytes in the body and many in
// memory.
type listed[T any] []T

func (l *listed[T]) UnmarshalJSON(text []byte) error {
	in := json.NewDecoder(bytes.NewReader(text))
	if begin, err := in.Token(); err != nil || begin != json.Delim('[') {
		return json.Unmarshal(text, (*[]T)(l)) // which says what is wrong
	}
	list := listed[T]{}
	for in.More() {
		if len(list) == maxListed {
			return fault.New(fault.TooLarge, "it lists more than %d things", maxListed).WithHint("push them in several steps")
		}
		var one T
		if err := in.Decode(&one); err != nil {
			return err
		}
		list = append(list, one)
	}
	*l = list
	return nil
}
