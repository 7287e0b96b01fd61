package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// TokenList is the answer to GET /v1/tokens.
type TokenList struct {
	Tokens     []TokenInfo `json:"tokens"`
	AccessKeys []AccessKey `json:"accessKeys"` // of AWS's tools
}

// TokenInfo is a token that was given out. What it is, nobody can be told again.
type TokenInfo struct {
	Name      string   `json:"name"`
	Role      string   `json:"role" enum:"sender,viewer,deployer,operator,admin"`
	Functions []string `json:"functions,omitempty"` // patterns of their names; absent = all
	// Environment is what alone it sees and changes; absent = all of the installation.
	Environment string    `json:"environment,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	Expires     time.Time `json:"expires,omitzero"` // absent = never
	Expired     bool      `json:"expired,omitempty"`
}

// AccessKey is a key that requests of AWS's tools are signed with. Its secret, nobody can be told again.
type AccessKey struct {
	TokenInfo
	ID string `json:"id"`
}

// Self is who asks, and what he may.
type Self struct {
	Type      string   `json:"type" enum:"user,api_key"`
	ID        string   `json:"id"` // a person's name at the issuer, or a token's; node is the node's own
	Role      string   `json:"role" enum:"sender,viewer,deployer,operator,admin"`
	Functions []string `json:"functions,omitempty"` // patterns of their names; absent = all
	// Environment is what alone it sees and changes; absent = all of the installation.
	Environment string    `json:"environment,omitempty"`
	Expires     time.Time `json:"expires,omitzero"` // absent = never
}

// TokenCreate asks for a token, or for an access key.
type TokenCreate struct {
	Name      string   `json:"name"`
	AWS       bool     `json:"aws,omitempty"`      // an access key, which AWS's tools sign requests with
	Role      string   `json:"role,omitempty"`     // sender by default; of an access key admin
	Functions []string `json:"functions,omitzero"` // patterns of the names of functions that it is for; absent = all, and one that is empty is refused
	// Environment is what alone it sees and changes; absent = all of the installation.
	Environment string            `json:"environment,omitempty"`
	TTL         function.Duration `json:"ttl,omitempty"`    // how long from now; absent = see expires
	Expires     time.Time         `json:"expires,omitzero"` // when; absent = never
}

// Token is a token or an access key that was made.
type Token struct {
	Name            string    `json:"name"`
	Token           string    `json:"token,omitempty"`
	Expires         time.Time `json:"expires,omitzero"`
	AccessKeyID     string    `json:"accessKeyId,omitempty"`
	SecretAccessKey string    `json:"secretAccessKey,omitempty"`
}
