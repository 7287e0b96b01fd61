package build

import (
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

type noSecrets struct{}

func (noSecrets) Secret(name string) ([]byte, error) {
	return nil, fault.New(fault.NotFound, "there is no secret %q", name)
}

func TestASecretThatIsNotThereIsToBeSet(t *testing.T) {
	b := &Builds{secrets: noSecrets{}}
	_, err := b.open(&Request{Function: "staging.pay", Build: function.Build{Secrets: []string{"npm"}}})
	if got, want := fault.HintOf(err), "set it first: dalamb secret set staging.npm"; got != want {
		t.Errorf("the hint of %v is %q, want %q", err, got, want)
	}
}
