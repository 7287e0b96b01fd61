package wire

import "github.com/dalamb/dalamb/internal/function"

// Quota is what an environment may have and do at most, and what it has.
type Quota struct {
	Environment string         `json:"environment"` // production is what is in none
	Allowed     function.Quota `json:"allowed"`     // of what is absent there is no bound but the installation's
	Used        QuotaUse       `json:"used"`
}

// QuotaUse is what an environment has.
type QuotaUse struct {
	Functions int            `json:"functions"`
	Topics    int            `json:"topics"`
	Instances int            `json:"instances"` // on the node that answers
	Memory    function.Bytes `json:"memory"`    // that these may use, by the bound of each
}

// QuotaList is the answer to GET /v1/quotas.
type QuotaList struct {
	Quotas []Quota `json:"quotas"`
}
