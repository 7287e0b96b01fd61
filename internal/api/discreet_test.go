package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
)

func TestOnlyWholeNamesAreATenantsOwn(t *testing.T) {
	ctx := access.With(t.Context(), access.Actor{Type: access.APIKey, ID: "ci", Grant: access.Grant{Role: access.Admin, Environment: "acme"}})
	for text, told := range map[string]bool{
		`there is no function "acme.pay"`: true, "version 7 of acme.pay is not there": true, "arn:function:acme.pay is not there": true,
		`there is no function "x-acme.pay"`: false, "version 7 of not_acme.pay is not there": false, "x.acme.pay is not there": false,
	} {
		if got := new(API).Discreet(ctx, fault.New(fault.NotFound, "%s", text)); (got.Error() == text) != told {
			t.Errorf("Discreet(%s) = %v; want it told: %v", text, got, told)
		}
	}
}
