package wire

import "time"

// TokenList is the answer to GET /v1/tokens.
type TokenList struct {
	Tokens     []string    `json:"tokens"`     // names; what a token is, nobody can be told again
	AccessKeys []AccessKey `json:"accessKeys"` // of AWS's tools
}

// AccessKey is a key that requests of AWS's tools are signed with. Its secret, nobody can be told again.
type AccessKey struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

// TokenCreate asks for a token that can send events, or for an access key.
type TokenCreate struct {
	Name string `json:"name"`
	AWS  bool   `json:"aws,omitempty"` // an access key, with which AWS's tools can do all that AWS's API has here
}

// Token is a token or an access key that was made.
type Token struct {
	Name            string `json:"name"`
	Token           string `json:"token,omitempty"`
	AccessKeyID     string `json:"accessKeyId,omitempty"`
	SecretAccessKey string `json:"secretAccessKey,omitempty"`
}
