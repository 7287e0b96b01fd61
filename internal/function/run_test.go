package function

import (
	"encoding/json"
	"testing"
)

func TestAnAttemptSaysNothingOfWhatIsNotKnown(t *testing.T) {
	got, err := json.Marshal(Attempt{Number: 1, Outcome: Crashed})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"number":1,"outcome":"crashed"}`; string(got) != want {
		t.Errorf("an attempt that the node's end cut off = %s, want %s", got, want)
	}
}
